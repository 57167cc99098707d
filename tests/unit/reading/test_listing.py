"""What is said of formats and chunkers."""

import importlib.util

from polyport_gateway.cli.checks import _documents
from polyport_gateway.knowledge.chunkers import CHUNKERS
from polyport_gateway.knowledge.readers import readers
from polyport_gateway.reading.file_list import _on_a_line
from polyport_gateway.reading.listing import describe_chunkers, describe_formats


def without(monkeypatch, *modules):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in modules else find(name, *rest))


def test_every_reader_is_listed():
    found = {item.name: item for item in describe_formats()}
    assert set(readers()) <= set(found)
    assert found["docx"].extensions[0] == ".docx"
    assert not found["rar"].readable
    assert "binary" not in found


def test_what_is_missing_is_named_with_the_line_that_installs_it(monkeypatch):
    without(monkeypatch, "selectolax")
    found = {item.name: item for item in describe_formats()}
    html = found["html"]
    assert (html.readable, html.missing, html.install) == (False, ["selectolax"], 'pip install "polyport[documents]"')
    assert found["csv"].readable
    check = _documents()
    assert (check.state, check.remedy) == ("missing", 'pip install "polyport[documents]"')
    assert "html" in check.detail.partition("; ")[2]
    assert "html" not in check.detail.partition(";")[0]


def test_the_packages_named_are_those_that_readers_import():
    from polyport_gateway.reading.listing import _NEEDS

    assert {name for name in _NEEDS if name in readers()} >= {"html", "markdown", "yaml"}
    assert all(importlib.util.find_spec(module) for name in readers() for module, _, _ in _NEEDS.get(name, ()))


def test_every_chunker_is_described():
    found = {item.name: item for item in describe_chunkers()}
    assert set(found) == set(CHUNKERS)
    assert all(item.summary for item in found.values())
    assert all(parameter.description for item in found.values() for parameter in item.parameters), [
        (item.name, parameter.name)
        for item in found.values()
        for parameter in item.parameters
        if not parameter.description
    ]
    settings = {parameter.name: parameter.default for parameter in found["Sentences"].parameters}
    assert settings["max_tokens"] == "512"


def test_a_name_with_a_line_break_is_one_line():
    assert _on_a_line("报告\n\x1b[31m.md") == "报告\\n\\x1b[31m.md"

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyport.errors import ConfigurationError
from polyport_gateway.cli.arguments import convert, parse_arguments

SCHEMA = {
    "properties": {
        "n": {"type": "integer"},
        "x": {"type": "number"},
        "s": {"type": "string"},
        "flag": {"type": "boolean"},
        "items": {"type": "array", "items": {"type": "string"}},
        "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "either": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        "size": {"$ref": "#/$defs/Size"},
        "level": {"enum": [1, 2, "high"]},
        "any": {},
    },
    "$defs": {"Size": {"enum": ["1", "2"], "type": "string"}},
}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("n=5", 5),
        ("n=five", "five"),
        ("x=2", 2),
        ("x=1e3", 1000.0),
        ("s=5", "5"),
        ("s=", ""),
        ("s=a=b", "a=b"),
        ("s=null", "null"),
        ("flag=true", True),
        ('items=["a"]', ["a"]),
        ("maybe=7", "7"),
        ("either=7", 7),
        ("either=[1]", "[1]"),
        ("either=seven", "seven"),
        ("size=1", "1"),
        ("level=2", 2),
        ("level=high", "high"),
        ("any={}", {}),
        ("s:=5", 5),
        ("unknown=x", "x"),
    ],
)
def test_the_schema_decides_what_a_value_is(word, value):
    (got,) = parse_arguments([word], None, SCHEMA).values()
    assert got == value
    assert type(got) is type(value)


@given(st.text())
def test_a_string_stays_as_it_was_typed(text):
    assert convert(text, {"type": "string"}, {}) == text


@given(st.one_of(st.integers(), st.booleans(), st.lists(st.integers()), st.dictionaries(st.text(), st.integers())))
def test_other_values_are_read_as_json(value):
    assert convert(json.dumps(value), {"type": ["integer", "boolean", "array", "object"]}, {}) == value


def test_files_and_standard_input(tmp_path, monkeypatch):
    file = tmp_path / "note.txt"
    file.write_text("héllo", encoding="utf-8")
    monkeypatch.setattr("sys.stdin", io.StringIO("42"))
    assert parse_arguments([f"s=@{file}", "n=-"], None, SCHEMA) == {"s": "héllo", "n": 42}


def test_a_bare_value_goes_to_the_only_parameter():
    assert parse_arguments(["hello world"], None, {"properties": {"s": {"type": "string"}}}) == {"s": "hello world"}
    two = {"properties": {"a": {"type": "integer"}, "b": {}}, "required": ["a"]}
    assert parse_arguments(["3"], None, two) == {"a": 3}
    chat = {"properties": {"prompt": {"type": "string"}, "messages": {"type": "array"}}}
    assert parse_arguments(["hi"], None, chat) == {"prompt": "hi"}


def test_words_override_the_whole():
    assert parse_arguments(["n=2"], '{"n": 1, "s": "x"}', SCHEMA) == {"n": 2, "s": "x"}


@pytest.mark.parametrize(
    ("words", "whole", "message"),
    [
        (["oops"], None, "'oops' is no argument: write key=value; the parameters are: n, x"),
        (["n:=x"], None, "after := comes JSON"),
        (["s=@/nowhere/x"], None, "/nowhere/x can't be read: No such file"),
        ([], "[1]", "not list"),
        ([], "{", "takes a JSON object"),
    ],
)
def test_what_cant_be_read_is_named(words, whole, message):
    with pytest.raises(ConfigurationError, match=r".") as caught:
        parse_arguments(words, whole, SCHEMA)
    assert message in str(caught.value)

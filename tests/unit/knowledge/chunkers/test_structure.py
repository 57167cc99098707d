"""Trees by path, slides, pictures, and what `Auto` makes of everything."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import yaml

from polyport_gateway.knowledge import chunkers as c
from polyport_gateway.knowledge.documents.blocks import Block, Code, Heading, Note, Paragraph, Picture, Table
from polyport_gateway.knowledge.documents.document import Document
from polyport_gateway.knowledge.documents.grid import TableGrid
from polyport_gateway.knowledge.documents.values import Provenance
from polyport_gateway.knowledge.readers import read
from tests.unit.knowledge.chunkers.test_turns import LOG, SRT, THREAD
from tests.unit.knowledge.chunkers.texts import document

SHOP = {
    "shop": "茶馆",
    "orders": [{"id": n, "lines": [{"sku": f"a{n}{m}", "quantity": m} for m in range(3 * n)]} for n in range(4)],
    "two words": {"x": [1, 2, 3]},
}


def _values(value: object, path: str) -> dict[str, object]:
    """Return every value under its path."""
    found: dict[str, object] = {path: value}
    items = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    for key, inner in items:
        step = f"[{key}]" if isinstance(key, int) else f".{key}" if str(key).isidentifier() else f"[{json.dumps(key)}]"
        found |= _values(inner, path + step)
    return found


@pytest.mark.parametrize("indent", [None, 2])
def test_a_subtree_that_fits_is_never_cut_and_has_its_path(indent: int | None) -> None:
    made = read(json.dumps(SHOP, ensure_ascii=False, indent=indent).encode(), "shop.json").document
    found = c.ByPath(48, "estimate").chunk(made)
    assert "".join(chunk.text for chunk in found) == made.text
    values = _values(SHOP, "$")
    whole: list[str] = []
    for chunk in found:
        assert chunk.metadata["path"] in values
        for path in chunk.metadata["paths"]:  # type: ignore[union-attr]
            value = values[str(path)]
            if not isinstance(value, (dict, list)):
                assert json.dumps(value, ensure_ascii=False) in chunk.text
            whole.append(str(path))
    leaves = [path for path, value in values.items() if not isinstance(value, (dict, list)) or not value]
    assert all(sum(leaf == path or leaf.startswith((path + ".", path + "[")) for path in whole) == 1 for leaf in leaves)
    groups = [chunk.metadata for chunk in found if len(chunk.metadata["paths"]) > 1]  # type: ignore[arg-type]
    if indent is None:
        assert groups[0]["path"] == "$.orders[1].lines"
        assert list(groups[0]["paths"]) == ["$.orders[1].lines[0]", "$.orders[1].lines[1]"]  # type: ignore[arg-type]


def test_the_whole_is_one_chunk_where_it_fits() -> None:
    (found,) = c.ByPath(tokenizer="estimate").chunk(read(b'{"a": [1, 2]}', "a.json").document)
    assert (found.metadata["path"], list(found.metadata["paths"])) == ("$", ["$"])  # type: ignore[arg-type]


def test_lines_of_json_are_items() -> None:
    lines = "\n".join(json.dumps({"n": n, "text": "tea " * 12}) for n in range(6))
    found = c.ByPath(48, "estimate").chunk(read(lines.encode(), "a.jsonl").document)
    assert [path for chunk in found for path in chunk.metadata["paths"]] == [f"$[{n}]" for n in range(6)]  # type: ignore[union-attr]
    assert all(json.loads(line) for chunk in found for line in chunk.text.splitlines())


def test_yaml_keeps_comments_and_dashes_with_what_they_belong_to() -> None:
    text = (
        "# shop\nname: 茶馆\nservices:\n  # the web server\n  web:\n    image: nginx\n    ports: [80, 443]\n"
        "  database:\n    image: postgres\n    volumes:\n"
        f"      - data\n      - logs\n      - certificates of the server\n      - {'word ' * 16}\n"
    )
    found = c.ByPath(36, "estimate").chunk(read(text.encode(), "a.yaml").document)
    by_path = {str(chunk.metadata["path"]): chunk.text for chunk in reversed(found)}
    assert by_path["$.services.web"].endswith("  # the web server\n  web:\n    image: nginx\n    ports: [80, 443]\n")
    assert by_path["$.services.database.volumes"].startswith("    volumes:\n      - data\n")


def test_yaml_is_as_json() -> None:
    text = yaml.safe_dump(SHOP, allow_unicode=True, sort_keys=False)
    found = c.ByPath(48, "estimate").chunk(read(text.encode(), "a.yml").document)
    values = _values(SHOP, "$")
    assert all(str(path) in values for chunk in found for path in chunk.metadata["paths"])  # type: ignore[union-attr]
    assert {"$.orders[2].lines", "$.orders[3].lines"} <= {chunk.metadata["path"] for chunk in found}


def test_xml_by_element() -> None:
    books = "".join(
        f"  <book id='{n}'>\n    <title>书 {n}</title>\n    <text>{'tea ' * 12 * n}</text>\n  </book>\n"
        for n in range(1, 4)
    )
    text = f"<?xml version='1.0'?>\n<shop>\n{books}  <end/>\n</shop>\n"
    found = c.ByElement(72, "estimate").chunk(read(text.encode(), "a.xml").document)
    assert [list(chunk.metadata["paths"]) for chunk in found] == [  # type: ignore[arg-type]
        ["/shop/book[1]"],
        ["/shop/book[2]"],
        ["/shop/book[3]"],
        ["/shop/end"],
    ]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ('{"a": [1, 2, {"b": "' + "word " * 100, "json"),
        ("[" * 5000 + "]" * 5000, "json"),
        ("[" * 5000, "yaml"),
        ("a: [1\nb: }" * 40, "yaml"),
        ("<a><b>open</a>" * 20, "xml"),
        ("<a>" * 5000, "xml"),
        ('<!DOCTYPE x [<!ENTITY e "' + "e" * 90 + '">]><x>&e;</x>' * 9, "xml"),
    ],
)
def test_what_is_not_well_formed_is_cut_all_the_same(text: str, language: str) -> None:
    made = document(Code(text=text, language=language))
    for step in (c.ByPath(32, "estimate"), c.ByElement(32, "estimate")):
        found = step.chunk(made)
        assert "".join(chunk.text for chunk in found) == made.text
        if any("path" in chunk.metadata for chunk in found):
            assert all(chunk.tokens <= 32 for chunk in found)


def _slides() -> Document:
    def slide(number: int, *blocks: Block) -> list[Block]:
        return [replace(block, provenance=Provenance(page=number)) for block in blocks]

    return document(
        *slide(1, Heading(text="Tea"), Paragraph(text="From China.")),
        *slide(
            2, Heading(text="绿茶"), Paragraph(text="Hot water. " * 30), Note(text="Say it slowly.", category="speaker")
        ),
        mime="application/vnd.openxmlformats-officedocument.presentationml.presentation",
    )


def test_slides_have_their_title_and_notes() -> None:
    found = c.Slides(64, tokenizer="estimate").chunk(_slides())
    assert dict(found[0].metadata) == {"slide": 1, "title": "Tea"}
    assert [chunk.metadata["part"] for chunk in found[1:]] == list(range(len(found) - 1))
    for chunk in found[1:]:
        assert (chunk.metadata["slide"], chunk.metadata["title"], chunk.metadata["notes"]) == (
            2,
            "绿茶",
            "Say it slowly.",
        )


def test_a_picture_is_found_by_its_caption_and_by_what_is_around_it() -> None:
    made = document(
        "Water boils at 100 degrees.",
        Picture(caption="Figure 1: a teapot", alt="teapot", sha256="ab", mime="image/png"),
        "Pour it over the leaves.",
        Picture(sha256="cd"),
    )
    first, second, *rest = c.Pictures(tokenizer="estimate").chunk(made)[1:4]
    assert first.text == "Figure 1: a teapot\nteapot\n\nWater boils at 100 degrees.\n\nPour it over the leaves."
    assert first.metadata["sha256"] == "ab"
    assert first.metadata["source_span"] == (0, made.blocks[2].span.end)
    assert second.text.strip() == "Pour it over the leaves."
    assert second.span is not None
    assert [chunk.text for chunk in rest] == ["Pour it over the leaves."]
    assert rest[0].metadata["sha256"] == "cd"
    tight = c.Pictures(8, tokenizer="estimate").chunk(made)
    assert all(chunk.tokens <= 8 for chunk in tight if "picture" in chunk.metadata)
    assert "".join(chunk.text for chunk in tight if chunk.metadata.get("sha256") == "ab").startswith("Figure 1")


def _steps(made: Document) -> list[str]:
    return [type(choice.step).__name__ for choice in c.Auto(tokenizer="estimate").explain(made)]


MIXED = document(
    Heading(text="Tea"), "Text. " * 40, Table(grid=TableGrid.from_rows([["a", "b"], *[["1", "2"]] * 60])),
    Code(text=json.dumps(SHOP), language="json"), Code(text="def f():\n    return 1\n", language="python"),
    Picture(caption="A pot"), Picture(), "More.",
)  # fmt: skip


@pytest.mark.parametrize(
    ("made", "steps"),
    [
        (document("Just text.\n\nAnd more."), ["Recursive"]),
        (document(Heading(text="A"), "b"), ["ByHeading", "Recursive"]),
        (document(LOG), ["LogEntries"]),
        (document(THREAD), ["MailTurns"]),
        (document(SRT), ["Subtitles"]),
        (document("Ann: hi\nBob: hello\nAnn: bye\n"), ["ChatTurns"]),
        (read(SRT.encode(), "a.srt").document, ["Subtitles"]),
        (read(b"From: a@x.org\nSubject: x\nDate: Mon\n\nhello", "a.eml").document, ["MailTurns", "Recursive"]),
        (read(json.dumps(SHOP).encode(), "a.json").document, ["ByPath", "Recursive"]),
        (read(b"<a><b>1</b></a>", "a.xml").document, ["ByElement", "Recursive"]),
        (read(b"def f():\n    pass\n", "a.py").document, ["ByCode", "Recursive"]),
        (_slides(), ["Slides", "Recursive"]),
        (MIXED, ["ByHeading", "TableRows", "ByPath", "ByCode", "Pictures", "Recursive"]),
    ],
)
def test_the_steps_that_suit_are_chosen_with_a_reason(made: Document, steps: list[str]) -> None:
    assert _steps(made) == steps
    assert all(choice.reason.endswith(".") for choice in c.Auto().explain(made))
    assert all(chunk.tokens <= 64 for chunk in c.Auto(64, "estimate").chunk(made))


def test_each_block_is_cut_by_its_kind() -> None:
    found = c.Auto(64, "estimate").chunk(MIXED)
    assert sum(chunk.text.startswith("| a | b |") for chunk in found) > 2
    assert any(chunk.metadata.get("path") == "$.orders[1].lines" for chunk in found)
    assert [chunk.metadata["language"] for chunk in found if "def f" in chunk.text] == ["python"]
    (pot,) = [chunk for chunk in found if "picture" in chunk.metadata]
    assert pot.text.startswith("A pot")
    assert [chunk.text for chunk in found][-1].strip() == "More."

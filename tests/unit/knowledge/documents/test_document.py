"""One text under all blocks, and nothing lost on the way to JSON and back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from polyport_gateway.knowledge.documents import (
    Document,
    DocumentBuilder,
    Heading,
    ListItem,
    Mark,
    Note,
    PageBreak,
    Paragraph,
    Span,
    Table,
    TableGrid,
    source_of,
)

from .strategies import documents

SOURCE = source_of(b"x", "folder/x.txt", "text/plain")


@settings(max_examples=60, deadline=None)
@given(documents())
def test_every_block_and_cell_stands_where_it_says(document):
    end = 0
    for index, block in enumerate(document.blocks):
        assert block.index == index
        assert document.text[block.span.start : block.span.end] == block.text
        assert document.text[end : block.span.start] in ("", "\n", "\n\n")
        end = block.span.end
        if isinstance(block, Table):
            for cell in block.grid.cells:
                shown = document.text[cell.span.start : cell.span.end]
                lines = cell.text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
                assert shown == "<br>".join(lines).replace("|", "\\|")
            assert len(block.grid.row_spans) == (block.grid.rows if block.grid.columns else 0)
    assert end == len(document.text)


@settings(max_examples=60, deadline=None)
@given(documents())
def test_json_and_back_loses_nothing(document):
    again = Document.from_json(document.to_json())
    assert again == document
    assert again.content_hash == document.content_hash
    assert again.assets == document.assets


@settings(max_examples=60, deadline=None)
@given(documents())
def test_every_document_renders(document):
    assert document.to_html().endswith("</html>\n")
    assert "<script>" not in document.to_html()
    document.to_markdown()


@settings(max_examples=50, deadline=None)
@given(documents())
def test_every_block_but_breaks_is_in_one_group(document):
    grouped = [block.index for blocks in document.groups().values() for block in blocks]
    assert sorted(grouped) == [block.index for block in document.blocks if not isinstance(block, PageBreak)]


@settings(max_examples=50, deadline=None)
@given(documents())
def test_block_at_agrees_with_the_spans(document):
    for position in range(len(document.text)):
        inside = [b for b in document.blocks if b.span.start <= position < b.span.end]
        assert document.block_at(position) == (inside[0] if inside else None)


def build(*blocks):
    builder = DocumentBuilder(SOURCE)
    for block in blocks:
        builder.add(block)
    return builder.build()


def test_the_heading_path_closes_sections_of_the_same_or_a_wider_level():
    document = build(
        Heading(text="A", level=1),
        Heading(text="B", level=3),
        Paragraph(text="b"),
        Heading(text="C", level=2),
        Paragraph(text="c"),
    )
    paths = [[heading.text for heading in document.heading_path(block)] for block in document.blocks]
    assert paths == [[], ["A"], ["A", "B"], ["A"], ["A", "C"]]


def test_items_that_skip_a_level_stay_items():
    builder = DocumentBuilder(SOURCE)
    for level in (2, 2, 1, 3, 1, 2):
        builder.add(ListItem(text=f"level {level}", level=level))
    builder.add(Paragraph(text="Between."))
    builder.add(ListItem(text="level 3", level=3))
    shown = builder.build().to_markdown()
    assert shown == (
        "- level 2\n- level 2\n- level 1\n    - level 3\n- level 1\n    - level 2\n\nBetween.\n\n- level 3\n"
    )


def test_items_of_a_list_stand_on_lines():
    document = build(Paragraph(text="p"), ListItem(text="a"), ListItem(text="b"), Paragraph(text="q"))
    assert document.text == "p\n\na\nb\n\nq"


def test_a_table_knows_what_is_said_around_it():
    document = build(Paragraph(text="p"), Table(grid=TableGrid.from_rows([["a"]])), PageBreak(), Paragraph(text="q"))
    assert [block.text for block in document.neighbours(document.blocks[1])] == ["p", "q"]


def test_a_lone_surrogate_becomes_the_replacement_character():
    document = build(Paragraph(text="a\ud800b"), Table(grid=TableGrid.from_rows([["\udfff"]])))
    assert document.blocks[0].text == "a\ufffdb"
    document.text.encode()


def test_the_hash_is_the_contents_and_the_id_the_files():
    one = DocumentBuilder(source_of(b"x", "a.txt", "text/plain"))
    two = DocumentBuilder(source_of(b"x", "b.txt", "text/plain"))
    for builder in (one, two):
        builder.add(Paragraph(text="same"))
    assert one.build().content_hash == two.build().content_hash
    assert one.build().id == two.build().id
    two.add(Paragraph(text="more"))
    assert one.build().content_hash != two.build().content_hash


@pytest.mark.parametrize("block", [Paragraph(text="x", span=Span(1, 2), index=0), Paragraph(text="x", span=Span(0, 1))])
def test_blocks_that_contradict_the_text_are_refused(block):
    with pytest.raises(ValueError, match="Block 0"):
        Document("id", SOURCE, (block,), "x")


@pytest.mark.parametrize(
    "data", ["", "[]", "{}", "1", '{"version":2}', '{"version":1,"assets":{"a":"%"}}', "[" * 100_000]
)
def test_what_is_no_documents_json_is_refused(data):
    with pytest.raises(ValueError):
        Document.from_json(data)


def test_marks_become_markdown_and_html():
    document = build(
        Paragraph(
            text="bold and link 1.5*2",
            marks=(Mark(0, 4, "bold"), Mark(9, 13, "link", "https://example.org/a b"), Mark(5, 13, "italic")),
        )
    )
    assert document.to_markdown() == "**bold** *and [link](<https://example.org/a b>)* 1.5\\*2\n"
    assert (
        '<strong>bold</strong> <em>and </em><em><a href="https://example.org/a b">link</a></em>' in document.to_html()
    )


@pytest.mark.parametrize("link", ["javascript:alert(1)", " JaVaScript:alert(1)", "data:text/html,x", "vbscript:x"])
def test_a_link_that_could_run_a_script_is_text_in_html(link):
    assert "<a " not in build(Paragraph(text="x", marks=(Mark(0, 1, "link", link),))).to_html()


def test_a_sign_behind_a_style_begins_no_line_and_a_comment_has_its_author():
    builder = DocumentBuilder(source_of(b"", "a", "text/plain"))
    builder.add(Paragraph(text="X2 + Y\n+ Z", marks=(Mark(1, 2, "superscript"),)))
    builder.add(Note(text="Hm.", category="comment", author="Ann"))
    assert builder.build().to_markdown() == "X<sup>2</sup> + Y\n\\+ Z\n\n> Ann: Hm.\n"

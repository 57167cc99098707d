"""The RTF reader against files as Word, LibreOffice and WordPad write them."""

from __future__ import annotations

import pytest

from polyport_gateway.knowledge.documents import (
    Block,
    Heading,
    ListItem,
    Mark,
    Note,
    PageBreak,
    Paragraph,
    Parsed,
    Picture,
    Table,
    UnreadableDocumentError,
)
from polyport_gateway.knowledge.readers import ReadOptions, read

HEAD = r"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fnil Arial;}{\f1\fnil\fcharset134 SimSun;}{\f2\fcharset204 A;}}"


def opened(body: str, **options: object) -> Parsed:
    data = f"{HEAD}{body}}}".encode("latin-1")
    return read(data, "a.rtf", ReadOptions(**options))  # type: ignore[arg-type]


def blocks_of(body: str) -> tuple[Block, ...]:
    return opened(body).document.blocks


def test_letters_of_many_code_pages_and_of_unicode() -> None:
    (block,) = blocks_of(
        r"caf\'e9 {\f1 \'b2\'e8\'d2\'b6} {\f2 \'ea} \u8364? \u-10179?\u-8704? "
        r"{\uc2 \u33590 ab}{\uc0\u33590}\~a\_b\emdash \{x\}\\"
    )
    assert block.text == "café 茶叶 к € 😀 茶茶\u00a0a\u2011b—{x}\\"


def test_styles_and_links_are_marks() -> None:
    (block,) = blocks_of(
        r'a {\b bold {\i both}} {\field{\*\fldinst{HYPERLINK "https://example.org/"}}{\fldrslt{\ul here}}}'
        r" x{\super 2}\par"
    )
    assert block.text == "a bold both here x2"
    assert set(block.marks) == {
        Mark(2, 11, "bold"), Mark(7, 11, "italic"), Mark(12, 16, "link", "https://example.org/"),
        Mark(12, 16, "underline"), Mark(18, 19, "superscript"),
    }  # fmt: skip


def test_headings_lists_and_pages() -> None:
    found = blocks_of(
        r"{\stylesheet{\ql Normal;}{\s1\outlinelevel0 heading 1;}{\s2 heading 2;}{\*\cs10 Char;}}"
        r"{\info{\title The title}{\author Ann}}"
        r"\pard\s1 One\par\pard\s2 Two\par\pard plain\par"
        r"{\listtext 1.\tab}\pard\ls1\ilvl0 first\par{\listtext\'b7\tab}\pard\ls1\ilvl1 second\par\pard\page after\par"
    )
    assert [(type(block).__name__, block.text, getattr(block, "level", None)) for block in found] == [
        ("Heading", "One", 1), ("Heading", "Two", 2), ("Paragraph", "plain", None), ("ListItem", "first", 1),
        ("ListItem", "second", 2), ("PageBreak", "", None), ("Paragraph", "after", None),
    ]  # fmt: skip
    items = [block for block in found if isinstance(block, ListItem)]
    assert [(item.ordered, item.marker) for item in items] == [(True, "1."), (False, "·")]
    assert isinstance(found[0], Heading)
    assert isinstance(found[5], PageBreak)


def test_metadata() -> None:
    parsed = opened(r"{\info{\title T\u233?}{\author Ann}{\company C}}x\par")
    assert parsed.document.metadata == {"title": "Té", "author": "Ann"}
    assert parsed.document.text == "x"


def test_a_table_with_merged_cells_and_a_header_of_two_rows_is_exact() -> None:
    found = blocks_of(
        r"before\par"
        r"\trowd\trhdr\clvmgf\cellx1000\cellx3000\clvmgf\cellx4000\pard\intbl Region\cell 2024\cell Total\cell\row"
        r"\trowd\trhdr\clvmrg\cellx1000\cellx2000\cellx3000\clvmrg\cellx4000\pard\intbl\cell H1\cell H2\cell\cell\row"
        r"\trowd\cellx1000\cellx2000\cellx3000\cellx4000\pard\intbl N\cell 1\cell 2\cell 3\cell\row"
        r"\trowd\cellx1000\clmgf\cellx2000\clmrg\cellx3000\cellx4000\pard\intbl S\cell 4\cell\cell 9\cell\row"
        r"\pard after\par"
    )
    assert [type(block) for block in found] == [Paragraph, Table, Paragraph]
    table = found[1]
    assert isinstance(table, Table)
    assert table.grid.header_rows == 2
    assert [(*cell[:5], cell.column_header) for cell in table.grid.cells] == [
        (0, 0, 2, 1, "Region", True),
        (0, 1, 1, 2, "2024", True),
        (0, 3, 2, 1, "Total", True),
        (1, 1, 1, 1, "H1", True),
        (1, 2, 1, 1, "H2", True),
        (2, 0, 1, 1, "N", False),
        (2, 1, 1, 1, "1", False),
        (2, 2, 1, 1, "2", False),
        (2, 3, 1, 1, "3", False),
        (3, 0, 1, 1, "S", False),
        (3, 1, 1, 2, "4", False),
        (3, 3, 1, 1, "9", False),
    ]


def test_a_table_in_a_cell_is_kept() -> None:
    (table,) = blocks_of(
        r"\trowd\cellx4000\cellx8000\pard\intbl words\par\pard\intbl\itap2 x\nestcell y\nestcell"
        r"{\*\nesttableprops\trowd\cellx1000\cellx2000\nestrow}{\nonesttables\par}\pard\intbl\itap1 under\cell z\cell"
        r"\trowd\cellx4000\cellx8000\row\pard"
    )
    assert isinstance(table, Table)
    first, second = table.grid.cells
    assert (first.text, second.text) == ("words\nx\ty\nunder", "z")
    nested = first.nested[1]
    assert isinstance(nested, Table)
    assert [cell.text for cell in nested.grid.cells] == ["x", "y"]


def test_pictures_notes_and_what_is_not_shown() -> None:
    png = b"\x89PNG\r\n\x1a\n0123"
    parsed = opened(
        r"{\header Top\par}Word{\super\chftn}{\footnote{\super\chftn} At the foot.}"
        r"{\*\atnauthor Ann}{\*\annotation A remark.}{\v unseen}{\deleted gone}"
        rf"{{\*\shppict{{\pict\pngblip\picw1 {png.hex()}}}}}{{\nonshppict{{\pict\wmetafile8 00}}}}\par"
        r"{\object\objemb{\*\objdata 0105}{\result shown}}\par"
    )
    found = parsed.document.blocks
    assert [block.text for block in found if isinstance(block, Paragraph)] == ["Word1", "shown"]
    notes = {(block.category, block.label, block.author, block.text) for block in found if isinstance(block, Note)}
    assert notes == {
        ("header", "", "", "Top"), ("footnote", "1", "", "At the foot."), ("comment", "", "Ann", "A remark."),
        ("other", "hidden", "", "unseen"), ("revision", "deleted", "", "gone"),
    }  # fmt: skip
    (picture,) = [block for block in found if isinstance(block, Picture)]
    assert (picture.mime, parsed.document.assets[picture.sha256]) == ("image/png", png)
    assert [item.what for item in parsed.receipt.skipped] == ["embedded object"]


def test_binary_bytes_are_no_tokens() -> None:
    parsed = opened(r"{\pict\pngblip\bin5 {\b}x}after\par")
    (picture,) = [block for block in parsed.document.blocks if isinstance(block, Picture)]
    assert parsed.document.assets[picture.sha256] == rb"{\b}x"


def test_a_cut_off_file_says_so_and_gives_what_there_is() -> None:
    parsed = read(f"{HEAD}one\\par two".encode(), "a.rtf")
    assert [block.text for block in parsed.document.blocks] == ["one", "two"]
    assert parsed.receipt.warnings == ("The file ends in the middle of a group: it is cut off.",)


def test_groups_without_end_are_refused() -> None:
    with pytest.raises(UnreadableDocumentError, match="nest deeper"):
        read((HEAD + "{" * 10_000).encode(), "a.rtf")

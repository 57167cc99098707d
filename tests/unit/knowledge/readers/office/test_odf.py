"""The OpenDocument reader against files made of their XML."""

from __future__ import annotations

import zlib

import pytest

from polyport_gateway.knowledge.documents import (
    Block,
    Box,
    Formula,
    Heading,
    ListItem,
    Mark,
    Note,
    PageBreak,
    Paragraph,
    Parsed,
    ParsingLimitError,
    Picture,
    Table,
    UnreadableDocumentError,
)
from polyport_gateway.knowledge.readers import ReadOptions, read

from .odf_files import packed, part, parts_of

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
BOLD = '<style:text-properties fo:font-weight="bold"/>'


def opened(form: str, body: str, *, options: ReadOptions | None = None, **more: str | bytes) -> Parsed:
    return read(packed(parts_of(form, body, **more)), f"file.{form}", options)  # type: ignore[arg-type]


def blocks_of(form: str, body: str, **more: str | bytes) -> tuple[Block, ...]:
    return opened(form, body, **more).document.blocks


def one_table(form: str, body: str, **more: str | bytes) -> Table:
    (table,) = [block for block in blocks_of(form, body, **more) if isinstance(block, Table)]
    return table


def cell(text: str, **attributes: str) -> str:
    given = "".join(f' table:{name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f'<table:table-cell office:value-type="string"{given}><text:p>{text}</text:p></table:table-cell>'


COVERED = "<table:covered-table-cell/>"
TWO_ROW_HEADER = (
    "<table:table-row>" + cell("Region", number_rows_spanned="2") + cell("2024", number_columns_spanned="2") + COVERED
    + cell("Total", number_rows_spanned="2") + "</table:table-row><table:table-row>" + COVERED + cell("H1") + cell("H2")
    + COVERED + "</table:table-row>"
)  # fmt: skip
BODY_ROWS = "".join(
    f"<table:table-row>{''.join(map(cell, row))}</table:table-row>"
    for row in (("北", "1", "2", "3"), ("S", "4", "5", "9"))
)
EXACT = [
    (0, 0, 2, 1, "Region", True),
    (0, 1, 1, 2, "2024", True),
    (0, 3, 2, 1, "Total", True),
    (1, 1, 1, 1, "H1", True),
    (1, 2, 1, 1, "H2", True),
    (2, 0, 1, 1, "北", False),
    (2, 1, 1, 1, "1", False),
    (2, 2, 1, 1, "2", False),
    (2, 3, 1, 1, "3", False),
    (3, 0, 1, 1, "S", False),
    (3, 1, 1, 1, "4", False),
    (3, 2, 1, 1, "5", False),
    (3, 3, 1, 1, "9", False),
]


def shape(table: Table) -> list[tuple[object, ...]]:
    return [(*found[:5], found.column_header) for found in table.grid.cells]


# Texts


def test_headings_paragraphs_and_blanks() -> None:
    blocks = blocks_of(
        "odt",
        '<text:p text:style-name="Title">Whole</text:p><text:h text:outline-level="1">First</text:h>'
        "<text:p>  two \n  blanks<text:s text:c='3'/>kept<text:tab/>tab<text:line-break/>line</text:p><text:p/>"
        '<text:h text:outline-level="3">Deep</text:h>',
    )
    assert [(type(block), block.text, getattr(block, "level", None)) for block in blocks] == [
        (Heading, "Whole", 1), (Heading, "First", 2), (Paragraph, "two blanks   kept\ttab\nline", None),
        (Heading, "Deep", 4),
    ]  # fmt: skip


def test_styles_take_over_from_their_parents_and_spans_may_take_back() -> None:
    styles = (
        '<office:styles><style:style style:name="Strong" style:family="text">' + BOLD + "</style:style></office:styles>"
    )
    automatic = (
        '<style:style style:name="T1" style:family="text" style:parent-style-name="Strong">'
        '<style:text-properties fo:font-style="italic"/></style:style>'
        '<style:style style:name="T2" style:family="text"><style:text-properties fo:font-weight="normal" '
        'style:text-position="super 58%"/></style:style>'
        '<style:style style:name="P1" style:family="paragraph">' + BOLD + "</style:style>"
        '<style:style style:name="T3" style:family="text"><style:text-properties style:text-underline-style="solid" '
        'style:text-line-through-style="solid"/></style:style>'
    )
    first, second = blocks_of(
        "odt",
        '<text:p>a <text:span text:style-name="T1">b</text:span> <text:a xlink:href="https://example.org/">c</text:a></text:p>'
        '<text:p text:style-name="P1">x<text:span text:style-name="T2">2</text:span>'
        '<text:span text:style-name="T3">y</text:span></text:p>',
        styles=styles, automatic=automatic,
    )  # fmt: skip
    assert first.marks == (Mark(2, 3, "bold"), Mark(2, 3, "italic"), Mark(4, 5, "link", "https://example.org/"))
    assert set(second.marks) == {
        Mark(0, 1, "bold"), Mark(1, 2, "superscript"), Mark(2, 3, "bold"), Mark(2, 3, "underline"),
        Mark(2, 3, "strike"),
    }  # fmt: skip


NUMBERED = (
    '<text:list-style style:name="L1">'
    '<text:list-level-style-number text:level="1" style:num-format="1" style:num-suffix="."/>'
    '<text:list-level-style-number text:level="2" style:num-format="1" style:num-suffix="." text:display-levels="2"/>'
    '<text:list-level-style-bullet text:level="3" text:bullet-char="–"/></text:list-style>'
)


def items(blocks: tuple[Block, ...]) -> list[tuple[str, str, int, bool]]:
    return [(block.marker, block.text, block.level, block.ordered) for block in blocks if isinstance(block, ListItem)]


def test_lists_count_nest_and_go_on() -> None:
    blocks = blocks_of(
        "odt",
        '<text:list xml:id="a" text:style-name="L1"><text:list-item><text:p>one</text:p><text:list><text:list-item>'
        "<text:p>deep</text:p><text:list><text:list-item><text:p>dash</text:p></text:list-item></text:list>"
        "</text:list-item><text:list-item><text:p>deep too</text:p></text:list-item></text:list></text:list-item>"
        "<text:list-item><text:p>two</text:p><text:p>more of two</text:p><text:list><text:list-item>"
        "<text:p>deep again</text:p></text:list-item></text:list></text:list-item></text:list>"
        "<text:p>between</text:p>"
        '<text:list text:style-name="L1" text:continue-numbering="true"><text:list-item><text:p>three</text:p>'
        "</text:list-item></text:list>"
        '<text:list text:style-name="L1"><text:list-item><text:p>anew</text:p></text:list-item></text:list>'
        '<text:list text:style-name="L1" text:continue-list="a"><text:list-item text:start-value="9">'
        "<text:p>nine</text:p></text:list-item></text:list>",
        automatic=NUMBERED,
    )
    assert items(blocks) == [
        ("1.", "one", 1, True), ("1.1.", "deep", 2, True), ("–", "dash", 3, False), ("1.2.", "deep too", 2, True),
        ("2.", "two", 1, True), ("2.1.", "deep again", 2, True), ("3.", "three", 1, True), ("1.", "anew", 1, True),
        ("9.", "nine", 1, True),
    ]  # fmt: skip
    assert [block.text for block in blocks if isinstance(block, Paragraph)] == ["more of two", "between"]


def test_numbered_headings_have_their_number() -> None:
    styles = (
        '<office:styles><text:outline-style style:name="Outline">'
        '<text:outline-level-style text:level="1" style:num-format="1"/>'
        '<text:outline-level-style text:level="2" style:num-format="1" text:display-levels="2"/>'
        "</text:outline-style></office:styles>"
    )
    body = "".join(f'<text:h text:outline-level="{level}">h</text:h>' for level in (1, 2, 2, 1, 2))
    assert [block.text for block in blocks_of("odt", body, styles=styles)] == ["1 h", "1.1 h", "1.2 h", "2 h", "2.1 h"]


def test_a_table_with_merged_cells_and_marked_header_rows_is_exact() -> None:
    table = one_table(
        "odt",
        '<table:table><table:table-column table:number-columns-repeated="4"/><table:table-header-rows>'
        f"{TWO_ROW_HEADER}</table:table-header-rows>{BODY_ROWS}</table:table>",
    )
    assert (table.grid.rows, table.grid.columns, table.grid.header_rows) == (4, 4, 2)
    assert shape(table) == EXACT


def test_a_table_without_covered_cells_loses_none_of_its_cells() -> None:
    rows = (
        cell("Station", number_rows_spanned="2") + cell("Depth", number_columns_spanned="2") + cell("Remark"),
        cell("Low") + cell("High") + cell("all"),
        cell("Alpha") + cell("2.5") + cell("4.1") + cell("sheltered", number_rows_spanned="2"),
        cell("Beta") + cell("3.0") + cell("5.2"),
    )
    body = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows)
    table = one_table(
        "odt", f'<table:table><table:table-column table:number-columns-repeated="4"/>{body}</table:table>'
    )
    assert [table.grid.texts(row) for row in range(table.grid.rows)] == [
        ("Station", "Depth", "Depth", "Remark"),
        ("Station", "Low", "High", "all"),
        ("Alpha", "2.5", "4.1", "sheltered"),
        ("Beta", "3.0", "5.2", "sheltered"),
    ]


def test_without_covered_cells_a_header_ends_where_its_rows_do() -> None:
    # Pandoc 2 writes the first row of a header only, with cells that span two.
    cells = cell("Station", number_rows_spanned="2") + cell("Depth", number_columns_spanned="2")
    head = f"<table:table-row>{cells}</table:table-row>"
    row = f"<table:table-row>{cell('Alpha')}{cell('2.5')}{cell('4.1')}</table:table-row>"
    table = one_table(
        "odt", f"<table:table><table:table-header-rows>{head}</table:table-header-rows>{row}</table:table>"
    )
    assert [table.grid.texts(row) for row in (0, 1)] == [("Station", "Depth", "Depth"), ("Alpha", "2.5", "4.1")]
    assert table.grid.header_rows == 1


def test_preformatted_lines_are_one_piece_of_code_with_its_indentation() -> None:
    line = '<text:p text:style-name="Preformatted_20_Text">{}</text:p>'.format
    body = (
        line("def f(x):")
        + line('<text:s text:c="4"/>if x:')
        + line("")
        + line('<text:s text:c="8"/>return 1')
        + line("")
    )
    (code,) = blocks_of("odt", body)
    assert (code.kind, code.text) == ("code", "def f(x):\n    if x:\n\n        return 1")


def test_pages_that_end_between_the_rows_of_a_table_are_counted() -> None:
    rows = f"<table:table-row>{cell('a')}{cell('b')}</table:table-row>"
    turned = "<text:soft-page-break/>".join([rows] * 3)
    body = f"<text:p>x</text:p><table:table>{turned}</table:table><text:p>y</text:p>"
    blocks = blocks_of("odt", body)
    assert [block.kind for block in blocks] == ["paragraph", "table", "page_break", "page_break", "paragraph"]
    assert [blocks[index].provenance.page for index in (1, -1)] == [1, 3]


def test_tables_and_lists_inside_cells_are_kept() -> None:
    inner = f"<table:table><table:table-row>{cell('x')}{cell('y')}</table:table-row></table:table>"
    table = one_table(
        "odt",
        f"<table:table><table:table-row><table:table-cell><text:p>words</text:p>{inner}</table:table-cell>"
        '<table:table-cell><text:list text:style-name="L1"><text:list-item><text:p>item</text:p></text:list-item>'
        "</text:list></table:table-cell></table:table-row></table:table>",
        automatic=NUMBERED,
    )
    first, second = table.grid.cells
    assert (first.text, second.text) == ("words\nx\ty", "1. item")
    nested = first.nested[1]
    assert isinstance(nested, Table)
    assert [found.text for found in nested.grid.cells] == ["x", "y"]
    assert isinstance(second.nested[0], ListItem)


def test_notes_comments_and_changes_are_told_apart_from_the_text() -> None:
    blocks = blocks_of(
        "odt",
        '<text:tracked-changes><text:changed-region text:id="c1"><text:deletion><text:p>gone</text:p></text:deletion>'
        "</text:changed-region></text:tracked-changes>"
        '<text:p>Word<text:note text:note-class="footnote"><text:note-citation>1</text:note-citation><text:note-body>'
        "<text:p>At the foot.</text:p></text:note-body></text:note> and"
        '<text:note text:note-class="endnote"><text:note-citation>i</text:note-citation><text:note-body>'
        '<text:p>At the end.</text:p></text:note-body></text:note><text:change text:change-id="c1"/>'
        "<office:annotation><dc:creator>Ann</dc:creator><text:p>A remark.</text:p></office:annotation>.</text:p>",
    )
    assert blocks[0].text == "Word1 andi."
    assert [(b.category, b.label, b.author, b.text) for b in blocks if isinstance(b, Note)] == [
        ("revision", "deleted", "", "gone"), ("footnote", "1", "", "At the foot."), ("endnote", "i", "", "At the end."),
        ("comment", "", "Ann", "A remark."),
    ]  # fmt: skip
    assert "gone" not in blocks[0].text


def test_hidden_text_is_not_lost_in_silence() -> None:
    automatic = (
        '<style:style style:name="H" style:family="text"><style:text-properties text:display="none"/></style:style>'
    )
    body = '<text:p>seen <text:span text:style-name="H">unseen</text:span></text:p>'
    blocks = blocks_of("odt", body, automatic=automatic)
    assert [block.text for block in blocks] == ["seen", "unseen"]
    parsed = opened("odt", body, automatic=automatic, options=ReadOptions(hidden=False))
    assert parsed.document.text == "seen"
    assert [item.what for item in parsed.receipt.skipped] == ["hidden text"]


def test_pictures_captions_and_text_boxes() -> None:
    parsed = opened(
        "odt",
        "<text:p><draw:frame><draw:text-box><text:p><draw:frame><draw:image xlink:href='Pictures/a.png'/>"
        "<svg:desc>a dot</svg:desc></draw:frame>Figure 1: The dot</text:p></draw:text-box></draw:frame></text:p>"
        "<text:p>Table <text:sequence text:name='Table'>1</text:sequence>: Counts</text:p>"
        f"<table:table><table:table-row>{cell('a')}{cell('b')}</table:table-row></table:table>"
        "<text:p><draw:custom-shape><text:p>In a shape</text:p></draw:custom-shape></text:p>"
        "<text:p><draw:frame><draw:image xlink:href='Pictures/none.png'/></draw:frame>"
        "<draw:frame><draw:image xlink:href='https://example.org/x.png'/></draw:frame></text:p>",
        **{"Pictures__a.png": PNG},
    )
    first, table, shape_text, linked = parsed.document.blocks
    assert isinstance(first, Picture)
    assert (first.alt, first.caption, first.mime) == ("a dot", "Figure 1: The dot", "image/png")
    assert parsed.document.assets[first.sha256] == PNG
    assert isinstance(table, Table)
    assert table.caption == "Table 1: Counts"
    assert shape_text.text == "In a shape"
    assert isinstance(linked, Picture)
    assert linked.link == "https://example.org/x.png"
    assert [item.what for item in parsed.receipt.skipped] == ["picture"]


def math(inside: str) -> str:
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML"><semantics>{inside}</semantics></math>'


@pytest.mark.parametrize(
    ("inside", "latex"),
    [
        ("<mfrac><mi>a</mi><msup><mi>b</mi><mn>2</mn></msup></mfrac>", r"\frac{a}{b^{2}}"),
        ("<mrow><mi>α</mi><mo>≤</mo><msqrt><mi>x</mi></msqrt></mrow>", r"\alpha\leq\sqrt{x}"),
        ("<munderover><mo>∑</mo><mi>i</mi><mi>n</mi></munderover>", r"\sum_{i}^{n}"),
        ('<mrow><mo fence="true">(</mo><mi>x</mi><mo fence="true">)</mo></mrow>', r"\left(x\right)"),
        ("<mover><mi>v</mi><mo>→</mo></mover>", r"\vec{v}"),
        ("<mrow><mi>sin</mi><mi>x</mi></mrow>", r"\sin x"),
        ('<annotation encoding="StarMath 5.0">x over y</annotation>', "x over y"),
    ],
)
def test_formulas_are_latex(inside: str, latex: str) -> None:
    frame = '<draw:frame><draw:object xlink:href="./Object 1"/></draw:frame>'
    blocks = blocks_of(
        "odt", f"<text:p>{frame}</text:p><text:p>So {frame} holds.</text:p>", **{"Object 1__content_xml": math(inside)}
    )
    assert isinstance(blocks[0], Formula)
    assert blocks[0].latex == latex
    assert blocks[1].text == f"So {latex} holds."
    assert blocks[1].marks == (Mark(3, 3 + len(latex), "formula"),)


def test_a_chart_is_the_table_it_was_drawn_from() -> None:
    chart = part(
        "content",
        '<office:body><office:chart><chart:chart chart:class="chart:bar">'
        "<chart:title><text:p>Ducks</text:p></chart:title>"
        '<table:table table:name="local-table"><table:table-header-columns><table:table-column/>'
        "</table:table-header-columns><table:table-columns><table:table-column/></table:table-columns>"
        f"<table:table-header-rows><table:table-row>{cell('')}{cell('wild')}</table:table-row></table:table-header-rows>"
        f"<table:table-rows><table:table-row>{cell('2024')}{cell('7')}</table:table-row></table:table-rows>"
        "</table:table></chart:chart></office:chart></office:body>",
    )
    table = one_table(
        "odt",
        '<text:p><draw:frame><draw:object xlink:href="./Object 2"/></draw:frame></text:p>',
        **{"Object 2__content_xml": chart},
    )
    assert table.caption == "Bar chart: Ducks"
    assert [table.grid.texts(row) for row in range(2)] == [("", "wild"), ("2024", "7")]
    assert (table.grid.header_rows, table.grid.header_columns) == (1, 1)


def test_an_object_that_holds_itself_ends() -> None:
    inner = part(
        "content",
        "<office:body><office:text><text:p>inside</text:p><text:p><draw:frame><draw:object xlink:href='./Object 1'/>"
        "</draw:frame></text:p></office:text></office:body>",
    )
    parsed = opened(
        "odt",
        '<text:p><draw:frame><draw:object xlink:href="./Object 1"/></draw:frame></text:p>',
        **{"Object 1__content_xml": inner},
    )
    assert parsed.document.text == "inside"


def test_pages_break_where_the_file_says_and_headers_stand_once() -> None:
    automatic = (
        '<style:style style:name="B" style:family="paragraph"><style:paragraph-properties fo:break-before="page"/>'
        "</style:style>"
    )
    styles = (
        '<office:master-styles><style:master-page style:name="Standard">'
        "<style:header><text:p>Top</text:p></style:header><style:footer><text:p>Bottom</text:p></style:footer></style:master-page></office:master-styles>"
    )
    blocks = blocks_of(
        "odt",
        '<text:p text:style-name="B">one</text:p><text:p text:style-name="B">two</text:p>'
        "<text:p>more <text:soft-page-break/>words</text:p><text:p>three</text:p>",
        automatic=automatic, styles=styles,
    )  # fmt: skip
    assert [(type(block).__name__, block.text, block.provenance.page) for block in blocks] == [
        ("Note", "Top", 1), ("Paragraph", "one", 1), ("PageBreak", "", 2), ("Paragraph", "two", 2),
        ("Paragraph", "more words", 2), ("PageBreak", "", 3), ("Paragraph", "three", 3), ("Note", "Bottom", 1),
    ]  # fmt: skip


def test_metadata() -> None:
    parsed = opened(
        "odt",
        "<text:p>x</text:p>",
        meta="<dc:title>茶</dc:title><meta:initial-creator>Ann</meta:initial-creator><meta:keyword>a</meta:keyword>"
        "<meta:keyword>b</meta:keyword><dc:language>zh-CN</dc:language>",
    )
    assert parsed.document.metadata == {"title": "茶", "author": "Ann", "keywords": ["a", "b"]}
    assert parsed.document.language == "zh"


# Spreadsheets


def sheet(name: str, rows: str, columns: str = "", **attributes: str) -> str:
    given = "".join(f' table:{key.replace("_", "-")}="{value}"' for key, value in attributes.items())
    return f'<table:table table:name="{name}"{given}>{columns}{rows}</table:table>'


def test_sheets_come_out_exact_and_repeated_cells_stay_bounded() -> None:
    filler = '<table:table-cell table:number-columns-repeated="16380"/>'
    rows = TWO_ROW_HEADER.replace("</table:table-row>", f"{filler}</table:table-row>") + BODY_ROWS
    rows += f'<table:table-row table:number-rows-repeated="1048572">{filler}</table:table-row>'
    parsed = opened("ods", sheet("Ducks", rows) + sheet("Empty", ""))
    assert [block.text for block in parsed.document.blocks if isinstance(block, Heading)] == ["Ducks", "Empty"]
    (table,) = [block for block in parsed.document.blocks if isinstance(block, Table)]
    assert (table.grid.rows, table.grid.columns, table.grid.header_rows) == (4, 4, 2)
    assert shape(table) == EXACT
    assert (table.provenance.sheet, table.provenance.cells) == ("Ducks", "A1:D4")


def test_values_are_shown_as_the_sheet_shows_them_with_their_format() -> None:
    automatic = (
        '<number:percentage-style style:name="N1"><number:number number:decimal-places="1" '
        'number:min-integer-digits="1"/><number:text>%</number:text></number:percentage-style>'
        '<number:date-style style:name="N2"><number:year number:style="long"/><number:text>-</number:text>'
        '<number:month number:style="long"/><number:text>-</number:text><number:day number:style="long"/>'
        "</number:date-style>"
        '<style:style style:name="ce1" style:family="table-cell" style:data-style-name="N1"/>'
        '<style:style style:name="ce2" style:family="table-cell" style:data-style-name="N2">'
        '<style:table-cell-properties fo:background-color="#FFFF00"/>' + BOLD + "</style:style>"
    )
    rows = (
        f"<table:table-row>{cell('share')}{cell('day')}{cell('sum')}</table:table-row><table:table-row>"
        '<table:table-cell table:style-name="ce1" office:value-type="percentage" office:value="0.256">'
        "<text:p>25.6%</text:p></table:table-cell>"
        '<table:table-cell table:style-name="ce2" office:value-type="date" office:date-value="2024-03-09">'
        "<text:p>2024-03-09</text:p></table:table-cell>"
        '<table:table-cell table:formula="of:=SUM([.A1:.A2])" office:value-type="float" office:value="3"/>'
        "</table:table-row>"
    )
    parsed = opened("ods", sheet("S", rows), automatic=automatic)
    (table,) = [block for block in parsed.document.blocks if isinstance(block, Table)]
    assert [(found.text, found.number_format, found.bold, found.colour) for found in table.grid.cells[3:]] == [
        ("25.6%", "0.0%", False, None), ("2024-03-09", "yyyy-mm-dd", True, "#ffff00"),
        ("3", None, False, None),
    ]  # fmt: skip
    assert table.grid.header_rows == 1
    sheets = parsed.document.metadata["sheets"]
    assert sheets == [{"name": "S", "hidden": False, "formulas": {"C2": "=SUM([.A1:.A2])"}}]


def test_repeated_values_are_repeated_and_too_many_are_refused() -> None:
    row = f'<table:table-row table:number-rows-repeated="3">{cell("x", number_columns_repeated="2")}</table:table-row>'
    table = one_table("ods", sheet("S", row))
    assert [found.text for found in table.grid.cells] == ["x"] * 6
    bomb = (
        '<table:table-row table:number-rows-repeated="1048576">'
        f"{cell('x', number_columns_repeated='16384')}</table:table-row>"
    )
    with pytest.raises(ParsingLimitError, match="repeated"):
        opened("ods", sheet("S", bomb))


def test_hidden_sheets_and_rows_comments_and_links() -> None:
    hiding = '<style:table-properties table:display="false"/>'
    automatic = f'<style:style style:name="ta1" style:family="table">{hiding}</style:style>'
    rows = (
        f"<table:table-row>{cell('a')}{cell('b')}</table:table-row>"
        f'<table:table-row table:visibility="collapse">{cell("c")}{cell("d")}</table:table-row>'
        "<table:table-row><table:table-cell office:value-type='string'><office:annotation><dc:creator>Ann</dc:creator>"
        "<text:p>Look</text:p></office:annotation><text:p><text:a xlink:href='https://example.org/'>there</text:a></text:p>"
        f"</table:table-cell>{cell('e')}</table:table-row>"
    )
    body = sheet("Seen", rows) + sheet("Unseen", f"<table:table-row>{cell('z')}</table:table-row>", style_name="ta1")
    parsed = opened("ods", body, automatic=automatic)
    assert set(parsed.receipt.warnings) == {"The sheet 'Unseen' is hidden.", "The sheet 'Seen' has 1 hidden rows."}
    (note,) = [block for block in parsed.document.blocks if isinstance(block, Note)]
    assert (note.label, note.author, note.text) == ("A3", "Ann", "Look")
    table = next(block for block in parsed.document.blocks if isinstance(block, Table))
    assert table.grid.at(2, 0).nested[0].marks == (Mark(0, 5, "link", "https://example.org/"),)  # type: ignore[union-attr]
    shown = opened("ods", body, automatic=automatic, options=ReadOptions(hidden=False))
    assert sorted((item.what, item.part) for item in shown.receipt.skipped) == [("rows", "Seen"), ("sheet", "Unseen")]
    assert "z" not in shown.document.text


# Presentations


def frame(text: str, left: float, top: float, kind: str = "") -> str:
    said = f' presentation:class="{kind}"' if kind else ""
    return (
        f'<draw:frame{said} svg:x="{left}in" svg:y="{top}in" svg:width="2in" svg:height="0.5in"><draw:text-box>'
        f"<text:p>{text}</text:p></draw:text-box></draw:frame>"
    )


def test_slides_are_pages_with_notes_and_hidden_ones_are_told_of() -> None:
    automatic = (
        '<style:style style:name="dp1" style:family="drawing-page">'
        '<style:drawing-page-properties presentation:visibility="hidden"/></style:style>'
    )
    first = (
        '<draw:page draw:name="a">' + frame("low", 1, 5) + frame("high", 1, 2) + frame("The title", 1, 6, "title")
        + f"<draw:g>{frame('g2', 5, 5)}{frame('g1', 5, 4)}</draw:g>"
        + f"<presentation:notes>{frame('Say this.', 1, 1, 'notes')}</presentation:notes>"
        + "<office:annotation><dc:creator>Bo</dc:creator><text:p>Hm.</text:p></office:annotation></draw:page>"
    )  # fmt: skip
    second = f'<draw:page draw:style-name="dp1">{frame("secret", 1, 1)}</draw:page>'
    parsed = opened("odp", first + second, automatic=automatic)
    blocks = parsed.document.blocks
    assert [block.text for block in blocks] == [
        "The title", "high", "low", "g1", "g2", "Say this.", "Hm.", "", "secret",
    ]  # fmt: skip
    assert isinstance(blocks[0], Heading)
    assert blocks[1].provenance.bbox == Box(72.0, 144.0, 216.0, 180.0)
    assert isinstance(blocks[7], PageBreak)
    assert [block.category for block in blocks if isinstance(block, Note)] == ["speaker", "comment"]
    assert parsed.receipt.warnings == ("Slide 2 is hidden.",)
    left = opened("odp", first + second, automatic=automatic, options=ReadOptions(hidden=False))
    assert "secret" not in left.document.text
    assert [(item.what, item.page) for item in left.receipt.skipped] == [("slide", 2)]
    assert left.receipt.pages_in == 2


def test_a_table_on_a_slide_is_exact() -> None:
    table = one_table(
        "odp",
        '<draw:page><draw:frame svg:x="1cm" svg:y="1cm"><table:table table:use-first-row-styles="true">'
        f"{TWO_ROW_HEADER}{BODY_ROWS}</table:table></draw:frame></draw:page>",
    )
    assert table.grid.header_rows == 2
    assert shape(table) == EXACT


# What may be wrong


@pytest.mark.parametrize("kept", [0.2, 0.6, 0.95])
def test_a_cut_off_file_is_a_clear_error(kept: float) -> None:
    data = packed(parts_of("odt", "<text:p>words</text:p>"))
    with pytest.raises(UnreadableDocumentError, match=r"file\.odt"):
        read(data[: int(len(data) * kept)], "file.odt")


def test_what_is_not_well_formed_or_declares_a_type_is_refused() -> None:
    for content in (
        b"<office:document-content",
        b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
        b'<?xml version="1.0" encoding="none-such"?><x/>',
    ):
        parts = parts_of("odt", "") | {"content.xml": content}
        with pytest.raises(UnreadableDocumentError, match=r"content\.xml"):
            read(packed(parts), "file.odt")


def test_a_spreadsheet_named_a_text_is_read_as_what_it_is() -> None:
    data = packed(parts_of("ods", sheet("S", f"<table:table-row>{cell('a')}{cell('b')}</table:table-row>")))
    parsed = read(data, "file.odt")
    assert parsed.receipt.format == "ods"
    assert "was read as ods" in parsed.receipt.warnings[0]


def test_a_bomb_is_refused() -> None:
    parts = parts_of("odt", "<text:p>" + "x" * (17 << 20) + "</text:p>")
    assert len(zlib.compress(parts["content.xml"])) < 100_000
    with pytest.raises(ParsingLimitError, match="bomb"):
        read(packed(parts), "file.odt")

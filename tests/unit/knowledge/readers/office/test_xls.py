"""The XLS reader against files that xlwt writes, and against what XLSX makes of the same sheet."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable

import openpyxl
import pytest
import xlwt

from polyport_gateway.knowledge.documents import (
    Cell,
    Heading,
    Paragraph,
    Parsed,
    Table,
    UnreadableDocumentError,
)
from polyport_gateway.knowledge.readers import ReadOptions, read


def saved(book: xlwt.Workbook) -> bytes:
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def opened(book: xlwt.Workbook | bytes, **options: object) -> Parsed:
    data = book if isinstance(book, bytes) else saved(book)
    return read(data, "book.xls", ReadOptions(**options))  # type: ignore[arg-type]


def tables(parsed: Parsed) -> list[Table]:
    return [block for block in parsed.document.blocks if isinstance(block, Table)]


def shape(table: Table) -> list[tuple[object, ...]]:
    return [(*cell[:5], cell.column_header, cell.row_header) for cell in table.grid.cells]


@pytest.fixture
def two_row_header() -> xlwt.Workbook:
    book = xlwt.Workbook(encoding="utf-8")
    sheet = book.add_sheet("销售")
    bold = xlwt.easyxf("font: bold on; pattern: pattern solid, fore_colour yellow")
    sheet.write_merge(0, 1, 0, 0, "Region", bold)
    sheet.write_merge(0, 0, 1, 2, "2024", bold)
    sheet.write_merge(0, 1, 3, 3, "Total", bold)
    sheet.write(1, 1, "H1", bold)
    sheet.write(1, 2, "H2", bold)
    for row, values in enumerate((["北", 1, 2.5, 3.5], ["South", 4, 5, 9]), 2):
        for column, value in enumerate(values):
            sheet.write(row, column, value)
    return book


def test_merged_cells_and_a_header_of_two_rows_come_out_exact(two_row_header: xlwt.Workbook) -> None:
    (table,) = tables(opened(two_row_header))
    assert (table.grid.rows, table.grid.columns, table.grid.header_rows) == (4, 4, 2)
    assert shape(table) == [
        (0, 0, 2, 1, "Region", True, False),
        (0, 1, 1, 2, "2024", True, False),
        (0, 3, 2, 1, "Total", True, False),
        (1, 1, 1, 1, "H1", True, False),
        (1, 2, 1, 1, "H2", True, False),
        (2, 0, 1, 1, "北", False, False),
        (2, 1, 1, 1, "1", False, False),
        (2, 2, 1, 1, "2.5", False, False),
        (2, 3, 1, 1, "3.5", False, False),
        (3, 0, 1, 1, "South", False, False),
        (3, 1, 1, 1, "4", False, False),
        (3, 2, 1, 1, "5", False, False),
        (3, 3, 1, 1, "9", False, False),
    ]
    assert table.grid.cells[0].bold
    assert table.grid.cells[0].colour == "#ffff00"
    assert (table.provenance.sheet, table.provenance.cells) == ("销售", "A1:D4")


def test_the_same_sheet_reads_the_same_as_xls_and_as_xlsx() -> None:
    rows = [
        ["name", "share", "price", "day", "long"],
        ["tea", 0.256, 1234.5, dt.date(2024, 3, 9), 1 / 3],
        ["café", 1.0, -2.0, dt.date(1999, 12, 31), True],
    ]
    formats = ["General", "0.0%", '#,##0.00 "€"', "yyyy-mm-dd", "General"]
    old, new = xlwt.Workbook(), openpyxl.Workbook()
    old_sheet, new_sheet = old.add_sheet("Sheet"), new.active
    assert new_sheet is not None
    for row, values in enumerate(rows):
        for column, value in enumerate(values):
            style = xlwt.easyxf(num_format_str=formats[column] if row else "General")
            old_sheet.write(row, column, value, style)
            cell = new_sheet.cell(row + 1, column + 1, value)
            cell.number_format = formats[column] if row else "General"
    buffer = io.BytesIO()
    new.save(buffer)

    def told(parsed: Parsed) -> list[tuple[Cell, ...]]:
        return [table.grid.cells for table in tables(parsed)]

    of_xls, of_xlsx = told(opened(old)), told(read(buffer.getvalue(), "book.xlsx"))
    assert [[(*c[:7], c.number_format) for c in cells] for cells in of_xls] == [
        [(*c[:7], c.number_format) for c in cells] for cells in of_xlsx
    ]
    assert [cell.text for cell in of_xls[0][5:10]] == ["tea", "25.6%", "1,234.50 €", "2024-03-09", "0.333333333333333"]


def test_sheets_regions_hidden_rows_and_links() -> None:
    book = xlwt.Workbook()
    first, second = book.add_sheet("One"), book.add_sheet("Two")
    first.write(0, 0, "A title")
    for row in range(3):
        for column in range(2):
            first.write(row + 2, column, f"a{row}{column}")
            first.write(row + 2, column + 4, f"b{row}{column}")
    first.row(4).hidden = True
    second.write(0, 0, xlwt.Formula('HYPERLINK("https://example.org";"there")'))
    second.write(1, 0, "x")
    second.write(1, 1, "y")
    second.visibility = 1
    parsed = opened(book)
    assert [block.text for block in parsed.document.blocks if isinstance(block, Heading)] == ["One", "Two"]
    assert any(isinstance(block, Paragraph) and block.text == "A title" for block in parsed.document.blocks)
    assert [table.provenance.cells for table in tables(parsed)][:2] == ["A3:B5", "E3:F5"]
    assert "The sheet 'Two' is hidden." in parsed.receipt.warnings
    shown = opened(book, hidden=False)
    assert [table.grid.rows for table in tables(shown)] == [2, 2]
    assert sorted((item.what, item.part) for item in shown.receipt.skipped) == [("rows", "One"), ("sheet", "Two")]


def test_a_sheet_that_stays_in_view_has_its_header_there() -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("S")
    for row in range(4):
        for column in range(3):
            sheet.write(row, column, row * 3 + column)
    sheet.set_panes_frozen(True)
    sheet.set_horz_split_pos(2)
    sheet.set_vert_split_pos(1)
    (table,) = tables(opened(book))
    assert (table.grid.header_rows, table.grid.header_columns) == (2, 1)


def test_a_picture_is_in_the_receipt() -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("S")
    sheet.write(0, 0, "words")
    width = height = 2
    pixels = b"\x00\x00\xff\x00\xff\x00\x00\x00" * height
    header = b"BM" + (54 + len(pixels)).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    header += (40).to_bytes(4, "little") + width.to_bytes(4, "little") + height.to_bytes(4, "little")
    header += b"\x01\x00\x18\x00" + bytes(4) + len(pixels).to_bytes(4, "little") + bytes(16)
    sheet.insert_bitmap_data(header + pixels, 2, 0)
    parsed = opened(book)
    assert any(block.text == "words" for block in parsed.document.blocks)
    assert [(item.what, item.count) for item in parsed.receipt.skipped] == [("picture", 1)]


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:3000], lambda data: data[:600], lambda data: data[:1024] + bytes(len(data) - 1024)],
    ids=["half", "head", "zeros"],
)
def test_a_damaged_file_is_a_clear_error(damage: Callable[[bytes], bytes], two_row_header: xlwt.Workbook) -> None:
    with pytest.raises(UnreadableDocumentError, match=r"book\.xls: ") as caught:
        read(damage(saved(two_row_header)), "book.xls", ReadOptions(format="xls"))
    assert caught.value.code == "unreadable_document"


@pytest.mark.parametrize(("name", "advice"), [("a.doc", "docx"), ("a.ppt", "pptx"), ("a.xlsb", "xlsx")])
def test_formats_that_are_not_read_say_what_to_do(name: str, advice: str) -> None:
    kind = name.partition(".")[2]
    with pytest.raises(UnreadableDocumentError, match=rf"Save it as \.{advice}") as caught:
        read(b"some bytes", name, ReadOptions(format=kind))
    assert caught.value.code == "unsupported_format"

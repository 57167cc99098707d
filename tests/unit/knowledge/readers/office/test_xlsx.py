"""The XLSX reader against files that openpyxl writes."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import openpyxl
import pytest
from openpyxl.chart import BarChart, Reference
from openpyxl.comments import Comment
from openpyxl.styles import Font, PatternFill
from openpyxl.workbook import Workbook
from openpyxl.worksheet.table import Table as DeclaredTable

from polyport_gateway.knowledge.documents import (
    DocumentLossError,
    Heading,
    Mark,
    Note,
    Paragraph,
    Parsed,
    Table,
    UnreadableDocumentError,
)
from polyport_gateway.knowledge.readers import ReadOptions
from polyport_gateway.knowledge.readers import read as read_any
from polyport_gateway.knowledge.readers.office.sheets.formats import number_format
from polyport_gateway.knowledge.readers.office.xlsx import XlsxReader


def saved(book: Workbook) -> bytes:
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def read(book: Workbook | bytes, **options: object) -> Parsed:
    data = book if isinstance(book, bytes) else saved(book)
    return XlsxReader().read(data, "book.xlsx", ReadOptions(**options))  # type: ignore[arg-type]


def tables(parsed: Parsed) -> list[Table]:
    return [block for block in parsed.document.blocks if isinstance(block, Table)]


def part_replaced(data: bytes, part: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, content if name == part else old.read(name))
    return buffer.getvalue()


def test_merged_cells_and_a_header_of_two_rows_come_out_exact() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (["Region", "2024", None, "Total"], [None, "H1", "H2", None], ["North", 1, 2, 3], ["South", 4, 5, 9]):
        sheet.append(row)
    for merged in ("A1:A2", "B1:C1", "D1:D2"):
        sheet.merge_cells(merged)
    (table,) = tables(read(book))
    assert (table.grid.rows, table.grid.columns, table.grid.header_rows) == (4, 4, 2)
    assert [(*cell[:5], cell.column_header) for cell in table.grid.cells] == [
        (0, 0, 2, 1, "Region", True),
        (0, 1, 1, 2, "2024", True),
        (0, 3, 2, 1, "Total", True),
        (1, 1, 1, 1, "H1", True),
        (1, 2, 1, 1, "H2", True),
        (2, 0, 1, 1, "North", False),
        (2, 1, 1, 1, "1", False),
        (2, 2, 1, 1, "2", False),
        (2, 3, 1, 1, "3", False),
        (3, 0, 1, 1, "South", False),
        (3, 1, 1, 1, "4", False),
        (3, 2, 1, 1, "5", False),
        (3, 3, 1, 1, "9", False),
    ]
    assert (table.provenance.sheet, table.provenance.cells) == ("Sheet", "A1:D4")


def test_every_sheet_is_there_and_hidden_ones_are_told_of() -> None:
    book = openpyxl.Workbook()
    book.active.title = "Open"
    book.active["A1"] = "seen"
    other = book.create_sheet("Secret")
    other["A1"] = "unseen"
    other.sheet_state = "hidden"
    parsed = read(book)
    assert [block.text for block in parsed.document.blocks] == ["Open", "seen", "Secret", "unseen"]
    assert isinstance(parsed.document.blocks[0], Heading)
    assert parsed.receipt.warnings == ("The sheet 'Secret' is hidden.",)
    without = read(book, hidden=False)
    assert [block.text for block in without.document.blocks] == ["Open", "seen"]
    assert [entry.part for entry in without.receipt.skipped] == ["Secret"]
    with pytest.raises(DocumentLossError, match="Secret"):
        read(book, hidden=False, strict=True)


def test_hidden_rows_and_columns_are_told_of() -> None:
    book = openpyxl.Workbook()
    for row in (["a", "b", "c"], ["1x", "2x", "3x"], ["4x", "5x", "6x"]):
        book.active.append(row)
    book.active.row_dimensions[2].hidden = True
    book.active.column_dimensions["C"].hidden = True
    parsed = read(book)
    assert parsed.document.metadata["sheets"][0]["hidden_rows"] == [2]
    assert parsed.document.metadata["sheets"][0]["hidden_columns"] == ["C"]
    assert "3x" in parsed.document.text
    without = read(book, hidden=False)
    assert not any(text in without.document.text for text in ("1x", "2x", "3x", "6x"))
    assert "4x" in without.document.text
    assert {entry.what for entry in without.receipt.skipped} == {"rows", "columns"}


def test_several_tables_on_a_sheet_stand_apart() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    for row, column, text in ((1, 1, "Title"), (3, 1, "a"), (3, 2, "b"), (4, 1, 1), (4, 2, 2), (3, 5, "c"), (4, 5, 3)):
        sheet.cell(row, column, text)
    parsed = read(book)
    blocks = parsed.document.blocks[1:]
    assert [(type(block), block.provenance.cells) for block in blocks] == [
        (Paragraph, "A1"),
        (Table, "A3:B4"),
        (Table, "E3:E4"),
    ]


def test_a_declared_table_keeps_its_empty_rows() -> None:
    book = openpyxl.Workbook()
    for row in (["a", "b"], [1, 2], [None, None], [3, 4]):
        book.active.append(row)
    book.active.add_table(DeclaredTable(displayName="T", ref="A1:B4"))
    (table,) = tables(read(book))
    assert (table.grid.rows, table.grid.header_rows) == (4, 1)


def test_values_read_as_they_are_shown_without_losing_digits() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    values = [
        (dt.date(2024, 3, 1), "dd/mm/yyyy"),
        (dt.datetime(2024, 3, 1, 14, 30), "dd/mm/yyyy hh:mm"),  # noqa: DTZ001 - a sheet knows no time zone
        (dt.time(9, 5), "h:mm"),
        (0.2564, "0.0%"),
        (1234.5, '"$"#,##0.00'),
        (-3, "0"),
        (True, "General"),
        (0.1 + 0.2, "General"),
    ]
    for row, (value, code) in enumerate(values, 1):
        sheet.cell(row, 1, value).number_format = code
    (table,) = tables(read(book))
    assert [cell.text for cell in table.grid.cells] == [
        "2024-03-01",
        "2024-03-01 14:30:00",
        "09:05:00",
        "25.64%",
        "$1,234.50",
        "-3",
        "TRUE",
        "0.3",
    ]
    assert table.grid.cells[3].number_format == "0.0%"


@pytest.mark.parametrize(
    ("stored", "code", "text"),
    [
        ("5", "00000", "00005"),
        ("1234567", "#,##0", "1,234,567"),
        ("-1234", "#,##0;(#,##0)", "(1,234)"),
        ("0", '0.0;-0.0;"none"', "none"),
        ("3", '0 "pcs"', "3 pcs"),
        ("12.5", "[$€-407] #,##0.00", "€ 12.50"),
        ("1.25", "[h]:mm", "30:00:00"),
        ("60", "yyyy-mm-dd", "1900-02-29"),
        ("59", "yyyy-mm-dd", "1900-02-28"),
        ("61", "yyyy-mm-dd", "1900-03-01"),
        ("1.5", "mmm d", "1900-01-01 12:00:00"),
        ("123456789012", "0", "123456789012"),
        ("7", "[>=5]0.0;0", "7.0"),
        ("99999999999", "yyyy-mm-dd", "99999999999"),
        ("NaN", "0", "NaN"),
        ("1E+20", "General", "1E+20"),
        ("1E+999", "0", "1E+999"),
        ("007", "General", "007"),
        ("44927", "yyyy年m月d日", "2023-01-01"),
    ],
)
def test_number_formats(stored: str, code: str, text: str) -> None:
    assert number_format(code).text(stored) == text


def test_formulas_show_their_result_and_stand_in_the_metadata() -> None:
    book = openpyxl.Workbook()
    for row in (["a", "b"], [1, "=A2*2"]):
        book.active.append(row)
    data = saved(book)
    (table,) = tables(parsed := read(data))
    assert table.grid.at(1, 1).text == "=A2*2"  # type: ignore[union-attr]
    assert "1 formulas without a stored result" in parsed.receipt.warnings[0]
    with zipfile.ZipFile(io.BytesIO(data)) as container:
        xml = container.read("xl/worksheets/sheet1.xml").replace(b"<f>A2*2</f><v></v>", b"<f>A2*2</f><v>2</v>")
        xml = xml.replace(b"<f>A2*2</f><v />", b"<f>A2*2</f><v>2</v>").replace(
            b"<f>A2*2</f><v/>", b"<f>A2*2</f><v>2</v>"
        )
    (table,) = tables(parsed := read(part_replaced(data, "xl/worksheets/sheet1.xml", xml)))
    assert table.grid.at(1, 1).text == "2"  # type: ignore[union-attr]
    assert parsed.document.metadata["sheets"][0]["formulas"] == {"B2": "=A2*2"}
    assert parsed.receipt.warnings == ()


def test_bold_colour_links_and_comments_stay() -> None:
    book = openpyxl.Workbook()
    for row in (["name", "site"], ["late", "here"]):
        book.active.append(row)
    book.active["A2"].font = Font(bold=True)
    book.active["A2"].fill = PatternFill("solid", fgColor="FFFF0000")
    book.active["B2"].hyperlink = "https://example.org/"
    book.active["A2"].comment = Comment("why?", "Ann")
    parsed = read(book)
    (table,) = tables(parsed)
    late, here = table.grid.row(1)
    assert (late.bold, late.colour) == (True, "#ff0000")
    assert here.nested[0].marks == (Mark(0, 4, "link", "https://example.org/"),)
    (note,) = [block for block in parsed.document.blocks if isinstance(block, Note)]
    assert (note.text, note.author, note.label) == ("why?", "Ann", "A2")


def test_frozen_panes_say_what_is_a_header() -> None:
    book = openpyxl.Workbook()
    for row in (["", 2019, 2020], ["x", 1, 2], ["y", 3, 4]):
        book.active.append(row)
    book.active["A1"] = "of"
    book.active.freeze_panes = "B2"
    (table,) = tables(read(book))
    assert [cell.column_header for cell in table.grid.row(0)] == [True, True, True]
    assert [cell.row_header for cell in table.grid.row(1)] == [True, False, False]


def test_a_chart_without_stored_values_is_in_the_receipt() -> None:
    book = openpyxl.Workbook()
    for row in (["a", "b"], [1, 2]):
        book.active.append(row)
    chart = BarChart()
    chart.add_data(Reference(book.active, min_col=2, min_row=1, max_row=2), titles_from_data=True)
    book.active.add_chart(chart, "D1")
    parsed = read(book)
    assert [entry.what for entry in parsed.receipt.skipped] == ["chart"]


def sheet_xml(inside: str) -> bytes:
    return (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
        '<row r="1"><c r="A1" t="inlineStr"><is><t>a</t></is></c></row>'
        f'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>{inside}</worksheet>'
    ).encode()


def test_merges_of_billions_of_cells_and_overlaps_are_dropped_and_told_of() -> None:
    merges = '<mergeCells><mergeCell ref="A1:XFD1048576"/><mergeCell ref="A1:B2"/><mergeCell ref="B2:C3"/></mergeCells>'
    data = part_replaced(saved(openpyxl.Workbook()), "xl/worksheets/sheet1.xml", sheet_xml(merges))
    parsed = read(data)
    assert "2 merged areas" in parsed.receipt.warnings[0]
    assert parsed.document.blocks[-1].text == "1"


@pytest.mark.parametrize(
    "sheet",
    [
        b"<worksheet",
        b'<!DOCTYPE a [<!ENTITY x "y">]><worksheet>&x;</worksheet>',
    ],
)
def test_a_bad_sheet_is_refused(sheet: bytes) -> None:
    data = part_replaced(saved(openpyxl.Workbook()), "xl/worksheets/sheet1.xml", sheet)
    with pytest.raises(UnreadableDocumentError, match=r"^book\.xlsx: its part 'xl/worksheets/sheet1\.xml'"):
        read(data)


@pytest.mark.parametrize("value", ["²", "-1", "", "9" * 5000, "x"])
def test_impossible_values_are_told_of_or_passed_over(value: str) -> None:
    data = saved(openpyxl.Workbook())
    with zipfile.ZipFile(io.BytesIO(data)) as container:
        parts = {name: container.read(name).decode() for name in container.namelist() if name.endswith(".xml")}
    changed = 0
    for part in ("xl/workbook.xml", "xl/styles.xml", "xl/worksheets/sheet1.xml"):
        for number in re.findall(r'="\d+"', parts[part])[:20]:
            bad = part_replaced(data, part, parts[part].replace(number, f'="{value}"', 1).encode())
            with contextlib.suppress(UnreadableDocumentError):
                read(bad)
            changed += 1
    assert changed > 10


LIMITED = """
import resource, sys
from pathlib import Path
from polyport_gateway.knowledge.readers import ReadOptions
from polyport_gateway.knowledge.readers import read as read_any
from polyport_gateway.knowledge.readers.office.xlsx import XlsxReader
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
document = XlsxReader().read(Path(sys.argv[1]).read_bytes(), "big.xlsx", ReadOptions()).document
grid = document.blocks[-1].grid
print(grid.rows, grid.columns, *grid.texts(grid.rows - 1))
"""


@pytest.mark.slow
def test_a_sheet_of_a_hundred_thousand_rows_is_read_whole_in_a_gibibyte(tmp_path: Path) -> None:
    rows = "".join(
        f'<row r="{n}"><c r="A{n}"><v>{n}</v></c><c r="B{n}"><v>0.5</v></c></row>' for n in range(1, 100_001)
    )
    sheet = (
        f'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{rows}</sheetData>'
    )
    big = tmp_path / "big.xlsx"
    big.write_bytes(
        part_replaced(saved(openpyxl.Workbook()), "xl/worksheets/sheet1.xml", f"{sheet}</worksheet>".encode())
    )
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, big], capture_output=True, text=True, timeout=110, check=False
    )
    assert (done.stdout, done.stderr) == ("100000 2 100000 0.5\n", "")


def test_an_embedded_file_is_read_or_told_of() -> None:
    data = saved(openpyxl.Workbook())
    r = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    objects = (
        f'<oleObjects xmlns:r="{r}"><oleObject progId="Text" shapeId="1" r:id="o1"/>'
        '<oleObject progId="Odd" shapeId="2" r:id="o2"/></oleObjects></worksheet>'
    )
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").replace(b"</worksheet>", objects.encode())
    rels = "".join(
        f'<Relationship Id="o{number}" Type="{r}/oleObject" Target="../embeddings/{name}"/>'
        for number, name in enumerate(("a.html", "b.bin"), 1)
    )
    whole = (
        f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{rels}</Relationships>'
    )
    buffer = io.BytesIO(part_replaced(data, "xl/worksheets/sheet1.xml", sheet))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("xl/worksheets/_rels/sheet1.xml.rels", whole)
        archive.writestr("xl/embeddings/a.html", "<!doctype html><p>inside</p>")
        archive.writestr("xl/embeddings/b.bin", b"\0\1\2")
    parsed = read_any(buffer.getvalue(), "book.xlsx")
    assert [(block.text, block.provenance.part) for block in parsed.document.blocks][1:] == [("inside", "a.html")]
    assert [(item.what, item.part) for item in parsed.receipt.skipped] == [("embedded object", "b.bin")]

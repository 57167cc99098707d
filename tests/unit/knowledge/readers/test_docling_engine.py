"""docling where it is asked for: its document becomes ours, and what it lacks is said."""

from __future__ import annotations

import base64
import io
import os
import subprocess
import sys

import pytest

from polyport.errors import MissingDependencyError
from polyport_gateway.knowledge.documents import (
    DocumentBuilder,
    UnreadableDocumentError,
    UnsupportedFormatError,
    source_of,
)
from polyport_gateway.knowledge.parsing import ParserPool
from polyport_gateway.knowledge.readers import ReadOptions, engines

from .samples import SAMPLES

docling = pytest.mark.requires("docling")
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def word_file():
    from docx import Document

    made = Document()
    made.add_heading("Tea", 1)
    paragraph = made.add_paragraph("Very ")
    paragraph.add_run("hot").bold = True
    made.add_paragraph("one", style="List Bullet")
    made.add_paragraph("two", style="List Number")
    table = made.add_table(2, 2)
    table.cell(0, 0).merge(table.cell(0, 1)).text = "both"
    table.cell(1, 0).text, table.cell(1, 1).text = "1", "2"
    made.add_picture(io.BytesIO(PNG))
    target = io.BytesIO()
    made.save(target)
    return target.getvalue()


def found(document):
    return [(block.kind, getattr(block, "level", None), block.text) for block in document.blocks]


@docling
def test_a_word_file(read_file):
    parsed = read_file(word_file(), "tea.docx", engine="docling")
    document = parsed.document
    assert found(document)[:4] == [
        ("heading", 1, "Tea"), ("paragraph", None, "Very hot"), ("list_item", 1, "one"), ("list_item", 1, "two"),
    ]  # fmt: skip
    assert document.blocks[1].marks == ((5, 8, "bold", ""),)
    assert [block.ordered for block in document.blocks[2:4]] == [False, True]
    table = next(block for block in document.blocks if block.kind == "table")
    assert [(cell.row_span, cell.column_span, cell.text) for cell in table.grid.cells] == [
        (1, 2, "both"), (1, 1, "1"), (1, 1, "2"),
    ]  # fmt: skip
    assert len(document.assets) == 1
    assert (parsed.receipt.reader, document.metadata["engine"]) == ("docling", "docling")


@docling
def test_a_sheet_and_a_page(read_file):
    from openpyxl import Workbook

    book = Workbook()
    book.active.title = "Prices"
    for row in (("what", "price"), ("tea", 3)):
        book.active.append(row)
    target = io.BytesIO()
    book.save(target)
    table = read_file(target.getvalue(), "a.xlsx", engine="docling").document.blocks[0]
    assert (table.grid.texts(1), table.provenance.sheet, table.provenance.cells) == (("tea", "3"), "Prices", "A1:B2")
    html = "<html><body><h1>Tea</h1><p>so <b>hot</b>, yes</p><pre><code>x = 1</code></pre></body></html>"
    assert found(read_file(html, "a.html", engine="docling").document) == [
        ("heading", 1, "Tea"), ("paragraph", None, "so hot, yes"), ("code", None, "x = 1"),
    ]  # fmt: skip


@docling
def test_places_and_notes_of_a_document_by_models():
    from docling_core.types.doc import document as d
    from docling_core.types.doc.base import BoundingBox, CoordOrigin, Size
    from docling_core.types.doc.labels import DocItemLabel

    from polyport_gateway.knowledge.readers.docling_engine.conversion import Conversion

    made = d.DoclingDocument(name="a")
    made.add_page(page_no=1, size=Size(width=600, height=800))
    made.add_page(page_no=2, size=Size(width=600, height=800))

    def at(page):
        box = BoundingBox(l=10, t=790, r=110, b=770, coord_origin=CoordOrigin.BOTTOMLEFT)
        return d.ProvenanceItem(page_no=page, bbox=box, charspan=(0, 1))

    made.add_title("Tea", prov=at(1))
    made.add_heading("Hot", level=1, prov=at(1))
    made.add_text(DocItemLabel.PAGE_HEADER, "head", prov=at(1))
    made.add_text(DocItemLabel.FOOTNOTE, "foot", prov=at(1))
    made.add_formula("x^2", prov=at(2))
    made.add_code("x = 1", code_language=d.CodeLanguageLabel.PYTHON, prov=at(2))
    caption = made.add_text(DocItemLabel.CAPTION, "Table 1", prov=at(2))
    cells = [
        d.TableCell(text=text, start_row_offset_idx=row, end_row_offset_idx=bottom, start_col_offset_idx=column,
                    end_col_offset_idx=right, column_header=row == 0)
        for text, row, bottom, column, right in (
            ("a", 0, 1, 0, 2), ("1", 1, 2, 0, 1), ("2", 1, 2, 1, 2), ("lost", 1, 2, 1, 2),
        )
    ]  # fmt: skip
    made.add_table(d.TableData(table_cells=cells, num_rows=2, num_cols=2), caption=caption, prov=at(2))
    builder = DocumentBuilder(source_of(b"%PDF-", "a.pdf", "application/pdf"))
    conversion = Conversion(made, builder, "pdf", ReadOptions())
    conversion.run()
    document = builder.build()
    assert [(block.kind, block.provenance.page) for block in document.blocks] == [
        ("heading", 1), ("heading", 1), ("note", 1), ("note", 1), ("page_break", 2), ("formula", 2), ("code", 2),
        ("table", 2),
    ]  # fmt: skip
    assert [block.level for block in document.blocks[:2]] == [1, 2]
    assert document.blocks[0].provenance.bbox == (10, 10, 110, 30)
    assert [block.category for block in document.blocks[2:4]] == ["header", "footnote"]
    assert document.blocks[6].language == "python"
    assert document.blocks[7].caption == "Table 1"
    assert document.blocks[7].grid.header_rows == 1
    assert [(left.what, left.count) for left in conversion.skipped] == [("cell", 1)]


def test_what_an_engine_does_not_read_ours_does(read_file):
    parsed = read_file("a: 1\n", "a.yaml", engine="docling")
    assert parsed.receipt.reader == "structured"
    assert "docling does not read yaml" in parsed.receipt.warnings[0]


def test_an_engine_that_is_none_is_said(read_file):
    with pytest.raises(UnsupportedFormatError, match=r"a\.md.*no engine 'magic'.*docling"):
        read_file("a", "a.md", engine="magic")


def test_the_engine_comes_by_its_entry_point():
    assert engines()["docling"].name == "docling"


@docling
def test_models_that_are_not_there_are_said(read_file, monkeypatch):
    if "torch" not in sys.modules:
        monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises((MissingDependencyError, UnreadableDocumentError), match=r"docling-models|ARTIFACTS_PATH"):
        read_file(b"%PDF-1.4\n", "a.pdf", engine="docling")


@pytest.mark.slow
@docling
@pytest.mark.requires("reportlab")
def test_a_folder_without_models_is_said(tmp_path):
    file = tmp_path / "a.pdf"
    file.write_bytes(SAMPLES["pdf"]())
    # Far enough to where docling looks for its models: torch itself is not asked for anything yet.
    code = """
import importlib.machinery, sys
from unittest.mock import MagicMock
for name in ("torch", "torch.nn", "torch.nn.functional", "torch.cuda", "torch.backends", "torchvision", "transformers"):
    if name not in sys.modules:
        stand_in = MagicMock(__spec__=importlib.machinery.ModuleSpec(name, None), __version__="2.5.0", __path__=[])
        sys.modules[name] = stand_in
from polyport_gateway.knowledge.readers import ReadOptions, read
try:
    read(open(sys.argv[1], "rb").read(), "a.pdf", ReadOptions(engine="docling"))
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(file)],
        env={**os.environ, "DOCLING_ARTIFACTS_PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "UnreadableDocumentError a.pdf: docling's models can't be loaded" in done.stdout, done.stderr[-2000:]
    assert "docling-tools models download" in done.stdout


@docling
def test_a_damaged_file_is_an_error(read_file):
    data = word_file()
    for broken in (data[:500], data[: len(data) // 2] + bytes(40) + data[len(data) // 2 + 40 :]):
        with pytest.raises(UnreadableDocumentError, match=r"tea\.docx"):
            read_file(broken, "tea.docx", engine="docling", format="docx")


@docling
@pytest.mark.anyio
async def test_in_the_pool_too():
    async with ParserPool(workers=1) as pool:
        parsed = await pool.parse(word_file(), "tea.docx", ReadOptions(engine="docling"))
    assert found(parsed.document)[0] == ("heading", 1, "Tea")


def test_nothing_of_docling_is_loaded_unasked():
    code = (
        "import sys; from polyport_gateway.knowledge.readers import read, engines; engines(); read(b'# a', 'a.md');"
        "raise SystemExit(any(name.split('.')[0] in ('docling', 'docling_core', 'torch') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

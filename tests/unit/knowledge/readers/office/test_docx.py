"""The DOCX reader against files that python-docx writes."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable

import docx
import pytest
from docx.document import Document as DocxFile
from docx.enum.style import WD_STYLE_TYPE
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls, qn

from polyport_gateway.knowledge.documents import (
    Cell,
    Code,
    DocumentLossError,
    EncryptedDocumentError,
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
from polyport_gateway.knowledge.readers import ReadOptions
from polyport_gateway.knowledge.readers.office.docx import DocxReader

M = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PNG = (
    b"\x89PNG\r\n\x1a\n"
    + _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    + _chunk(b"IDAT", zlib.compress(b"\0\0"))
    + _chunk(b"IEND", b"")
)


def saved(file: DocxFile) -> bytes:
    buffer = io.BytesIO()
    file.save(buffer)
    return buffer.getvalue()


def read(file: DocxFile | bytes, **options: object) -> Parsed:
    data = file if isinstance(file, bytes) else saved(file)
    return DocxReader().read(data, "file.docx", ReadOptions(**options))  # type: ignore[arg-type]


def rewritten(data: bytes, change: Callable[[str, bytes], bytes | None]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            content = change(entry.filename, old.read(entry))
            if content is not None:
                new.writestr(entry.filename, content)
    return buffer.getvalue()


def shape(cell: Cell) -> tuple[int, int, int, int, str, bool]:
    return cell.row, cell.column, cell.row_span, cell.column_span, cell.text, cell.column_header


def test_headings_stand_under_the_title() -> None:
    file = docx.Document()
    file.add_heading("Whole", 0)
    file.add_heading("First", 1)
    file.add_heading("Inner", 2)
    document = read(file).document
    assert [(block.level, block.text) for block in document.blocks if isinstance(block, Heading)] == [
        (1, "Whole"),
        (2, "First"),
        (3, "Inner"),
    ]


def test_marks_cover_exactly_their_words() -> None:
    file = docx.Document()
    paragraph = file.add_paragraph("Plain ")
    paragraph.add_run("bold ").bold = True
    paragraph.add_run("both").bold = True
    paragraph.runs[-1].italic = True
    paragraph.add_run(" x")
    paragraph.add_run("2").font.superscript = True
    (block,) = read(file).document.blocks
    assert block.text == "Plain bold both x2"
    assert block.marks == (Mark(6, 15, "bold"), Mark(11, 15, "italic"), Mark(17, 18, "superscript"))


def test_a_link_keeps_its_target() -> None:
    file = docx.Document()
    paragraph = file.add_paragraph("See ")
    id_ = file.part.relate_to("https://example.org/a", docx.opc.constants.RELATIONSHIP_TYPE.HYPERLINK, is_external=True)
    paragraph._p.append(
        parse_xml(f'<w:hyperlink {nsdecls("w", "r")} r:id="{id_}"><w:r><w:t>this page</w:t></w:r></w:hyperlink>')
    )
    (block,) = read(file).document.blocks
    assert block.text == "See this page"
    assert block.marks == (Mark(4, 13, "link", "https://example.org/a"),)


def test_merged_cells_and_a_header_of_two_rows_come_out_exact() -> None:
    file = docx.Document()
    table = file.add_table(4, 4)
    table.cell(0, 0).merge(table.cell(1, 0)).text = "Region"
    table.cell(0, 1).merge(table.cell(0, 2)).text = "2024"
    table.cell(0, 3).merge(table.cell(1, 3)).text = "Total"
    for column, text in ((1, "H1"), (2, "H2")):
        table.cell(1, column).text = text
    for row in (0, 1):
        table.rows[row]._tr.get_or_add_trPr().append(parse_xml(f"<w:tblHeader {nsdecls('w')}/>"))
    for column in range(4):
        table.cell(2, column).text = f"r2c{column}"
    table.cell(3, 1).merge(table.cell(3, 3)).text = "wide"
    (block,) = read(file).document.blocks
    assert isinstance(block, Table)
    assert (block.grid.rows, block.grid.columns, block.grid.header_rows) == (4, 4, 2)
    assert [shape(cell) for cell in block.grid.cells] == [
        (0, 0, 2, 1, "Region", True),
        (0, 1, 1, 2, "2024", True),
        (0, 3, 2, 1, "Total", True),
        (1, 1, 1, 1, "H1", True),
        (1, 2, 1, 1, "H2", True),
        (2, 0, 1, 1, "r2c0", False),
        (2, 1, 1, 1, "r2c1", False),
        (2, 2, 1, 1, "r2c2", False),
        (2, 3, 1, 1, "r2c3", False),
        (3, 0, 1, 1, "", False),
        (3, 1, 1, 3, "wide", False),
    ]


def test_a_header_of_two_rows_is_seen_without_a_mark() -> None:
    file = docx.Document()
    table = file.add_table(3, 3)
    table.cell(0, 0).merge(table.cell(1, 0)).text = "Region"
    table.cell(0, 1).merge(table.cell(0, 2)).text = "2024"
    (block,) = read(file).document.blocks
    assert isinstance(block, Table)
    assert block.grid.header_rows == 2


def test_a_table_inside_a_cell_keeps_its_grid() -> None:
    file = docx.Document()
    table = file.add_table(2, 2)
    table.cell(1, 1).text = "before"
    inner = table.cell(1, 1).add_table(2, 2)
    inner.cell(0, 0).text, inner.cell(0, 1).text = "A", "B"
    inner.cell(1, 0).merge(inner.cell(1, 1)).text = "both"
    parsed = read(file)
    (block,) = parsed.document.blocks
    assert isinstance(block, Table)
    cell = block.grid.at(1, 1)
    assert cell is not None
    assert cell.text == "before\nA\tB\nboth"
    paragraph, nested = cell.nested
    assert isinstance(paragraph, Paragraph)
    assert isinstance(nested, Table)
    assert [shape(inside)[:5] for inside in nested.grid.cells] == [
        (0, 0, 1, 1, "A"),
        (0, 1, 1, 1, "B"),
        (1, 0, 1, 2, "both"),
    ]
    assert parsed.receipt.tables == 2


def test_a_single_cell_is_a_frame_around_its_table() -> None:
    file = docx.Document()
    inner = file.add_table(1, 1).cell(0, 0).add_table(2, 2)
    inner.cell(1, 0).merge(inner.cell(1, 1)).text = "both"
    (block,) = read(file).document.blocks
    assert isinstance(block, Table)
    assert [shape(cell)[:5] for cell in block.grid.cells][2:] == [(1, 0, 1, 2, "both")]


def test_bold_and_colour_of_a_cell_stay() -> None:
    file = docx.Document()
    table = file.add_table(1, 2)
    table.cell(0, 0).paragraphs[0].add_run("late").bold = True
    table.cell(0, 1)._tc.get_or_add_tcPr().append(parse_xml(f'<w:shd {nsdecls("w")} w:val="clear" w:fill="FF0000"/>'))
    (block,) = read(file).document.blocks
    assert isinstance(block, Table)
    assert [(cell.bold, cell.colour) for cell in block.grid.cells] == [(True, None), (False, "#ff0000")]


def test_lists_are_counted_as_word_shows_them() -> None:
    file = docx.Document()
    for style, text in (
        ("List Number", "one"),
        ("List Number", "two"),
        ("List Bullet", "dot"),
        ("List Number", "three"),
        ("List Bullet 2", "deeper"),
    ):
        file.add_paragraph(text, style=style)
    items = [block for block in read(file).document.blocks if isinstance(block, ListItem)]
    assert [(item.marker, item.ordered, item.text) for item in items] == [
        ("1.", True, "one"),
        ("2.", True, "two"),
        ("•", False, "dot"),
        ("3.", True, "three"),
        ("•", False, "deeper"),
    ]


def test_formulas_become_latex() -> None:
    file = docx.Document()
    fraction = "<m:f><m:num><m:r><m:t>1</m:t></m:r></m:num><m:den><m:r><m:t>2</m:t></m:r></m:den></m:f>"
    power = "<m:sSup><m:e><m:r><m:t>x</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup>"
    file.add_paragraph()._p.append(parse_xml(f"<m:oMathPara {M}><m:oMath>{fraction}</m:oMath></m:oMathPara>"))
    inline = file.add_paragraph("so ")
    inline._p.append(parse_xml(f"<m:oMath {M}>{power}</m:oMath>"))
    own, within = read(file).document.blocks
    assert isinstance(own, Formula)
    assert own.latex == r"\frac{1}{2}"
    assert (within.text, within.marks) == ("so x^{2}", (Mark(3, 8, "formula"),))


def test_pictures_keep_bytes_and_alternative_text() -> None:
    file = docx.Document()
    file.add_picture(io.BytesIO(PNG))
    file.inline_shapes[0]._inline.docPr.set("descr", "a dot")
    document = read(file).document
    (picture,) = document.blocks
    assert isinstance(picture, Picture)
    assert (picture.alt, picture.mime, document.assets[picture.sha256]) == ("a dot", "image/png", PNG)


def test_comments_headers_and_deleted_text_become_notes() -> None:
    file = docx.Document()
    file.sections[0].header.paragraphs[0].text = "Top"
    file.sections[0].footer.paragraphs[0].text = "Bottom"
    paragraph = file.add_paragraph("Said")
    file.add_comment(paragraph.runs, text="Really?", author="Ann")
    paragraph._p.append(parse_xml(f'<w:del {nsdecls("w")} w:id="9"><w:r><w:delText>gone</w:delText></w:r></w:del>'))
    document = read(file).document
    notes = [(note.category, note.text, note.author) for note in document.blocks if isinstance(note, Note)]
    assert notes == [
        ("header", "Top", ""),
        ("revision", "gone", ""),
        ("comment", "Really?", "Ann"),
        ("footer", "Bottom", ""),
    ]
    assert [block.text for block in document.blocks if isinstance(block, Paragraph)] == ["Said"]


def test_hidden_text_is_apart_or_left_out_as_asked() -> None:
    file = docx.Document()
    file.add_paragraph("Shown").add_run("unseen").font.hidden = True
    shown, hidden = read(file).document.blocks
    assert (shown.text, hidden.text) == ("Shown", "unseen")
    assert isinstance(hidden, Note)
    parsed = read(file, hidden=False)
    assert parsed.document.text == "Shown"
    assert [entry.what for entry in parsed.receipt.skipped] == ["hidden text"]
    with pytest.raises(DocumentLossError, match=r"file\.docx, page 1: a hidden text was left out"):
        read(file, hidden=False, strict=True)


def test_page_breaks_count_pages() -> None:
    file = docx.Document()
    file.add_paragraph("one")
    file.add_page_break()
    file.add_paragraph("two")
    parsed = read(file)
    assert [type(block) for block in parsed.document.blocks] == [Paragraph, PageBreak, Paragraph]
    assert [block.provenance.page for block in parsed.document.blocks] == [1, 2, 2]
    assert (parsed.receipt.pages_in, parsed.receipt.characters) == (2, (3, 3))


def test_text_boxes_are_read_once() -> None:
    box = "<w:txbxContent><w:p><w:r><w:t>boxed</w:t></w:r></w:p></w:txbxContent>"
    names = nsdecls("w") + (
        ' xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
        ' xmlns:v="urn:schemas-microsoft-com:vml"'
        ' xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"'
    )
    file = docx.Document()
    run = file.add_paragraph("beside").runs[0]._r
    run.append(
        parse_xml(
            f'<mc:AlternateContent {names}><mc:Choice Requires="wps"><w:drawing><wps:txbx>{box}</wps:txbx></w:drawing>'
            f"</mc:Choice><mc:Fallback><w:pict><v:textbox>{box}</v:textbox></w:pict></mc:Fallback>"
            "</mc:AlternateContent>"
        )
    )
    assert [block.text for block in read(file).document.blocks] == ["beside", "boxed"]


def test_lines_of_code_are_one_block() -> None:
    file = docx.Document()
    style = file.styles.add_style("Source Code", 1)
    for line in ("def f():", "    return 1"):
        file.add_paragraph(line, style=style)
    (block,) = read(file).document.blocks
    assert isinstance(block, Code)
    assert block.text == "def f():\n    return 1"


def test_writers_preformatted_text_is_code_with_its_empty_lines() -> None:
    file = docx.Document()
    file.styles.add_style("Preformatted Text", WD_STYLE_TYPE.PARAGRAPH)
    for line in ("def f(x):", "    if x:", "", "        return 1"):
        file.add_paragraph(line, style="Preformatted Text")
    (code,) = read(file).document.blocks
    assert (code.kind, code.text) == ("code", "def f(x):\n    if x:\n\n        return 1")


def test_a_blank_bullet_is_no_bullet() -> None:
    # Pandoc writes the further paragraphs of an item as those of a list whose bullet is a blank.
    file = docx.Document()
    file.add_paragraph("item", style="List Bullet")
    file.add_paragraph("more of it", style="List Bullet 2")
    number = file.styles["List Bullet 2"].element.find(f".//{qn('w:numId')}").get(qn("w:val"))
    numbering = file.part.numbering_part.element
    abstract = numbering.find(f"{qn('w:num')}[@{qn('w:numId')}='{number}']/{qn('w:abstractNumId')}").get(qn("w:val"))
    level = numbering.find(f"{qn('w:abstractNum')}[@{qn('w:abstractNumId')}='{abstract}']/{qn('w:lvl')}")
    level.find(qn("w:lvlText")).set(qn("w:val"), " ")
    assert [block.kind for block in read(file).document.blocks] == ["list_item", "paragraph"]


def test_a_missing_picture_is_in_the_receipt() -> None:
    file = docx.Document()
    file.add_paragraph("text")
    file.add_picture(io.BytesIO(PNG))
    data = rewritten(saved(file), lambda name, content: None if "media/" in name else content)
    parsed = read(data)
    assert parsed.document.text == "text"
    assert [entry.what for entry in parsed.receipt.skipped] == ["picture"]
    with pytest.raises(DocumentLossError):
        read(data, strict=True)


def test_linked_pictures_are_never_fetched() -> None:
    file = docx.Document()
    file.add_picture(io.BytesIO(PNG))
    id_ = file.part.relate_to("http://192.0.2.1/x.png", docx.opc.constants.RELATIONSHIP_TYPE.IMAGE, is_external=True)
    blip = next(file.element.body.iter(qn("a:blip")))
    del blip.attrib[qn("r:embed")]
    blip.set(qn("r:link"), id_)
    (picture,) = read(file).document.blocks
    assert isinstance(picture, Picture)
    assert (picture.link, picture.sha256) == ("http://192.0.2.1/x.png", "")


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE w [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
    b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">&b;</w:document>'
)


@pytest.mark.parametrize(
    ("main", "message"),
    [
        (BOMB, "declares a document type"),
        (BOMB.decode().encode("utf-16"), "declares a document type"),
        (b"<w:document", "not readable"),
        (b"<other/>", "no Word document"),
    ],
)
def test_a_bad_main_part_is_refused(main: bytes, message: str) -> None:
    data = rewritten(saved(docx.Document()), lambda name, content: main if name == "word/document.xml" else content)
    with pytest.raises(UnreadableDocumentError, match=message):
        read(data)


def test_deep_nesting_is_refused() -> None:
    w = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    deep = b"<w:sdt><w:sdtContent>" * 5000
    body = f'<w:document xmlns:w="{w}"><w:body>'.encode() + deep + deep.replace(b"<", b"</") + b"</w:body></w:document>"
    body = body.replace(b"</w:sdt></w:sdtContent>", b"</w:sdtContent></w:sdt>")
    data = rewritten(saved(docx.Document()), lambda name, content: body if name == "word/document.xml" else content)
    with pytest.raises(UnreadableDocumentError, match="nest"):
        read(data)


@pytest.mark.parametrize("kept", [0, 10, 2000, -30])
def test_a_truncated_file_is_an_error_that_names_it(kept: int) -> None:
    whole = saved(docx.Document())
    with pytest.raises(UnreadableDocumentError, match=r"^file\.docx: "):
        read(whole[:kept] if kept else b"")


def test_a_file_with_a_password_is_told_apart() -> None:
    data = bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 1000 + "EncryptedPackage".encode("utf-16-le") + b"\0" * 100
    with pytest.raises(EncryptedDocumentError, match="password"):
        read(data)


def test_a_zip_bomb_is_refused_before_it_is_unpacked() -> None:
    data = rewritten(
        saved(docx.Document()), lambda name, content: b" " * (64 << 20) if name == "word/document.xml" else content
    )
    with pytest.raises(ParsingLimitError, match="ZIP bomb"):
        read(data)
    with pytest.raises(ParsingLimitError, match="are allowed"):
        read(saved(docx.Document()), max_unpacked_bytes=1000)

"""The PPTX reader against files that python-pptx writes."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable

import openpyxl
import pptx
import pytest
from lxml import etree
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.presentation import Presentation as PptxFile
from pptx.util import Emu, Pt

from polyport_gateway.knowledge.documents import (
    Box,
    DocumentLossError,
    Formula,
    Heading,
    ListItem,
    Mark,
    Note,
    PageBreak,
    Paragraph,
    Parsed,
    Picture,
    Provenance,
    Table,
    UnreadableDocumentError,
)
from polyport_gateway.knowledge.readers import ReadOptions, read
from polyport_gateway.knowledge.readers.office.charts import chart_table
from polyport_gateway.knowledge.readers.office.xml import parse

A = "http://schemas.openxmlformats.org/drawingml/2006/main"
BLANK, TITLE_AND_BODY = 6, 1


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PNG = (
    b"\x89PNG\r\n\x1a\n"
    + _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    + _chunk(b"IDAT", zlib.compress(b"\0\0"))
    + _chunk(b"IEND", b"")
)


def saved(file: PptxFile) -> bytes:
    buffer = io.BytesIO()
    file.save(buffer)
    return buffer.getvalue()


def opened(file: PptxFile | bytes, **options: object) -> Parsed:
    data = file if isinstance(file, bytes) else saved(file)
    return read(data, "deck.pptx", ReadOptions(**options))  # type: ignore[arg-type]


def changed(data: bytes, change: Callable[[str, bytes], bytes | None], **more: bytes) -> bytes:
    """Change the parts of a file; None takes one out."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
        for name, content in more.items():
            new.writestr(name, content)
    return buffer.getvalue()


def box(file: PptxFile, text: str, left: int, top: int, slide: int = 0) -> None:
    """Put a text box of 100 × 40 points on a slide."""
    shape = file.slides[slide].shapes.add_textbox(Pt(left), Pt(top), Pt(100), Pt(40))
    shape.text_frame.text = text


@pytest.fixture
def deck() -> PptxFile:
    file = pptx.Presentation()
    file.slides.add_slide(file.slide_layouts[BLANK])
    return file


def test_slides_are_pages_with_titles_lists_and_levels() -> None:
    file = pptx.Presentation()
    for number in (1, 2):
        slide = file.slides.add_slide(file.slide_layouts[TITLE_AND_BODY])
        slide.shapes.title.text = f"Slide {number}"
        body = slide.placeholders[1].text_frame
        body.text = "First"
        for text, level in (("Deeper", 1), ("Deepest", 2), ("Back", 0)):
            paragraph = body.add_paragraph()
            paragraph.text, paragraph.level = text, level
    file.core_properties.title = "茶"
    parsed = opened(file)
    assert [type(block) for block in parsed.document.blocks] == [
        Heading, ListItem, ListItem, ListItem, ListItem, PageBreak, Heading, ListItem, ListItem, ListItem, ListItem,
    ]  # fmt: skip
    items = [block for block in parsed.document.blocks if isinstance(block, ListItem)][:4]
    assert [(item.text, item.level, item.ordered) for item in items] == [
        ("First", 1, False), ("Deeper", 2, False), ("Deepest", 3, False), ("Back", 1, False),
    ]  # fmt: skip
    assert [block.provenance.page for block in parsed.document.blocks] == [1] * 5 + [2] * 6
    # The body's place stands in its layout only.
    assert items[0].provenance.bbox is not None
    assert parsed.document.metadata["title"] == "茶"
    assert parsed.document.metadata["slide_size"] == [720.0, 540.0]
    assert (parsed.receipt.pages_in, parsed.receipt.pages_out) == (2, 2)


def test_numbers_are_counted_as_powerpoint_does(deck: PptxFile) -> None:
    box(deck, "a", 0, 0)
    body = deck.slides[0].shapes[0].text_frame._txBody
    for paragraph in list(body)[2:]:
        body.remove(paragraph)
    rows = [
        ("one", 0, "arabicPeriod", ""), ("deep", 1, "alphaLcParenR", ""), ("deep too", 1, "alphaLcParenR", ""),
        ("two", 0, "arabicPeriod", ""), ("plain", 0, None, ""), ("anew", 0, "arabicPeriod", ""),
        ("five", 0, "romanUcPeriod", ' startAt="5"'), ("six", 0, "romanUcPeriod", ' startAt="5"'),
    ]  # fmt: skip
    for text, level, kind, start in rows:
        number = f'<a:buAutoNum type="{kind}"{start}/>' if kind else "<a:buNone/>"
        body.append(
            etree.fromstring(
                f'<a:p xmlns:a="{A}"><a:pPr lvl="{level}">{number}</a:pPr><a:r><a:t>{text}</a:t></a:r></a:p>'
            )
        )
    blocks = opened(deck).document.blocks
    assert [(getattr(block, "marker", None), getattr(block, "level", None)) for block in blocks] == [
        ("1.", 1), ("a)", 2), ("b)", 2), ("2.", 1), (None, None), ("1.", 1), ("V.", 1), ("VI.", 1),
    ]  # fmt: skip


def test_boxes_are_read_column_by_column_and_groups_stay_together(deck: PptxFile) -> None:
    # In the file the order is another one.
    for text, left, top in (
        ("right 2", 400, 140), ("left 2", 20, 140), ("right 1", 400, 90), ("left 1", 20, 90), ("over all", 20, 10),
    ):  # fmt: skip
        box(deck, text, left, top)
    deck.slides[0].shapes[4].width = Pt(480)
    group = deck.slides[0].shapes.add_group_shape()
    for text, top in (("group 2", 360), ("group 1", 310)):
        inside = group.shapes.add_textbox(Pt(20), Pt(top), Pt(60), Pt(20))
        inside.text_frame.text = text
    texts = [block.text for block in opened(deck).document.blocks]
    assert texts == ["over all", "left 1", "left 2", "right 1", "right 2", "group 1", "group 2"]


def test_a_place_inside_a_scaled_group_is_one_on_the_slide(deck: PptxFile) -> None:
    group = deck.slides[0].shapes.add_group_shape()
    inside = group.shapes.add_textbox(Pt(0), Pt(0), Pt(100), Pt(50))
    inside.text_frame.text = "x"
    group.left, group.top, group.width, group.height = Pt(200), Pt(100), Pt(200), Pt(100)
    (block,) = opened(deck).document.blocks
    assert block.provenance.bbox == Box(200.0, 100.0, 400.0, 200.0)


def test_a_table_with_merged_cells_and_a_header_of_two_rows_is_exact(deck: PptxFile) -> None:
    table = deck.slides[0].shapes.add_table(4, 4, Pt(10), Pt(10), Pt(400), Pt(200)).table
    for row, values in enumerate(
        (["Region", "2024", "", "Total"], ["", "H1", "H2", ""], ["North", "1", "2", "3"], ["South", "4", "", "9"])
    ):
        for column, value in enumerate(values):
            table.cell(row, column).text = value
    for first, last in (((0, 0), (1, 0)), ((0, 1), (0, 2)), ((0, 3), (1, 3)), ((3, 1), (3, 2))):
        table.cell(*first).merge(table.cell(*last))
    table.first_col = True
    (block,) = opened(deck).document.blocks
    assert isinstance(block, Table)
    assert (block.grid.rows, block.grid.columns, block.grid.header_rows, block.grid.header_columns) == (4, 4, 2, 1)
    assert [(*cell[:5], cell.column_header, cell.row_header) for cell in block.grid.cells] == [
        (0, 0, 2, 1, "Region", True, False),
        (0, 1, 1, 2, "2024", True, False),
        (0, 3, 2, 1, "Total", True, False),
        (1, 1, 1, 1, "H1", True, False),
        (1, 2, 1, 1, "H2", True, False),
        (2, 0, 1, 1, "North", False, True),
        (2, 1, 1, 1, "1", False, False),
        (2, 2, 1, 1, "2", False, False),
        (2, 3, 1, 1, "3", False, False),
        (3, 0, 1, 1, "South", False, True),
        (3, 1, 1, 2, "4", False, False),
        (3, 3, 1, 1, "9", False, False),
    ]


def test_spans_that_contradict_each_other_make_a_table_still(deck: PptxFile) -> None:
    table = deck.slides[0].shapes.add_table(2, 2, Pt(10), Pt(10), Pt(400), Pt(200)).table
    for row in range(2):
        for column in range(2):
            table.cell(row, column).text = f"{row}{column}"
    table.cell(0, 1)._tc.set("rowSpan", "9")
    table.cell(1, 0)._tc.set("gridSpan", "99")
    parsed = opened(deck)
    (block,) = parsed.document.blocks
    assert isinstance(block, Table)
    assert [cell[:5] for cell in block.grid.cells] == [(0, 0, 1, 1, "00"), (0, 1, 2, 1, "01"), (1, 0, 1, 1, "10")]
    assert [(item.what, item.why) for item in parsed.receipt.skipped] == [("cell", "A merged cell covers its text.")]


def test_styles_and_links_are_marks(deck: PptxFile) -> None:
    box(deck, "", 0, 0)
    paragraph = deck.slides[0].shapes[0].text_frame.paragraphs[0]
    for text, attribute in (("bold", "bold"), (" and ", None), ("slanted", "italic")):
        run = paragraph.add_run()
        run.text = text
        if attribute:
            setattr(run.font, attribute, True)
    run = paragraph.add_run()
    run.text = " here"
    run.hyperlink.address = "https://example.org/茶"
    (block,) = opened(deck).document.blocks
    assert block.text == "bold and slanted here"
    assert block.marks == (
        Mark(0, 4, "bold"), Mark(9, 16, "italic"), Mark(17, 21, "link", "https://example.org/茶"),
    )  # fmt: skip


def test_pictures_keep_bytes_place_and_alternative_text(deck: PptxFile) -> None:
    picture = deck.slides[0].shapes.add_picture(io.BytesIO(PNG), Pt(10), Pt(20), Pt(30), Pt(40))
    picture._element.nvPicPr.cNvPr.set("descr", "a dot")
    parsed = opened(deck)
    (block,) = parsed.document.blocks
    assert isinstance(block, Picture)
    assert (block.alt, block.mime) == ("a dot", "image/png")
    assert parsed.document.assets[block.sha256] == PNG
    assert block.provenance.bbox == Box(10.0, 20.0, 40.0, 60.0)
    assert not opened(deck, pictures=False).document.assets


def test_a_chart_is_the_table_it_was_drawn_from(deck: PptxFile) -> None:
    data = CategoryChartData()
    data.categories = ["2023", "2024"]
    data.add_series("茶", (1.5, 2))
    data.add_series("coffee", (3, 4))
    deck.slides[0].shapes.add_chart(XL_CHART_TYPE.BAR_CLUSTERED, Pt(0), Pt(0), Pt(100), Pt(100), data)
    (block,) = opened(deck).document.blocks
    assert isinstance(block, Table)
    assert block.caption == "Bar chart"
    assert [block.grid.texts(row) for row in range(3)] == [
        ("", "茶", "coffee"), ("2023", "1.5", "3"), ("2024", "2", "4"),
    ]  # fmt: skip


def test_an_embedded_workbook_is_read_in_its_place(deck: PptxFile) -> None:
    book, buffer = openpyxl.Workbook(), io.BytesIO()
    for row in (["name", "age"], ["Ann", 41]):
        book.active.append(row)  # type: ignore[union-attr]
    book.save(buffer)
    deck.slides[0].shapes.add_ole_object(
        io.BytesIO(buffer.getvalue()), "Excel.Sheet.12", Pt(0), Pt(0), icon_file=io.BytesIO(PNG)
    )
    box(deck, "under it", 0, 300)
    parsed = opened(deck)
    tables = [block for block in parsed.document.blocks if isinstance(block, Table)]
    assert [table.grid.texts(1) for table in tables] == [("Ann", "41")]
    assert tables[0].provenance.part == "oleObject1.bin"
    assert parsed.document.blocks[-1].text == "under it"
    assert not parsed.receipt.skipped


def test_an_embedded_file_of_another_program_is_in_the_receipt(deck: PptxFile) -> None:
    deck.slides[0].shapes.add_ole_object(io.BytesIO(b"\0\1\2"), "Odd.Program", Pt(0), Pt(0), icon_file=io.BytesIO(PNG))
    parsed = opened(deck)
    assert [item.what for item in parsed.receipt.skipped] == ["embedded object"]
    assert "Odd.Program" in parsed.receipt.skipped[0].why
    assert [type(block) for block in parsed.document.blocks] == [Picture]  # its preview


def test_notes_comments_footers_and_formulas() -> None:
    file = pptx.Presentation()
    slide = file.slides.add_slide(file.slide_layouts[BLANK])
    slide.notes_slide.notes_text_frame.text = "Say this."
    box(file, "", 0, 0)
    math = (
        f'<a:p xmlns:a="{A}" xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
        'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
        'xmlns:a14="http://schemas.microsoft.com/office/drawing/2010/main"><mc:AlternateContent>'
        '<mc:Choice Requires="a14"><a14:m><m:oMathPara><m:oMath><m:sSup><m:e><m:r><m:t>x</m:t></m:r></m:e>'
        "<m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup></m:oMath></m:oMathPara></a14:m></mc:Choice>"
        "<mc:Fallback><a:r><a:t>no</a:t></a:r></mc:Fallback></mc:AlternateContent></a:p>"
    )
    slide.shapes[0].text_frame._txBody.append(etree.fromstring(math))
    p = "http://schemas.openxmlformats.org/presentationml/2006/main"
    old = f'<p:cmLst xmlns:p="{p}"><p:cm authorId="0"><p:text>An older remark</p:text></p:cm></p:cmLst>'
    new = (
        '<p188:cmLst xmlns:p188="http://schemas.microsoft.com/office/powerpoint/2018/8/main" '
        f'xmlns:a="{A}"><p188:cm id="{{1}}" authorId="{{A}}" status="active"><p188:replyLst>'
        '<p188:reply id="{2}" authorId="{B}"><p188:txBody><a:bodyPr/><a:p><a:r><a:t>An answer</a:t></a:r></a:p>'
        "</p188:txBody></p188:reply></p188:replyLst><p188:txBody><a:bodyPr/><a:p><a:r><a:t>A remark</a:t></a:r></a:p>"
        "</p188:txBody></p188:cm></p188:cmLst>"
    )
    authors = (
        '<p188:authorLst xmlns:p188="http://schemas.microsoft.com/office/powerpoint/2018/8/main">'
        '<p188:author id="{A}" name="Ann"/><p188:author id="{B}" name="Bo"/></p188:authorLst>'
    )
    old_authors = f'<p:cmAuthorLst xmlns:p="{p}"><p:cmAuthor id="0" name="Old Ann" initials="OA"/></p:cmAuthorLst>'
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    newer = "http://schemas.microsoft.com/office/2018/10/relationships"

    def change(name: str, content: bytes) -> bytes:
        if name == "ppt/slides/_rels/slide1.xml.rels":
            more = (
                f'<Relationship Id="r90" Type="{kind}/comments" Target="../comments/c1.xml"/>'
                f'<Relationship Id="r91" Type="{newer}/comments" Target="../comments/c2.xml"/></Relationships>'
            )
        elif name == "ppt/_rels/presentation.xml.rels":
            more = (
                f'<Relationship Id="r90" Type="{kind}/commentAuthors" Target="commentAuthors.xml"/>'
                f'<Relationship Id="r91" Type="{newer}/authors" Target="authors.xml"/></Relationships>'
            )
        else:
            return content
        return content.replace(b"</Relationships>", more.encode())

    data = changed(
        saved(file), change,
        **{"ppt/comments/c1.xml": old.encode(), "ppt/comments/c2.xml": new.encode(),
           "ppt/authors.xml": authors.encode(), "ppt/commentAuthors.xml": old_authors.encode()},
    )  # fmt: skip
    blocks = opened(data).document.blocks
    assert [block.text for block in blocks if isinstance(block, Formula)] == ["x^{2}"]
    notes = {(block.category, block.author, block.label, block.text) for block in blocks if isinstance(block, Note)}
    assert notes == {
        ("speaker", "", "", "Say this."), ("comment", "Old Ann", "", "An older remark"),
        ("comment", "Ann", "", "A remark"), ("comment", "Bo", "reply", "An answer"),
    }  # fmt: skip


def test_a_diagram_gives_its_words_level_by_level(deck: PptxFile) -> None:
    d = "http://schemas.openxmlformats.org/drawingml/2006/diagram"
    r = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"

    def point(id_: str, text: str) -> str:
        return f'<dgm:pt modelId="{id_}"><dgm:t><a:p><a:r><a:t>{text}</a:t></a:r></a:p></dgm:t></dgm:pt>'

    data_part = (
        f'<dgm:dataModel xmlns:dgm="{d}" xmlns:a="{A}"><dgm:ptLst><dgm:pt modelId="0" type="doc"/>'
        f"{point('3', 'Second')}{point('2', 'Under first')}{point('1', 'First')}</dgm:ptLst><dgm:cxnLst>"
        '<dgm:cxn modelId="7" srcId="0" destId="3" srcOrd="1"/><dgm:cxn modelId="8" srcId="0" destId="1" srcOrd="0"/>'
        '<dgm:cxn modelId="9" srcId="1" destId="2" srcOrd="0"/></dgm:cxnLst></dgm:dataModel>'
    )
    box(deck, "PLACE", 0, 0)
    frame = (
        f'<p:graphicFrame xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" xmlns:a="{A}" '
        f'xmlns:r="{r}"><p:nvGraphicFramePr><p:cNvPr id="9" name="d"/><p:cNvGraphicFramePr/><p:nvPr/>'
        '</p:nvGraphicFramePr><p:xfrm><a:off x="0" y="900000"/><a:ext cx="10" cy="10"/></p:xfrm><a:graphic>'
        f'<a:graphicData uri="{d}"><dgm:relIds xmlns:dgm="{d}" r:dm="r90"/></a:graphicData></a:graphic>'
        "</p:graphicFrame></p:spTree>"
    )

    def change(name: str, content: bytes) -> bytes:
        if name == "ppt/slides/slide1.xml":
            return content.replace(b"</p:spTree>", frame.encode())
        if name == "ppt/slides/_rels/slide1.xml.rels":
            more = f'<Relationship Id="r90" Type="{r}/diagramData" Target="../diagrams/data1.xml"/></Relationships>'
            return content.replace(b"</Relationships>", more.encode())
        return content

    parsed = opened(changed(saved(deck), change, **{"ppt/diagrams/data1.xml": data_part.encode()}))
    items = [(block.text, block.level) for block in parsed.document.blocks if isinstance(block, ListItem)]
    assert items == [("First", 1), ("Under first", 2), ("Second", 1)]


def test_a_hidden_slide_is_told_of_either_way(deck: PptxFile) -> None:
    box(deck, "hidden words", 0, 0)
    deck.slides[0]._element.set("show", "0")
    shown = opened(deck)
    assert shown.receipt.warnings == ("Slide 1 is hidden.",)
    assert shown.document.metadata["hidden_slides"] == [1]
    left = opened(deck, hidden=False)
    assert not left.document.text
    assert [(item.what, item.page) for item in left.receipt.skipped] == [("slide", 1)]


def test_a_damaged_slide_is_told_of_and_the_others_are_read() -> None:
    file = pptx.Presentation()
    for number in range(3):
        file.slides.add_slide(file.slide_layouts[BLANK])
        box(file, f"words {number}", 0, 0, number)
    data = changed(saved(file), lambda name, content: b"<p:sld" if name.endswith("slide2.xml") else content)
    parsed = opened(data)
    assert [block.text for block in parsed.document.blocks if isinstance(block, Paragraph)] == ["words 0", "words 2"]
    assert [(item.what, item.page) for item in parsed.receipt.skipped] == [("slide", 2)]
    assert (parsed.receipt.pages_in, parsed.receipt.pages_out) == (3, 2)
    assert parsed.document.blocks[-1].provenance.page == 3
    with pytest.raises(DocumentLossError):
        opened(data, strict=True)


def test_a_picture_that_is_not_there_is_in_the_receipt(deck: PptxFile) -> None:
    picture = deck.slides[0].shapes.add_picture(io.BytesIO(PNG), Emu(0), Emu(0))
    data = saved(deck)
    assert picture is not None
    parsed = opened(changed(data, lambda name, content: None if "media/" in name else content))
    assert [(item.what, item.page) for item in parsed.receipt.skipped] == [("picture", 1)]


@pytest.mark.parametrize("kept", [0, 10, 300, 5000])
def test_a_cut_off_file_is_a_clear_error(deck: PptxFile, kept: int) -> None:
    with pytest.raises(UnreadableDocumentError, match=r"deck\.pptx"):
        read(saved(deck)[:kept], "deck.pptx", ReadOptions(format="pptx"))


def test_an_entity_is_refused(deck: PptxFile) -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'
    parsed = opened(changed(saved(deck), lambda name, content: bomb if name.endswith("slide1.xml") else content))
    assert "document type" in parsed.receipt.skipped[0].why


def test_a_waterfall_chart_is_the_table_it_was_drawn_from() -> None:
    cx = "http://schemas.microsoft.com/office/drawing/2014/chartex"
    root = parse(
        f'<cx:chartSpace xmlns:cx="{cx}" xmlns:a="{A}"><cx:chartData><cx:data id="0"><cx:strDim type="cat"><cx:lvl>'
        '<cx:pt idx="0">start</cx:pt><cx:pt idx="1">end</cx:pt></cx:lvl></cx:strDim><cx:numDim type="val"><cx:lvl>'
        '<cx:pt idx="0">1</cx:pt><cx:pt idx="1">2.5</cx:pt></cx:lvl></cx:numDim></cx:data></cx:chartData><cx:chart>'
        "<cx:title><cx:tx><cx:rich><a:p><a:r><a:t>Cash</a:t></a:r></a:p></cx:rich></cx:tx></cx:title><cx:plotArea>"
        '<cx:plotAreaRegion><cx:series layoutId="waterfall"><cx:tx><cx:txData><cx:v>EUR</cx:v></cx:txData></cx:tx>'
        '<cx:dataId val="0"/></cx:series></cx:plotAreaRegion></cx:plotArea></cx:chart></cx:chartSpace>'.encode()
    )
    table = chart_table(root, Provenance(page=1))
    assert table is not None
    assert table.caption == "Waterfall chart: Cash"
    assert [table.grid.texts(row) for row in range(3)] == [("", "EUR"), ("start", "1"), ("end", "2.5")]

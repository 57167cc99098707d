"""Running text of a PDF: order, paragraphs, headings, lists, styles."""

from __future__ import annotations

import pypdfium2
import pytest
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont

from polyport_gateway.knowledge.documents import Code, Heading, ListItem, Mark, Note, PageBreak, Paragraph
from tests.unit.knowledge.readers.pdf.making import HEIGHT, WORDS, made, only, prose, raw, read, stream


def test_two_columns_are_read_one_after_the_other_and_what_spans_them_before():
    said: list[str] = []

    def draw(canvas):
        canvas.setFont("Helvetica-Bold", 18)
        canvas.drawCentredString(297, 790, "A title over both")
        said.append(prose(canvas, 50, 750, 235, 30))
        said.append(prose(canvas, 310, 750, 235, 30, start=7))
        said.append(prose(canvas, 50, 360, 495, 6, start=3))

    document = read(made(draw)).document
    assert [block.text for block in document.blocks] == ["A title over both", *said]
    assert document.blocks[0].kind == "heading"


def test_text_that_flows_round_a_heading_in_one_column_keeps_its_order():
    said: list[str] = []

    def draw(canvas):
        said.append(prose(canvas, 50, 780, 235, 10))
        canvas.setFont("Helvetica-Bold", 13)
        canvas.drawString(50, 640, "Second part")
        said.append(prose(canvas, 50, 615, 235, 20, start=4))
        said.append(prose(canvas, 310, 780, 235, 33, start=9))

    texts = [block.text for block in read(made(draw)).document.blocks]
    assert texts == [said[0], "Second part", said[1], said[2]]


def test_hyphens_at_line_ends_are_undone_but_not_those_that_belong_to_a_word():
    def draw(canvas):
        canvas.setFont("Helvetica", 10)
        for number, line in enumerate((
            "It is a long sentence about the con-",
            "struction of kettles and of well-",
            "known pots, state-of-the-",
            "art lids and the Anglo-",
            "Saxon cup, which is enough of this.",
        )):  # fmt: skip
            canvas.drawString(72, 700 - 12 * number, line)

    assert read(made(draw)).document.text == (
        "It is a long sentence about the construction of kettles and of well-known pots, state-of-the-art lids "
        "and the Anglo-Saxon cup, which is enough of this."
    )


def test_headings_have_levels_by_size_and_weight_and_number():
    def draw(canvas):
        y = 780
        for font, size, text in (
            ("Helvetica-Bold", 20, "The book"),
            ("Helvetica-Bold", 14, "First chapter"),
            ("Helvetica-Bold", 10, "1.1 Section of it"),
            ("Helvetica-Bold", 14, "Second chapter"),
        ):
            canvas.setFont(font, size)
            canvas.drawString(72, y, text)
            prose(canvas, 72, y - 24, 450, 5)
            y -= 130

    found = [(block.level, block.text) for block in read(made(draw)).document.blocks if isinstance(block, Heading)]
    assert found == [(1, "The book"), (2, "First chapter"), (3, "1.1 Section of it"), (2, "Second chapter")]


def test_the_outline_says_which_texts_are_headings_and_how_deep():
    def draw(canvas):
        for number, (title, level) in enumerate((("Start", 0), ("A plain line", 1))):
            canvas.bookmarkPage(f"p{number}")
            canvas.addOutlineEntry(title, f"p{number}", level)
            canvas.setFont("Helvetica", 10)
            canvas.drawString(72, 780, title)
            prose(canvas, 72, 740, 450, 8)
            canvas.showPage()

    document = read(made(draw)).document
    assert [(b.level, b.text) for b in document.blocks if isinstance(b, Heading)] == [(1, "Start"), (2, "A plain line")]
    assert document.metadata["outline"] == [
        {"level": 1, "title": "Start", "page": 1},
        {"level": 2, "title": "A plain line", "page": 2},
    ]


def test_list_items_have_markers_levels_and_their_further_lines():
    def draw(canvas):
        canvas.setFont("Helvetica", 10)
        prose(canvas, 72, 780, 380, 3)
        canvas.drawString(72, 720, "• the first point goes on for so long that it needs a second line to be said")
        canvas.drawString(79, 708, "in full, and it ends there")
        canvas.drawString(72, 694, "• the second")
        canvas.drawString(92, 680, "1. a step of it")
        canvas.drawString(92, 666, "2. another step")

    items = [block for block in read(made(draw)).document.blocks if isinstance(block, ListItem)]
    assert [(item.level, item.ordered, item.marker, item.text) for item in items] == [
        (1, False, "•", "the first point goes on for so long that it needs a second line to be said in full, "
                        "and it ends there"),
        (1, False, "•", "the second"),
        (2, True, "1.", "a step of it"),
        (2, True, "2.", "another step"),
    ]  # fmt: skip


def test_code_keeps_its_lines_and_indents():
    def draw(canvas):
        prose(canvas, 72, 780, 450, 4)
        canvas.setFont("Courier", 10)
        for number, line in enumerate(("def tea(cup):", "    if cup:", "        pour(cup)", "    return cup")):
            canvas.drawString(72, 700 - 12 * number, line)
        prose(canvas, 72, 620, 450, 4)

    document = read(made(draw)).document
    assert [block.kind for block in document.blocks] == ["paragraph", "code", "paragraph"]
    assert document.blocks[1].text == "def tea(cup):\n    if cup:\n        pour(cup)\n    return cup"
    assert isinstance(document.blocks[1], Code)


def test_styles_and_links_are_marks():
    def draw(canvas):
        text = canvas.beginText(72, 700)
        for font, words in (("Helvetica", "Plain "), ("Helvetica-Bold", "bold "), ("Helvetica-Oblique", "slanted "),
                            ("Helvetica", "then a link and some more words to make it a line of text")):  # fmt: skip
            text.setFont(font, 10)
            text.textOut(words)
        text.setFont("Helvetica", 6)
        text.setRise(4)
        text.textOut("12")
        canvas.drawText(text)
        start = canvas.stringWidth("Plain ", "Helvetica", 10) + canvas.stringWidth("bold ", "Helvetica-Bold", 10)
        start += canvas.stringWidth("slanted ", "Helvetica-Oblique", 10) + canvas.stringWidth(
            "then a ", "Helvetica", 10
        )
        canvas.linkURL("https://example.org/tea", (72 + start, 698, 72 + start + 16, 709))

    block = only(read(made(draw)), Paragraph)
    assert block.text == "Plain bold slanted then a link and some more words to make it a line of text12"
    assert set(block.marks) == {
        Mark(6, 10, "bold"),
        Mark(11, 18, "italic"),
        Mark(26, 30, "link", "https://example.org/tea"),
        Mark(76, 78, "superscript"),
    }


def test_short_lines_stay_lines():
    def draw(canvas):
        canvas.setFont("Helvetica", 10)
        for number, line in enumerate(("The Tea Company Limited", "4 River Lane", "Oxford")):
            canvas.drawString(72, 700 - 12 * number, line)
        prose(canvas, 72, 600, 450, 4)

    assert read(made(draw)).document.blocks[0].text == "The Tea Company Limited\n4 River Lane\nOxford"


def test_chinese_lines_join_without_blanks():
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    lines = ["茶是世界上最受欢迎的饮料之一，起源于中国，已有数千年的历史。许多人每天都喝",
             "茶，它对健康有益，并且味道很好，在不同的地区有不同的做法和习惯。"]  # fmt: skip

    def draw(canvas):
        canvas.setFont("STSong-Light", 18)
        canvas.drawString(72, 780, "第一章 茶的历史")
        canvas.setFont("STSong-Light", 11)
        for number, line in enumerate(lines):
            canvas.drawString(72, 750 - 16 * number, line)

    blocks = read(made(draw)).document.blocks
    assert [(block.kind, block.text) for block in blocks] == [
        ("heading", "第一章 茶的历史"), ("paragraph", "".join(lines)),
    ]  # fmt: skip


def test_digits_set_a_little_apart_from_chinese_letters_are_no_words_of_their_own():
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))

    def alone(canvas):
        canvas.setFont("STSong-Light", 12)
        canvas.drawString(72, 780, "第")

    with pypdfium2.PdfDocument(
        made(alone)
    ) as document:  # PDFium itself, so that no fault of the reader's is passed over
        seen = document[0].get_textpage().get_text_range()
    if not seen:
        pytest.skip("PDFium loses a letter drawn by itself in a font that is neither in the file nor on the machine")

    def draw(canvas):
        for y, pieces in (
            (780, ("第", "6", "段结果")),
            (760, ("1.", "固定浮标")),
            (600, ("约为 12 度",)),
        ):
            x = 72.0
            for piece in pieces:
                canvas.setFont("STSong-Light", 12)
                canvas.drawString(x, y, piece)
                x += canvas.stringWidth(piece, "STSong-Light", 12) + 2.5

    blocks = read(made(draw)).document.blocks
    assert [block.text for block in blocks if block.kind != "list_item"] == ["第6段结果", "约为 12 度"]
    assert [(block.marker, block.text) for block in blocks if isinstance(block, ListItem)] == [("1.", "固定浮标")]


def test_an_exponent_and_the_full_stop_after_it_stand_on_their_line():
    def draw(canvas):
        text = canvas.beginText(72, 700)
        text.setFont("Times-Roman", 12)
        text.textOut("and area grows with r")
        text.setFont("Times-Roman", 9.6)
        text.setRise(4)
        text.textOut("2")
        text.setRise(0)
        text.setFont("Times-Roman", 12)
        text.textOut(".")
        canvas.drawText(text)

    (block,) = read(made(draw)).document.blocks
    assert block.text == "and area grows with r2."
    assert [mark.kind for mark in block.marks] == ["superscript"]


def test_columns_stand_apart_though_blanks_are_as_wide_as_the_gutter_between_them():
    said: list[str] = []

    def draw(canvas):
        canvas.setFont("Times-Roman", 12)
        for place in range(16):
            start = len(said)
            while sum(canvas.stringWidth(word, "Times-Roman", 12) + 4 for word in said[start:]) < 205:
                said.append(WORDS[len(said) % len(WORDS)])
            used = sum(canvas.stringWidth(word, "Times-Roman", 12) for word in said[start:])
            x = 72.0 + 248 * (place // 8)
            for word in said[start:]:
                canvas.drawString(x, 700 - 14 * (place % 8), word)
                x += canvas.stringWidth(word, "Times-Roman", 12) + (240 - used) / (len(said) - start - 1)

    document = read(made(draw)).document
    assert document.text.split() == said


def test_the_title_is_kept_apart_from_the_header_that_repeats_it():
    def draw(canvas):
        for page in range(4):
            canvas.setFont("Helvetica", 8)
            canvas.drawString(72, 820, "The tea company")
            if page == 0:
                canvas.setFont("Helvetica-Bold", 24)
                canvas.drawString(72, 780, "The tea company")
            prose(canvas, 72, 740, 450, 20, start=page)
            canvas.showPage()

    blocks = read(made(draw)).document.blocks
    assert [(block.kind, block.text) for block in blocks[:2]] == [
        ("note", "The tea company"),
        ("heading", "The tea company"),
    ]


# A font whose codes 1… are Hebrew letters: what a program writes that draws from left to right what is read from right
# to left.
TO_UNICODE = b"""/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def
1 begincodespacerange <00> <ff> endcodespacerange
6 beginbfchar <41> <05E9> <42> <05DC> <43> <05D5> <44> <05DD> <20> <0020> <31> <0031> endbfchar
endcmap end end"""


def test_right_to_left_text_is_in_logical_order():
    # Drawn from the left: mem, vav, lamed, shin: read from the right it is "shalom".
    content = b"BT /F1 12 Tf 300 700 Td (DCBA) Tj 40 0 Td (BA) Tj ET"
    data = raw([
        b"<</Type/Catalog/Pages 2 0 R/Lang(he-IL)>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        stream(content),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode 6 0 R>>",
        stream(TO_UNICODE),
    ])  # fmt: skip
    document = read(data).document
    assert document.text == "של שלום"
    assert document.language == "he"


def test_running_headers_and_footers_stand_once_and_page_numbers_are_labels():
    def draw(canvas):
        for page in range(5):
            canvas.setFont("Helvetica", 8)
            canvas.drawString(72, 815, "Annual report of the tea company")
            canvas.drawCentredString(297, 25, f"Page {page + 7}")
            prose(canvas, 72, 760, 450, 20, start=page)
            canvas.showPage()

    parsed = read(made(draw))
    blocks = parsed.document.blocks
    notes = [block for block in blocks if isinstance(block, Note)]
    assert [(note.category, note.text, note.provenance.page) for note in notes] == [
        ("header", "Annual report of the tea company", 1)
    ]
    assert "Page 8" not in parsed.document.text
    assert parsed.document.metadata["page_labels"] == {str(page): f"Page {page + 6}" for page in range(1, 6)}
    assert any("Running headers" in warning for warning in parsed.receipt.warnings)
    assert [block.page for block in blocks if isinstance(block, PageBreak)] == [2, 3, 4, 5]
    assert parsed.document.pages == 5


def test_running_lines_as_close_to_the_text_as_its_own_lines_are_told_apart():
    said = []

    def draw(canvas):
        for page in range(4):
            canvas.setFont("Helvetica", 10)
            canvas.drawString(72, 792, "The tea company's annual report")
            said.append(prose(canvas, 72, 780, 450, 61, start=page))
            canvas.drawString(72, 48, f"Page {page + 1} of 4")
            canvas.showPage()

    parsed = read(made(draw))
    blocks = [block for block in parsed.document.blocks if not isinstance(block, PageBreak)]
    assert [(block.kind, block.text) for block in blocks] == [
        ("note", "The tea company's annual report"),
        *(("paragraph", text) for text in said),
    ]
    assert parsed.document.metadata["page_labels"] == {str(page): f"Page {page} of 4" for page in range(1, 5)}


def test_a_paragraph_goes_on_on_the_next_page_past_header_and_footnote():
    pages = [
        ("Tea is grown on the hills above the", "river, and it is picked there by peo-"),
        ("ple who know it well, which takes a", "long time and much patience."),
        ("A new paragraph begins this page.",),
    ]

    def draw(canvas):
        for lines in pages:
            canvas.setFont("Helvetica", 8)
            canvas.drawString(72, 815, "The tea company")
            canvas.setFont("Helvetica", 12)
            for number, line in enumerate(lines):
                canvas.drawString(72, 760 - 14 * number, line)
            canvas.line(72, 140, 200, 140)
            canvas.setFont("Helvetica", 7.5)
            canvas.drawString(72, 128, "1 See the second book about kettles.")
            canvas.showPage()

    blocks = [block for block in read(made(draw)).document.blocks if isinstance(block, Paragraph)]
    assert [(block.text, block.provenance.page) for block in blocks] == [
        ("Tea is grown on the hills above the river, and it is picked there by people who know it well, which takes a "
         "long time and much patience.", 1),
        ("A new paragraph begins this page.", 3),
    ]  # fmt: skip


def test_titles_of_slides_are_no_running_headers():
    def draw(canvas):
        for title in ("Why tea", "Which tea", "Whose tea"):
            canvas.setFont("Helvetica-Bold", 24)
            canvas.drawString(72, 790, title)
            prose(canvas, 72, 700, 450, 6)
            canvas.showPage()

    found = [block.text for block in read(made(draw)).document.blocks if isinstance(block, Heading)]
    assert found == ["Why tea", "Which tea", "Whose tea"]


def test_footnotes_below_a_rule_are_notes():
    def draw(canvas):
        prose(canvas, 72, 780, 450, 30)
        canvas.line(72, 140, 200, 140)
        canvas.setFont("Helvetica", 7.5)
        canvas.drawString(72, 128, "1 See the second book about kettles, page 12.")
        canvas.drawString(72, 118, "2 It was never printed.")

    notes = [block for block in read(made(draw)).document.blocks if isinstance(block, Note)]
    assert [(note.category, note.label, note.text) for note in notes] == [
        ("footnote", "1", "See the second book about kettles, page 12."),
        ("footnote", "2", "It was never printed."),
    ]


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_text_on_its_side_is_read_as_it_stands(quarters):
    import io

    import pypdfium2

    said: list[str] = []
    data = made(lambda canvas: said.append(prose(canvas, 72, 700, 400, 6)))
    with pypdfium2.PdfDocument(data) as document:
        document[0].set_rotation(90 * quarters)
        target = io.BytesIO()
        document.save(target)
    parsed = read(target.getvalue())
    assert parsed.document.text == said[0]
    assert any("turned" in warning for warning in parsed.receipt.warnings)


def test_a_turned_page_whose_text_is_upright_has_its_places_from_the_shown_corner():
    def draw(canvas):
        canvas.setPageRotation(90)
        canvas.translate(HEIGHT, 0)
        canvas.rotate(90)
        canvas.setFont("Helvetica", 20)
        canvas.drawString(60, 700, "Upright when shown")

    block = read(made(draw)).document.blocks[0]
    assert block.text == "Upright when shown"
    box = block.provenance.bbox
    assert box.left == pytest.approx(60, abs=2)
    assert box.bottom < 842 / 3


def test_properties_of_the_file_are_metadata():
    def draw(canvas):
        canvas.setTitle("On tea")
        canvas.setAuthor("Lu Yu")
        canvas.drawString(72, 700, "Hot.")

    metadata = read(made(draw)).document.metadata
    assert metadata["title"] == "On tea"
    assert metadata["author"] == "Lu Yu"
    assert str(metadata["created"])[:2] == "20"


def test_every_word_has_a_page_and_a_place():
    parsed = read(made(lambda canvas: prose(canvas, 72, 700, 300, 3)))
    where = parsed.document.blocks[0].provenance
    assert where.page == 1
    assert where.bbox.left == pytest.approx(72, abs=1)
    assert 842 - 700 - 12 < where.bbox.top < 842 - 700
    assert parsed.receipt.characters == (len(parsed.document.blocks[0].text),)
    assert WORDS[1] in parsed.document.text


def test_a_paragraph_goes_on_in_the_next_column_past_the_footnotes():
    lines = ("A first column that is full of", "words to its very end, which is", "not the end of what there is to",
             "say about the history of ket-")  # fmt: skip

    def draw(canvas):
        canvas.setFont("Helvetica", 10)
        for number, line in enumerate((*lines, *lines, *lines)):
            canvas.drawString(72, 300 - 12 * number, line)
        canvas.line(72, 150, 150, 150)
        canvas.setFont("Helvetica", 7)
        canvas.drawString(72, 140, "1 A note at the foot of it.")
        canvas.setFont("Helvetica", 10)
        canvas.drawString(310, 300, "tles and cups.")
        prose(canvas, 310, 270, 180, 12)

    blocks = read(made(draw)).document.blocks
    assert [block.kind for block in blocks] == ["paragraph", "note", "paragraph"]
    assert blocks[0].text.endswith("the history of kettles and cups.")


def test_numbered_chapters_and_last_rows_are_no_page_numbers():
    def draw(canvas):
        for page in range(4):
            canvas.setFont("Helvetica-Bold", 20)
            canvas.drawString(72, 790, f"Chapter {page // 2 + 1 + page * 3}")
            prose(canvas, 72, 740, 450, 5)
            canvas.setFont("Helvetica", 10)
            canvas.drawString(72, 60, f"It was sold for {17 + page * 20}")
            canvas.drawString(72, 20, f"{page + 5}")
            canvas.showPage()

    document = read(made(draw)).document
    assert [block.text for block in document.blocks if isinstance(block, Heading)] == [
        "Chapter 1", "Chapter 4", "Chapter 8", "Chapter 11",
    ]  # fmt: skip
    assert "It was sold for 37" in document.text
    assert document.metadata["page_labels"] == {"1": "5", "2": "6", "3": "7", "4": "8"}


def test_a_header_with_the_page_number_in_it_stands_once():
    def draw(canvas):
        for page in range(4):
            canvas.setFont("Helvetica", 9)
            canvas.drawString(72, 800, f"Chapter {1 + page // 2}: On tea" if page % 2 else f"{page + 3} The tea book")
            if page % 2:
                canvas.drawString(500, 800, f"{page + 3}")
            prose(canvas, 72, 740, 450, 5)
            canvas.showPage()

    document = read(made(draw)).document
    notes = [block.text for block in document.blocks if isinstance(block, Note)]
    assert notes == ["3 The tea book", "Chapter 1: On tea 4", "Chapter 2: On tea 6"]
    assert document.metadata["page_labels"] == {"1": "3", "2": "4", "3": "5", "4": "6"}

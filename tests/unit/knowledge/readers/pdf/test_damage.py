"""Bad, protected, huge and scanned PDFs."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.utils import ImageReader

from polyport_gateway.knowledge import ocr
from polyport_gateway.knowledge.documents import (
    Box,
    DocumentLossError,
    EncryptedDocumentError,
    Note,
    UnreadableDocumentError,
)
from polyport_gateway.knowledge.layout import Word
from polyport_gateway.knowledge.readers import ReadOptions
from polyport_gateway.knowledge.readers import read as read_any
from polyport_gateway.knowledge.readers.pdf import drawings
from tests.unit.knowledge.readers.pdf.making import made, only, prose, raw, read, stream

PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents %d 0 R/Resources<</Font<</F1 6 0 R>>>>>>"
FONT = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"


def test_encrypted_files_need_their_password():
    data = made(lambda canvas: canvas.drawString(72, 700, "Secret"), encrypt=StandardEncryption("tea"))
    assert read(data, password="tea").document.text == "Secret"
    with pytest.raises(EncryptedDocumentError, match=r"a\.pdf: it is encrypted; give its password"):
        read(data)
    with pytest.raises(EncryptedDocumentError, match=r"a\.pdf: its password is wrong"):
        read(data, password="coffee")


def test_a_file_that_only_forbids_things_is_read():
    encryption = StandardEncryption("", ownerPassword="owner", canCopy=0)
    assert read(made(lambda canvas: canvas.drawString(72, 700, "Open"), encrypt=encryption)).document.text == "Open"


def test_a_truncated_file_says_so():
    data = made(lambda canvas: prose(canvas, 72, 700, 300, 3))
    with pytest.raises(UnreadableDocumentError, match="cut off"):
        read(data[:300])
    with pytest.raises(UnreadableDocumentError, match=r"cut off|damaged"):
        read(b"%PDF-1.7\n" + b"\x00\xff" * 500)


def test_a_file_without_pages_says_so():
    data = raw([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[]/Count 0>>"])
    with pytest.raises(UnreadableDocumentError, match="no pages"):
        read(data)


def test_a_damaged_page_is_skipped_and_the_others_are_read():
    data = raw([
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R 9 0 R 5 0 R]/Count 3>>",
        PAGE % 4, stream(b"BT /F1 12 Tf 72 700 Td (First page) Tj ET"),
        PAGE % 7, FONT, stream(b"BT /F1 12 Tf 72 700 Td (Third page) Tj ET"),
    ])  # fmt: skip
    parsed = read(data)
    assert "First page" in parsed.document.text
    assert "Third page" in parsed.document.text
    (skipped,) = parsed.receipt.skipped
    assert (skipped.what, skipped.page) == ("page", 2)
    assert (parsed.receipt.pages_in, parsed.receipt.pages_out) == (3, 2)
    with pytest.raises(DocumentLossError, match="page 2"):
        read_any(data, "a.pdf", ReadOptions(strict=True, ocr="never"))


def test_a_file_whose_list_of_objects_is_damaged_is_read():
    def draw(canvas):
        for page in range(6):
            canvas.drawString(72, 700, f"This is page {page + 1}")
            canvas.showPage()

    data = made(draw, pageCompression=0)
    parsed = read(data.replace(b"startxref\n", b"startxref\n9"))
    assert parsed.document.pages == 6
    assert "This is page 6" in parsed.document.text


def test_drawings_without_end_are_cut_off_and_told(monkeypatch):
    monkeypatch.setattr(drawings, "MOST_OBJECTS", 200)

    def draw(canvas):
        for number in range(300):
            canvas.line(number, 10, number + 5, 300)
        canvas.drawString(72, 700, "A machine")

    parsed = read(made(draw))
    assert "A machine" in parsed.document.text
    assert any("drawn objects" in warning for warning in parsed.receipt.warnings)


def test_a_page_as_large_as_a_wall_is_read():
    data = raw([
        b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 14400 14400]/UserUnit 100/Contents 4 0 R"
        b"/Resources<</Font<</F1 6 0 R>>>>>>",
        stream(b"BT /F1 120 Tf 72 7000 Td (On the wall) Tj ET"), b"null", FONT,
    ])  # fmt: skip
    assert read(data).document.text == "On the wall"


def test_text_beyond_the_page_is_a_note():
    def draw(canvas):
        canvas.drawString(72, 700, "On the page")
        canvas.drawString(72, 900, "report.indd 7")

    parsed = read(made(draw))
    assert parsed.document.blocks[0].text == "On the page"
    note = only(parsed, Note)
    assert (note.text, note.label) == ("report.indd 7", "outside the page")
    assert "indd" not in read(made(draw), hidden=False).document.text


def test_a_form_says_what_was_filled_in():
    def draw(canvas):
        canvas.drawString(72, 700, "Name:")
        canvas.acroForm.textfield(name="name", value="Lu Yu", x=120, y=692, width=200, height=20)

    assert "Name: Lu Yu" in " ".join(read(made(draw)).document.text.split())


def test_comments_are_notes():
    data = raw([
        b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Annots[<</Type/Annot/Subtype/Text/Rect[100 700 120 720]"
        b"/T(Ann)/Contents(Too hot)>>]>>",
    ])  # fmt: skip
    note = only(read(data), Note)
    assert (note.category, note.author, note.text) == ("comment", "Ann", "Too hot")


def test_fonts_without_meaning_are_told():
    font = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode 7 0 R>>"
    to_unicode = (
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap 1 begincodespacerange <00> <ff> "
        b"endcodespacerange 1 beginbfrange <41> <5a> <E001> endbfrange endcmap end end"
    )
    data = raw([
        b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>", PAGE % 4,
        stream(b"BT /F1 12 Tf 72 700 Td (SOME WORDS WITHOUT ANY MEANING) Tj ET"), b"null", font, stream(to_unicode),
    ])  # fmt: skip
    assert any("don't say which characters" in warning for warning in read(data).receipt.warnings)


def scan(pages: int = 1) -> bytes:
    image = ImageReader(Image.new("L", (200, 280), 240))

    def draw(canvas):
        for _ in range(pages):
            canvas.drawImage(image, 0, 0, 595, 842)
            canvas.showPage()

    return made(draw)


class Seen:
    """What a recogniser gives back."""

    words = (Word("Seen words", Box(72, 272, 200, 284), 12, confidence=0.9),)
    rulings = ()
    rotation = 90
    width, height = 842.0, 595.0
    confidence = 0.9


@pytest.fixture
def fake_ocr(monkeypatch):
    asked = []

    def recognise(image, *, dpi):
        asked.append((image.size, dpi))
        return Seen()

    monkeypatch.setattr(ocr, "recognise", recognise)
    monkeypatch.setattr(ocr, "is_installed", lambda: True)
    return asked


def test_a_scanned_page_is_recognised(fake_ocr):
    parsed = read(scan(2), ocr="auto")
    assert parsed.document.text == "Seen words\n\nSeen words"
    assert parsed.receipt.ocr_confidence == pytest.approx(0.9)
    assert any("turned by 90" in warning for warning in parsed.receipt.warnings)
    (size, dpi) = fake_ocr[0]
    assert size[0] == pytest.approx(595 / 72 * dpi, abs=2)


def test_pages_with_text_are_not_recognised_unless_asked(fake_ocr):
    data = made(lambda canvas: prose(canvas, 72, 700, 100, 1))
    assert read(data, ocr="auto").document.text.startswith("The kettle")
    assert not fake_ocr
    read(data, ocr="always")
    assert fake_ocr


def test_without_ocr_the_receipt_says_what_to_install(monkeypatch):
    monkeypatch.setattr(ocr, "is_installed", lambda: False)
    parsed = read(scan(), ocr="auto")
    (skipped,) = parsed.receipt.skipped
    assert skipped.page == 1
    assert 'pip install "polyport[ocr]"' in skipped.why
    assert parsed.receipt.pages_out == 0
    assert parsed.receipt.pictures == 1


def test_options_travel_to_the_worker():
    from polyport_gateway.knowledge.parsing.frames import options_of, plain_options

    assert options_of(plain_options(ReadOptions(ocr="always"))).ocr == "always"


def test_long_files_take_no_more_memory_than_their_text():
    import psutil

    def draw(canvas):
        for page in range(300):
            canvas.drawString(72, 700, f"Page {page}: a few words that are not many at all")
            canvas.showPage()

    data = made(draw)
    read(data[:])
    before = psutil.Process().memory_info().rss
    read(data)
    assert psutil.Process().memory_info().rss - before < 30 * 1024 * 1024


def test_images_of_one_bit_and_of_print_colours_are_kept():
    images = [Image.new("1", (40, 40), 1), Image.new("CMYK", (40, 40), (0, 200, 0, 0))]

    def draw(canvas):
        prose(canvas, 72, 780, 450, 4)
        for number, image in enumerate(images):
            canvas.drawImage(ImageReader(image), 72 + 100 * number, 600, 80, 80)

    parsed = read(made(draw))
    assert parsed.receipt.pictures == 2
    for data in parsed.document.assets.values():
        Image.open(io.BytesIO(data)).load()


def test_a_scan_that_has_its_text_is_text_and_one_that_has_not_is_told():
    image = ImageReader(Image.new("L", (200, 280), 240))

    def draw(canvas):
        for page in range(3):
            canvas.drawImage(image, 0, 0, 595, 842)
            if page < 2:
                prose(canvas, 72, 700, 300, 4)
            canvas.showPage()

    parsed = read(made(draw))
    assert parsed.receipt.pictures == 1
    assert "Pictures that fill page 1–2 behind its text were left out." in parsed.receipt.warnings
    assert any("pictures of page 3" in warning for warning in parsed.receipt.warnings)

"""A picture file is kept whole; its text is read; and whatever is wrong with it is said."""

from __future__ import annotations

import contextlib
import random
import struct
import unicodedata
import zlib

import pytest
from PIL import Image, ImageDraw

from polyport_gateway.knowledge.documents import (
    DocumentLossError,
    Heading,
    PageBreak,
    Paragraph,
    Picture,
    Table,
    UnreadableDocumentError,
)
from polyport_gateway.knowledge.ocr import budget
from polyport_gateway.knowledge.parsing import ParseLimits, ParserPool
from polyport_gateway.knowledge.readers import ReadOptions, read
from polyport_gateway.knowledge.readers.images import reader as images
from tests.support.drawn import encoded, page_of, table_of, vertical_page

SALES = [
    (0, 0, 2, 1, "Region"), (0, 1, 1, 2, "Revenue 2026"), (0, 3, 2, 1, "Staff"), (1, 1, 1, 1, "Q1"), (1, 2, 1, 1, "Q2"),
    (2, 0, 1, 1, "North"), (2, 1, 1, 1, "1,250"), (2, 2, 1, 1, "1,310"), (2, 3, 1, 1, "7"),
    (3, 0, 1, 1, "South"), (3, 1, 1, 1, "980"), (3, 3, 1, 1, "12"),
]  # fmt: skip
TEA = [
    (0, 0, 1, 1, "产品名称"), (0, 1, 1, 1, "单价"), (0, 2, 1, 1, "数量"),
    (1, 0, 1, 1, "绿茶"), (1, 1, 1, 1, "25.00"), (1, 2, 1, 1, "3"),
    (2, 0, 1, 1, "乌龙茶"), (2, 1, 1, 1, "48.50"), (2, 2, 1, 1, "10"),
    (3, 0, 1, 1, "普洱茶"), (3, 1, 1, 1, "136.00"), (3, 2, 1, 1, "2"),
]  # fmt: skip
WIDTHS = {id(SALES): (220, 200, 200, 160), id(TEA): (300, 240, 160)}
SMALL = Image.new("RGB", (64, 32), "white")


def filled(table):
    return sorted(
        (cell.row, cell.column, cell.row_span, cell.column_span, unicodedata.normalize("NFKC", cell.text))
        for cell in table.grid.cells
        if cell.text
    )


@pytest.mark.parametrize(
    ("form", "mime"),
    [
        ("PNG", "image/png"),
        ("JPEG", "image/jpeg"),
        ("TIFF", "image/tiff"),
        ("BMP", "image/bmp"),
        ("WEBP", "image/webp"),
        ("GIF", "image/gif"),
    ],
)
def test_the_picture_itself_is_kept(read_file, form, mime):
    data = encoded(SMALL, form)
    parsed = read_file(data, "a.bin", ocr="never")
    (picture,) = parsed.document.blocks
    assert isinstance(picture, Picture)
    assert (picture.mime, parsed.document.assets[picture.sha256]) == (mime, data)
    assert (parsed.document.metadata["width"], parsed.document.metadata["height"]) == (64, 32)
    assert parsed.receipt.pictures == 1
    assert parsed.receipt.reader == "images"
    assert not read_file(data, "a.bin", ocr="never", pictures=False).document.assets


def test_text_that_is_not_read_is_said_so(read_file, monkeypatch):
    data = encoded(SMALL)
    asked = read_file(data, "a.png", ocr="never", strict=True).receipt
    assert 'pip install "polyport[ocr]"' in asked.warnings[0]
    monkeypatch.setattr(images, "is_installed", lambda: False)
    receipt = read_file(data, "a.png").receipt
    assert receipt.skipped[0].what == "text of the picture"
    assert 'pip install "polyport[ocr]"' in receipt.skipped[0].why
    with pytest.raises(DocumentLossError, match=r"polyport\[ocr\]"):
        read_file(data, "a.png", strict=True)


def test_a_page_becomes_headings_and_paragraphs(read_file):
    page = page_of(
        ["年度报告", "", "The first paragraph of the report.", "", "本公司成立于二〇一〇年。"], size=(900, 420)
    )
    ImageDraw.Draw(page).rectangle((60, 60, 600, 150), fill="white")
    page.paste(page_of(["年度报告"], size=(520, 160), pixels=60).crop((60, 60, 520, 160)), (60, 50))
    exif = Image.Exif()
    exif[0x010E], exif[0x0131] = "A report", "Scanner 9"
    parsed = read_file(encoded(page, "JPEG", quality=90, dpi=(144, 144), exif=exif), "report.jpg")
    picture, heading, *rest = parsed.document.blocks
    assert isinstance(picture, Picture)
    assert picture.alt == "A report"
    assert picture.provenance.bbox == (0, 0, 450, 210)
    assert isinstance(heading, Heading)
    assert heading.text == "年度报告"
    assert heading.provenance.page == 1
    assert heading.provenance.bbox.left == pytest.approx(40, abs=4)
    assert all(isinstance(block, Paragraph) for block in rest)
    assert [block.text for block in rest] == ["The first paragraph of the report.", "本公司成立于二〇一〇年。"]
    assert parsed.receipt.ocr_confidence > 0.95
    assert (parsed.receipt.skipped, parsed.receipt.warnings) == ((), ())
    assert parsed.document.metadata["dpi"] == 144
    assert parsed.document.metadata["software"] == "Scanner 9"


@pytest.mark.parametrize(
    ("cells", "drawn", "slanted", "turned"),
    [
        (SALES, {}, 0, 0),
        pytest.param(SALES, {"line": 1, "above": "Table 1: Sales"}, 2, 0, marks=pytest.mark.slow),
        pytest.param(SALES, {}, 0, 90, marks=pytest.mark.slow),
        pytest.param(TEA, {}, -3, 0, marks=pytest.mark.slow),
        pytest.param(TEA, {"line": 4}, 0, 180, marks=pytest.mark.slow),
        (TEA, {"ruled": False}, 0, 0),
    ],
)
def test_a_tables_grid_is_exact(read_file, cells, drawn, slanted, turned):
    page = table_of(cells, WIDTHS[id(cells)], **drawn)
    page = page.rotate(slanted, Image.Resampling.BICUBIC, fillcolor="white", expand=True).rotate(turned, expand=True)
    parsed = read_file(encoded(page, dpi=(150, 150)), "table.png")
    (table,) = [block for block in parsed.document.blocks if isinstance(block, Table)]
    assert filled(table) == sorted(cells)
    assert parsed.document.metadata.get("rotation", 0) == turned
    if "above" in drawn:
        assert table.caption == "Table 1: Sales"


def test_columns_are_read_from_right_to_left(read_file):
    data = encoded(vertical_page(["春眠不觉晓", "处处闻啼鸟", "夜来风雨声"]))
    assert "".join(read_file(data, "poem.png").document.text.split()) == "春眠不觉晓处处闻啼鸟夜来风雨声"


def test_exif_says_which_way_up(read_file):
    exif = Image.Exif()
    exif[0x0112] = 6  # it must be turned clockwise by a quarter
    page = page_of(["Upright in the end"], size=(600, 200)).rotate(90, expand=True)
    parsed = read_file(encoded(page, "JPEG", quality=95, exif=exif), "photo.jpg")
    assert "Upright in the end" in parsed.document.text
    assert "rotation" not in parsed.document.metadata


def test_each_picture_of_a_tiff_is_a_page(read_file):
    pages = [page_of([f"Page number {number}"], size=(500, 160), pixels=36) for number in (1, 2)]
    data = encoded(pages[0], "TIFF", save_all=True, append_images=[Image.new("RGB", (80, 80), "white"), pages[1]])
    parsed = read_file(data, "scan.tiff")
    assert [block.text for block in parsed.document.blocks if isinstance(block, Paragraph | Heading)] == [
        "Page number 1",
        "Page number 2",
    ]
    assert [block.page for block in parsed.document.blocks if isinstance(block, PageBreak)] == [2, 3]
    assert (parsed.receipt.pages_in, parsed.receipt.pages_out) == (3, 3)
    assert parsed.receipt.warnings == ("Page 2: no text was found.",)
    assert parsed.receipt.characters[1] == 0


def test_a_damaged_page_is_skipped_and_told(read_file, monkeypatch):
    monkeypatch.setattr(images, "recognise", lambda image, dpi: nothing(image))
    pages = [Image.new("RGB", (64, 64), colour) for colour in ("white", "silver", "grey")]
    data = bytearray(
        encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:], compression="tiff_adobe_deflate")
    )
    # The second page's pixels: the second stream of deflate.
    second = data.index(b"\x78\x9c", data.index(b"\x78\x9c") + 2)
    data[second : second + 2] = b"\xff\xff"
    parsed = read_file(bytes(data), "scan.tiff")
    assert [(item.what, item.page) for item in parsed.receipt.skipped] == [("page", 2)]
    assert (parsed.receipt.pages_in, parsed.receipt.pages_out) == (3, 2)
    with pytest.raises(DocumentLossError, match="page 2"):
        read_file(bytes(data), "scan.tiff", strict=True)


def nothing(image):
    from polyport_gateway.knowledge.ocr import Recognised

    return Recognised((), (), *map(float, image.size))


def test_pages_for_which_no_time_is_left_are_told(read_file, monkeypatch):
    # Asked before each page, then at its begin and its end: pages of 40 and 30 s leave too little for a third.
    left = iter([100.0, 100.0, 60.0, 60.0, 60.0, 30.0])
    monkeypatch.setattr(images, "recognise", lambda image, dpi: nothing(image))
    monkeypatch.setattr(budget, "seconds_left", lambda: next(left, 25.0))
    data = encoded(SMALL, "TIFF", save_all=True, append_images=[SMALL] * 4)
    receipt = read_file(data, "scan.tiff").receipt
    (lost,) = receipt.skipped
    assert (lost.what, lost.page, lost.count) == ("page", 3, 3)
    assert (receipt.pages_in, receipt.pages_out) == (5, 2)


def test_a_scanned_pdf_is_read_as_long_as_there_is_time(read_file, monkeypatch):
    page = page_of(["Scanned, and on its side"], size=(600, 200)).rotate(270, expand=True)
    data = encoded(page, "PDF", resolution=144.0, save_all=True, append_images=[page])
    asked = iter([True, False])
    monkeypatch.setattr(budget.Pace, "allows_another", lambda self: next(asked))
    parsed = read_file(data, "scan.pdf")
    assert parsed.document.text.strip() == "Scanned, and on its side"
    assert parsed.receipt.ocr_confidence > 0.95
    assert [(item.what, item.page) for item in parsed.receipt.skipped] == [("text", 2)]


def test_an_animations_first_frame_is_read(read_file, monkeypatch):
    monkeypatch.setattr(images, "recognise", lambda image, dpi: nothing(image))
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("white", "red", "blue")]
    for form, name in (("GIF", "a.gif"), ("WEBP", "a.webp"), ("PNG", "a.png")):
        parsed = read_file(encoded(frames[0], form, save_all=True, append_images=frames[1:]), name)
        assert parsed.document.metadata["frames"] == 3
        assert parsed.receipt.pages_in == 1
        assert "animation of 3 frames" in parsed.receipt.warnings[0]


def test_a_cut_off_picture_is_read_as_far_as_it_goes(read_file):
    page = page_of(["The beginning is here", "", "", "", "", "", "The end is not"], size=(700, 520))
    data = encoded(page, "JPEG", quality=90)
    parsed = read_file(data[: len(data) // 2], "cut.jpg")
    assert "The beginning is here" in parsed.document.text
    assert parsed.receipt.skipped[0].what == "part of the picture"


def png_of(width, height, pixels=b""):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(50_000, 50_000), (20_000, 10_000), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_by_its_header(read_file, size):
    with pytest.raises(UnreadableDocumentError, match=r"bomb\.png: it has .* pixels"):
        read_file(png_of(*size, b"\x00" * 1000), "bomb.png")


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\x00\x08\x00\x00\x00", b"GIF89a"])
def test_a_header_alone_is_no_picture(read_file, data):
    with pytest.raises(UnreadableDocumentError, match=r"damaged|no picture"):
        read_file(data + b"\x00" * 20, "a.png")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "GIF", "WEBP", "BMP"])
def test_whatever_bytes_are_wrong_it_is_read_or_refused(read_file, form, monkeypatch):
    monkeypatch.setattr(images, "recognise", lambda image, dpi: nothing(image))
    whole = encoded(page_of(["abc"], size=(160, 120), pixels=20), form)
    chance = random.Random(7)
    for _ in range(40):
        data = bytearray(whole[: chance.randrange(12, len(whole) + 1)])
        for _ in range(chance.randrange(6)):
            data[chance.randrange(8, len(data))] = chance.randrange(256)
        # Nothing but what the reader's contract names comes out of it.
        with contextlib.suppress(UnreadableDocumentError):
            assert isinstance(read_file(bytes(data), "a.bin", format=form.lower()).document.blocks[0], Picture)


@pytest.mark.anyio
async def test_a_confined_process_reads_pictures_too():
    """No network, no programs, limited memory: the models come from the wheel."""
    data = encoded(page_of(["Confined, and read all the same."], size=(900, 200)))
    async with ParserPool(workers=1, limits=ParseLimits(wall_s=110)) as pool:
        parsed = await pool.parse(data, "a.png")
        assert "Confined, and read all the same." in parsed.document.text
        assert (await pool.parse(b"# Tea", "a.md")).document.text == "Tea"


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_long_scan_ends_in_time_with_the_pages_that_were_read():
    page = page_of(["The quick brown fox jumps over the lazy dog."] * 24, size=(1240, 1754))
    data = encoded(page, "TIFF", save_all=True, append_images=[page] * 59, compression="tiff_lzw")
    async with ParserPool(workers=1, limits=ParseLimits(wall_s=40)) as pool:
        receipt = (await pool.parse(data, "scan.tiff")).receipt
    (lost,) = receipt.skipped
    assert receipt.pages_in == 60
    assert receipt.pages_out == 60 - lost.count
    assert receipt.pages_out >= 1


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_full_page_at_300_dpi_fits_the_default_limits():
    lines = ["The quick brown fox jumps over the lazy dog and then again over it, as ever."] * 50
    data = encoded(page_of(lines, size=(2481, 3509), pixels=50, step=1.25), dpi=(300, 300))
    async with ParserPool(workers=1, limits=ParseLimits(wall_s=110)) as pool:
        parsed = await pool.parse(data, "a.png")
        assert parsed.document.text.count("quick brown fox") == 50


@pytest.mark.slow
@pytest.mark.requires("data")
def test_real_scans(shared_data):
    folder = shared_data / "documents" / "ocr"
    expected = "Docling bundles PDF document conversion to JSON and Markdown in an easy self contained package"
    for name in ("ocr_test.pdf", "ocr_test_rotated_270.pdf"):
        assert read((folder / name).read_bytes(), name, ReadOptions()).document.text == expected
    bill = read((folder / "qr_bill_example.jpg").read_bytes(), "bill.jpg", ReadOptions())
    assert bill.receipt.ocr_confidence > 0.97
    table = next(block for block in bill.document.blocks if isinstance(block, Table))
    assert table.grid.texts(2) == ("2", "Disposal of cuttings", "1", "CHF 307.35", "CHF 307.35")

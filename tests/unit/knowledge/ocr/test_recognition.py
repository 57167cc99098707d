"""What is drawn is read: Chinese and English, whichever way up, with its place."""

from __future__ import annotations

import subprocess
import sys
import unicodedata

import pytest
from PIL import Image, ImageDraw

from polyport_gateway.knowledge import layout
from polyport_gateway.knowledge.ocr import recognise
from tests.support.drawn import font, page_of, table_of, vertical_page

LINES = (
    "多模态知识库系统使用说明书",
    "The quick brown fox jumps over the lazy dog.",
    "使用 Python 3.11 及以上版本。",
    "合计金额 1,234.56 元",
)


def plain(text):
    return unicodedata.normalize("NFKC", text).replace(" ", "")


def lines_of(found):
    """The lines from the top."""
    return [line.text for line in layout.lines_of(found.words)]


@pytest.fixture(scope="module")
def page():
    return page_of(LINES, size=(900, 420))


def test_chinese_and_english_are_read_with_their_places(page):
    found = recognise(page, dpi=144)
    assert plain("".join(lines_of(found))) == plain("".join(LINES))
    assert (found.width, found.height, found.rotation, found.skew, found.unread) == (450, 210, 0, 0, 0)
    assert found.confidence > 0.95
    by_text = {word.text: word for word in found.words}
    # Blanks part English words; there are none in Chinese.
    assert LINES[0] in by_text
    assert [word for word in LINES[1].split() if word not in by_text] == []
    draw = ImageDraw.Draw(page)
    for word in ("quick", "jumps", "lazy"):
        start = 80 + draw.textlength(LINES[1][: LINES[1].index(word)], font=font(32))
        end = start + draw.textlength(word, font=font(32))
        assert by_text[word].box.left == pytest.approx(start / 2, abs=3)
        assert by_text[word].box.right == pytest.approx(end / 2, abs=3)
        assert by_text[word].box.top < (80 + 1.6 * 32 + 24) / 2 < by_text[word].box.bottom
        assert by_text[word].size == pytest.approx(16, abs=2.5)


@pytest.mark.parametrize(("turned", "slanted"), [(90, 0), (180, 3), (270, -4)])
def test_a_page_is_turned_and_straightened(page, turned, slanted):
    picture = page.rotate(-slanted, resample=Image.Resampling.BICUBIC, fillcolor="white").rotate(turned, expand=True)
    found = recognise(picture, dpi=144)
    # Turned anticlockwise by so much, it must be turned clockwise by as much.
    assert found.rotation == turned
    assert found.skew == pytest.approx(slanted, abs=0.25)
    assert (found.width, found.height) == (450, 210)
    assert plain("".join(lines_of(found))) == plain("".join(LINES))


def test_columns_are_read_from_top_to_bottom():
    found = recognise(vertical_page(["春眠不觉晓处处闻啼鸟", "夜来风雨声花落知多少"]), dpi=144)
    assert found.rotation == 0
    words = sorted(found.words, key=lambda word: -word.box.left)
    assert [word.text for word in words] == ["春眠不觉晓处处闻啼鸟", "夜来风雨声花落知多少"]
    assert all(word.vertical for word in words)


def test_text_at_the_margin_that_runs_upwards_is_read_too():
    page = page_of(LINES[:2], size=(900, 700))
    margin = page_of(["Confidential draft"], size=(600, 160)).crop((60, 60, 500, 140))
    page.paste(margin.rotate(90, expand=True), (20, 220))
    found = recognise(page, dpi=144)
    assert found.rotation == 0
    upwards = [word for word in found.words if word.vertical]
    assert [word.text for word in sorted(upwards, key=lambda word: -word.box.top)] == ["Confidential", "draft"]


def test_light_on_dark_is_read():
    found = recognise(page_of([LINES[1]], size=(900, 200), ink="white", paper="#203040"), dpi=144)
    assert plain("".join(lines_of(found))) == plain(LINES[1])


def test_lines_of_a_table_are_rulings_and_no_text():
    picture = table_of([(0, 0, 1, 1, "7"), (0, 1, 1, 1, "Tea"), (1, 0, 1, 2, "3")], (120, 200))
    found = recognise(picture, dpi=144)
    # Single digits, which a detector of lines passes over, are there.
    assert sorted(word.text for word in found.words) == ["3", "7", "Tea"]
    across = sorted({round(ruling.box.top / 3) for ruling in found.rulings if ruling.horizontal})
    down = sorted({round(ruling.box.left / 3) for ruling in found.rulings if not ruling.horizontal})
    assert (len(across), len(down)) == (3, 3)
    assert all(
        min(ruling.box.right - ruling.box.left, ruling.box.bottom - ruling.box.top) < 5 for ruling in found.rulings
    )


def test_a_blank_page_has_no_text():
    found = recognise(Image.new("RGB", (600, 400), "white"), dpi=72)
    assert (found.words, found.rulings, found.confidence, found.unread) == ((), (), None, 0)
    assert (found.width, found.height) == (600, 400)


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 3), (40, 30)])
def test_tiny_pictures_break_nothing(size):
    assert recognise(Image.new("L", size, 255), dpi=72).words == ()


@pytest.mark.slow
def test_a_long_picture_is_looked_at_in_parts():
    lines = [f"Line {number} of a very long strip" for number in range(1, 121)]
    found = recognise(page_of(lines, size=(700, 120 * 48 + 200), pixels=30), dpi=96)
    assert plain("".join(lines_of(found))) == plain("".join(lines))


@pytest.mark.slow
def test_a_long_line_is_read_once():
    line = "A banner with a line of text that is far longer than what is looked at in one piece, from end to end of it."
    found = recognise(page_of([line], size=(2800, 200), pixels=50), dpi=96)
    assert " ".join(lines_of(found)) == line


@pytest.mark.slow
@pytest.mark.parametrize("pixels", [14, 20, 44])
@pytest.mark.parametrize("serif", [False, True])
def test_sizes_and_faces(pixels, serif):
    found = recognise(page_of(LINES, size=(60 * pixels + 200, 500), pixels=pixels, serif=serif), dpi=144)
    ours, drawn = plain("".join(word.text for word in found.words)), plain("".join(LINES))
    assert sorted(ours) == sorted(drawn)


def test_nothing_heavy_is_loaded_before_the_first_picture():
    code = (
        "import sys; import polyport_gateway.knowledge.readers as r; r.readers(); "
        "import polyport_gateway.knowledge.ocr as o; o.is_installed(); "
        "print(sorted({'rapidocr', 'onnxruntime', 'cv2', 'numpy', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

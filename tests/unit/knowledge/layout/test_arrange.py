"""The geometry of a page, without any file."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyport_gateway.knowledge.documents import Box, Heading, ListItem, Table
from polyport_gateway.knowledge.layout import (
    Look,
    PageContent,
    PictureBox,
    PictureRegion,
    Ruling,
    TableRegion,
    TextRegion,
    Word,
    arrange,
    block_of,
    heading_levels,
    look_of,
)


def words(text, left, top, size=10.0, **style):
    """Set a line; a letter is half an em wide."""
    result = []
    for word in text.split(" "):
        right = left + 0.5 * size * len(word)
        result.append(Word(word, Box(left, top, right, top + size), size, **style))
        left = right + 0.3 * size
    return result


def page(*parts, rulings=(), pictures=()):
    return PageContent(595, 842, tuple(word for part in parts for word in part), tuple(rulings), tuple(pictures))


def texts(regions):
    return [block_of(region).text for region in regions]


def box_lines(left, top, right, bottom):
    return [
        Ruling(Box(left, top, right, top)), Ruling(Box(left, bottom, right, bottom)),
        Ruling(Box(left, top, left, bottom)), Ruling(Box(right, top, right, bottom)),
    ]  # fmt: skip


def test_the_example_of_the_package():
    regions = arrange(page(words("Tea", 72, 72, 18, bold=True), words("Hot.", 72, 100)))
    assert [region.kind for region in regions] == ["heading", "paragraph"]
    levels = heading_levels(look for region in regions if (look := look_of(region)))
    block = block_of(regions[0], page=3, heading_level=levels[look_of(regions[0])])
    assert isinstance(block, Heading)
    assert (block.level, block.provenance.page, block.provenance.bbox) == (1, 3, Box(72, 72, 87 + 12, 90))


def test_levels_follow_size_then_weight():
    looks = [Look(10, True), Look(20, False), Look(14, True), Look(14.2, True), Look(14, False)]
    levels = heading_levels(looks)
    assert levels == {
        Look(20, False): 1, Look(14.2, True): 2, Look(14, True): 2, Look(14, False): 3, Look(10, True): 4,
    }  # fmt: skip


def test_recognised_lines_are_words_as_well():
    whole = [
        Word("A line that was recognised as one piece of text", Box(72, 100, 330, 113), 13, confidence=0.98),
        Word("and its second line of another height.", Box(72, 117, 320, 128), 11, confidence=0.97),
    ]
    regions = arrange(PageContent(595, 842, tuple(whole)))
    assert texts(regions) == ["A line that was recognised as one piece of text and its second line of another height."]


def test_vertical_columns_are_read_from_the_right():
    columns = [
        Word("春眠不觉晓", Box(500, 80, 514, 160), 14, vertical=True),
        Word("处处闻啼鸟", Box(476, 80, 490, 160), 14, vertical=True),
    ]
    assert texts(arrange(PageContent(595, 842, tuple(reversed(columns))))) == ["春眠不觉晓处处闻啼鸟"]


def test_text_up_the_side_is_a_paragraph_of_its_own():
    side = [Word(text, Box(20, 500 - 60 * index, 32, 550 - 60 * index), 12, vertical=True)
            for index, text in enumerate(("arXiv:2305", "[cs.CV]", "2023"))]  # fmt: skip
    body = [words(f"a line of running text number {number} on the page", 72, 100 + 12 * number) for number in range(9)]
    found = texts(arrange(page(side, *body)))
    assert "arXiv:2305 [cs.CV] 2023" in found
    assert len(found) == 2


def test_right_to_left_lines_and_columns():
    line = [Word("שלום", Box(300, 100, 330, 110), 10), Word("12", Box(285, 100, 295, 110), 10),
            Word("ספר", Box(250, 100, 275, 110), 10)]  # fmt: skip
    assert texts(arrange(page(line))) == ["שלום 12 ספר"]


def test_columns_in_a_part_of_a_page_are_read_one_after_the_other_whatever_stands_over_all():
    wide = [words(f"{number} " + "over the whole width of the page " * 3, 72, 100 + 14 * number) for number in range(8)]
    columns = [
        words(f"{side}{number} goes down one of the columns", 72 + 250 * side, 250 - 6 * side + 14 * number)
        for number in range(6)
        for side in (0, 1)
    ]
    header = [words("Date", 72, 20, 8), words("Title of it", 400, 20, 8)]
    said = " ".join(texts(arrange(page(*header, *wide, *columns))))
    starts = [said.index(f"{side}{number} goes") for side in (0, 1) for number in range(6)]
    assert starts == sorted(starts)


def test_missing_rulings_are_spans():
    rulings = [
        *box_lines(72, 100, 372, 160),
        Ruling(Box(172, 120, 172, 160)), Ruling(Box(272, 100, 272, 160)),
        Ruling(Box(72, 120, 372, 120)), Ruling(Box(72, 140, 272, 140)),
    ]  # fmt: skip
    content = [words("Both", 80, 104), words("Last", 280, 104), words("a", 80, 124), words("b", 180, 124),
               words("c", 80, 144), words("d", 180, 144), words("tall", 280, 134)]  # fmt: skip
    (region,) = arrange(page(*content, rulings=rulings))
    table = block_of(region)
    assert isinstance(table, Table)
    assert [list(table.grid.texts(row)) for row in range(3)] == [
        ["Both", "Both", "Last"], ["a", "b", "tall"], ["c", "d", "tall"],
    ]  # fmt: skip


def test_cells_that_are_no_rectangle_are_cut_into_rows():
    # The line between the two columns ends in the middle: an L remains, which no cell can be.
    rulings = [*box_lines(72, 100, 272, 160), Ruling(Box(172, 100, 172, 120)), Ruling(Box(72, 120, 172, 120)),
               Ruling(Box(72, 140, 272, 140))]  # fmt: skip
    content = [words("a", 80, 104), words("b", 180, 104), words("c", 80, 124), words("d", 180, 144)]
    (region,) = arrange(page(*content, rulings=rulings))
    assert isinstance(region, TableRegion)
    assert block_of(region).grid.rows == 3


def test_a_frame_and_a_chart_are_no_tables():
    frame = box_lines(60, 90, 500, 400)
    grid = [Ruling(Box(72, 500 + 20 * number, 300, 500 + 20 * number)) for number in range(8)]
    grid += [Ruling(Box(72 + 30 * number, 500, 72 + 30 * number, 640)) for number in range(8)]
    body = [words("some words of a paragraph that stands in a frame", 72, 100 + 12 * number) for number in range(4)]
    regions = arrange(page(*body, words("12", 80, 505), words("7", 140, 545), rulings=frame + grid))
    assert not any(isinstance(region, TableRegion) for region in regions)


def test_a_picture_stands_where_it_is_and_takes_its_caption():
    body = [
        words("some words of a paragraph that goes over the whole page", 72, 100 + 12 * number) for number in range(3)
    ]
    caption = words("Figure 2. A cup of tea.", 72, 305)
    rest = [words("and other words after the picture of this very page here", 72, 360 + 12 * n) for n in range(3)]
    regions = arrange(page(*body, caption, *rest, pictures=[PictureBox(Box(72, 150, 300, 300), 7)]))
    assert [type(region) for region in regions] == [TextRegion, PictureRegion, TextRegion]
    assert regions[1].key == 7
    assert block_of(regions[1]).caption == "Figure 2. A cup of tea."


def test_marks_of_lists_may_stand_apart():
    content = []
    for number, text in enumerate(("first point of it", "second point of it", "third point of it")):
        content += [words(f"{number + 1}.", 72, 100 + 14 * number), words(text, 110, 100 + 14 * number)]
    blocks = [block_of(region) for region in arrange(page(*content))]
    assert [(block.kind, block.marker, block.text) for block in blocks if isinstance(block, ListItem)] == [
        ("list_item", "1.", "first point of it"),
        ("list_item", "2.", "second point of it"),
        ("list_item", "3.", "third point of it"),
    ]


def test_entries_of_a_table_of_contents_stay_apart():
    entries = [words(f"{number} Chapter{' .' * 12} {number * 7}", 72, 100 + 12 * number) for number in (1, 2, 3)]
    assert texts(arrange(page(*entries))) == ["1 Chapter … 7", "2 Chapter … 14", "3 Chapter … 21"]


coordinates = st.floats(0, 800, allow_nan=False)


@st.composite
def any_word(draw):
    left, top = draw(coordinates), draw(coordinates)
    size = draw(st.floats(0.0, 60.0))
    text = draw(st.text(st.sampled_from("aZ1•.-|שع茶한 \u0301é"), min_size=1, max_size=8))
    box = Box(left, top, left + draw(st.floats(0, 300)), top + draw(st.floats(0, 60)))
    return Word(text, box, size, bold=draw(st.booleans()), mono=draw(st.booleans()), vertical=draw(st.booleans()))


@st.composite
def any_ruling(draw):
    left, top, length = draw(coordinates), draw(coordinates), draw(st.floats(0, 500))
    box = Box(left, top, left + length, top) if draw(st.booleans()) else Box(left, top, left, top + length)
    return Ruling(box, draw(st.booleans()))


@settings(max_examples=80, deadline=None)
@given(st.lists(any_word(), max_size=40), st.lists(any_ruling(), max_size=20))
def test_no_word_is_lost_on_any_page(content, rulings):
    regions = arrange(PageContent(800, 800, tuple(content), tuple(rulings), (PictureBox(Box(10, 10, 90, 90)),)))
    lines = []
    for region in regions:
        if isinstance(region, TextRegion):
            lines += region.lines
        elif isinstance(region, TableRegion):
            lines += [line for cell in region.cells for line in cell.lines]
        caption = getattr(region, "caption", None)
        lines += caption.lines if caption else ()
        block_of(region)
    found = sorted("".join(word.text for line in lines for word in line.words).replace("…", ""))
    assert [c for c in found if c != "."] == [
        c for c in sorted("".join(word.text for word in content)) if c != "."
    ]  # leaders of dots become one sign


@pytest.mark.parametrize("count", [2, 3])
def test_columns_of_any_number_are_read_from_the_left(count):
    width = 520 // count
    content = []
    for column in range(count):
        for number in range(12):
            content += words(f"column{column} line{number:02} with words enough"[: width // 6], 40 + column * width,
                             100 + 12 * number)  # fmt: skip
    order = [word for text in texts(arrange(page(content))) for word in text.split() if word.startswith("column")]
    assert all(first <= second for first, second in pairwise(order))

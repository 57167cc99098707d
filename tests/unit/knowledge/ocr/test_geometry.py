"""Turning, sorting and batching, without a model."""

from __future__ import annotations

import contextvars
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from polyport_gateway.knowledge.ocr.budget import seconds_left, stop_reading_at
from polyport_gateway.knowledge.ocr.detection import _joined, _tiles
from polyport_gateway.knowledge.ocr.engine import Reading, _batches, _memory_errors
from polyport_gateway.knowledge.ocr.orientation import in_order, turn_quads
from polyport_gateway.knowledge.ocr.pixels import rgb
from polyport_gateway.knowledge.ocr.recognition import _sizes
from polyport_gateway.knowledge.ocr.strips import Strip, pieces_of, split

QUAD = np.array([[[10.0, 20.0], [60.0, 22.0], [59.0, 40.0], [9.0, 38.0]]])


@given(st.integers(0, 3), st.booleans())
def test_corners_are_sorted_from_wherever_they_begin(start, mirrored):
    shuffled = np.roll(QUAD, start, axis=1)
    shuffled = shuffled[:, ::-1] if mirrored else shuffled
    assert np.allclose(in_order(shuffled), QUAD)


@given(st.sampled_from([90, 180, 270]))
def test_a_quad_turns_with_its_picture(rotation):
    picture = np.zeros((100, 200), dtype=bool)
    picture[20:39, 10:60] = True
    turned = np.rot90(picture, -rotation // 90)
    quad = turn_quads(np.array([[[10.0, 20.0], [60.0, 20.0], [60.0, 39.0], [10.0, 39.0]]]), rotation, 200, 100)[0]
    rows, columns = np.nonzero(turned)
    assert quad.min(axis=0).tolist() == [columns.min(), rows.min()]
    assert quad.max(axis=0).tolist() == [columns.max() + 1, rows.max() + 1]
    # It begins with its top left corner.
    assert quad[0].tolist() == quad.min(axis=0).tolist()


@given(st.lists(st.integers(1, 5000), max_size=60))
def test_every_line_is_in_one_batch_of_bounded_width(widths):
    batches = list(_batches(widths))
    assert sorted(index for batch in batches for index in batch) == list(range(len(widths)))
    assert all(len(batch) == 1 or len(batch) * max(widths[index] for index in batch) <= 3072 for batch in batches)
    assert all(len(batch) <= 6 for batch in batches)


@given(st.integers(1, 100_000))
def test_tiles_cover_a_page_and_share_a_band(length):
    tiles = _tiles(length)
    assert tiles[0] == 0
    assert tiles[-1] + 1600 >= length
    assert all(after <= before + 1600 - 100 for before, after in pairwise(tiles))


def test_what_two_tiles_see_of_a_line_is_one():
    def box(left, top, right, bottom):
        return [[left, top], [right, top], [right, bottom], [left, bottom]]

    halves = [box(10, 10, 1600, 40), box(1440, 12, 2900, 41)]
    twice = [box(1450, 100, 1550, 130), box(1451, 100, 1551, 131)]
    alone = [box(10, 45, 900, 75), box(1700, 100, 1900, 130)]
    joined = _joined(np.array([*halves, *twice, *alone], dtype=float), [0, 1, 0, 1, 0, 1])
    assert [quad[0].tolist() + quad[2].tolist() for quad in joined] == [
        [10, 10, 2900, 41],
        [1450, 100, 1551, 131],
        [10, 45, 900, 75],
        [1700, 100, 1900, 130],
    ]


@given(st.lists(st.floats(5, 200), max_size=40))
def test_lines_of_nearly_one_height_get_one_size(heights):
    sizes = _sizes(heights, [10] * len(heights))
    assert all(abs(size - height) <= 0.3 * height for size, height in zip(sizes, heights, strict=True))
    assert len(_sizes([30, 31, 29, 60], [10, 10, 10, 4])) == 4
    assert len(set(_sizes([30, 31, 29, 60], [10, 10, 10, 4]))) == 2


def strip(*filled, width=200, height=20):
    pixels = np.full((height, width, 3), 255, dtype=np.uint8)
    for left, right in filled:
        pixels[4:16, left:right] = 0
    return Strip(pixels, 100, 50, 100 + width, 50 + height)


def test_a_strip_is_parted_at_wide_blanks_and_at_walls():
    parts = list(split(strip((10, 40), (90, 120), (125, 160)), walls=[222.0]))
    assert [(part.left, part.right) for part in parts] == [(107, 143), (187, 222), (222, 263)]


def test_a_blank_between_chinese_characters_is_none_unless_it_is_wide():
    reading = Reading("第 一章 Tea", (1.0,) * 8, (0.05, 0.05, 0.15, 0.25, 0.25, 0.5, 0.55, 0.6))
    pieces = pieces_of(strip((2, 18), (22, 38), (42, 58), (95, 125)), reading)
    assert [piece.text for piece in pieces] == ["第一章", "Tea"]
    assert (round(pieces[0].start * 200), round(pieces[0].end * 200)) == (2, 58)
    assert (round(pieces[1].start * 200), round(pieces[1].end * 200)) == (95, 125)


def test_a_blank_between_chinese_and_latin_is_seen_where_it_is_not_read():
    places = (0.05, 0.15, 0.35, 0.4)
    near, far = strip((2, 18), (22, 38), (41, 90)), strip((2, 18), (22, 38), (48, 90))
    assert [piece.text for piece in pieces_of(near, Reading("使用Py", (1.0,) * 4, places))] == ["使用Py"]
    assert [piece.text for piece in pieces_of(far, Reading("使用Py", (1.0,) * 4, places))] == ["使用", "Py"]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "I;16", "F", "HSV", "LAB"])
def test_every_mode_becomes_bytes(mode):
    if mode in ("I", "I;16"):
        image = Image.fromarray(np.array([[0, 65535], [32768, 65535]], dtype=np.uint16 if mode == "I;16" else np.int32))
    elif mode == "F":
        image = Image.fromarray(np.array([[0, 1], [0.5, 1]], dtype=np.float32))
    else:
        image = Image.new("RGB", (2, 2), "white")
        image.putpixel((0, 0), (0, 0, 0))
        image = image.convert("RGB").convert(mode) if mode != "LAB" else Image.new("LAB", (2, 2))
    pixels = rgb(image)
    assert pixels.shape == (2, 2, 3)
    assert pixels.dtype == np.uint8
    if mode not in ("LAB", "HSV"):
        assert pixels[0, 0].max() < 60
        assert pixels[1, 1].min() > 200


def test_what_is_transparent_shows_a_ground_on_which_the_rest_stands_out():
    for ink, ground in (((0, 0, 0, 255), 255), ((255, 255, 255, 255), 0)):
        image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
        image.putpixel((3, 3), ink)
        assert rgb(image)[0, 0].tolist() == [ground] * 3
        assert rgb(image)[3, 3].tolist() == list(ink[:3])


def test_memory_that_runs_out_is_said_to_have():
    with pytest.raises(MemoryError), _memory_errors():
        raise RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : std::bad_alloc")
    with pytest.raises(RuntimeError, match="shape"), _memory_errors():
        raise RuntimeError("bad shape")


def test_time_ends_by_the_clock_where_it_is_known():
    assert seconds_left() > 1000
    contextvars.copy_context().run(ends_in_five_seconds)
    assert seconds_left() > 1000


def ends_in_five_seconds():
    stop_reading_at(time.monotonic() + 5)
    assert 4 < seconds_left() <= 5

"""Pages drawn on the spot, as pictures: lines of text, tables with spans, columns of vertical text."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

__all__ = ["Grid", "encoded", "page_of", "table_of", "vertical_page"]

Grid = Sequence[tuple[int, int, int, int, str]]
"""Cells: row, column, rows, columns, text."""


def font(size: int, *, serif: bool = False) -> ImageFont.FreeTypeFont:
    """Noto Sans SC or Noto Serif SC, with Latin letters of their own."""
    import pylopdf_fonts_zh_cn as fonts

    return ImageFont.truetype(str(fonts.serif_path() if serif else fonts.sans_path()), size)


def page_of(
    lines: Sequence[str],
    *,
    size: tuple[int, int] = (1240, 900),
    pixels: int = 32,
    serif: bool = False,
    step: float = 1.6,
    ink: str = "black",
    paper: str = "white",
) -> Image.Image:
    """A page with these lines of text; the font is so many pixels high."""
    image = Image.new("RGB", size, paper)
    draw, used = ImageDraw.Draw(image), font(pixels, serif=serif)
    for number, line in enumerate(lines):
        draw.text((80, 80 + number * pixels * step), line, font=used, fill=ink)
    return image


def table_of(
    cells: Grid,
    widths: Sequence[int],
    *,
    height: int = 60,
    pixels: int = 28,
    ruled: bool = True,
    line: int = 2,
    above: str = "",
    origin: tuple[int, int] = (80, 160),
) -> Image.Image:
    """A page with a table on it, its cells centred if they span columns."""
    rows = max(row + span for row, _, span, _, _ in cells)
    image = Image.new("RGB", (sum(widths) + 2 * origin[0], rows * height + 2 * origin[1]), "white")
    draw, used = ImageDraw.Draw(image), font(pixels)
    if above:
        draw.text((origin[0], 60), above, font=used, fill="black")
    for row, column, row_span, column_span, text in cells:
        left, top = origin[0] + sum(widths[:column]), origin[1] + row * height
        right, bottom = left + sum(widths[column : column + column_span]), top + row_span * height
        if ruled:
            draw.rectangle((left, top, right, bottom), outline="black", width=line)
        room = draw.textlength(text, font=used)
        x = left + (right - left - room) / 2 if column_span > 1 else left + 14
        draw.text((x, (top + bottom) / 2), text, font=used, fill="black", anchor="lm")
    return image


def vertical_page(columns: Sequence[str], *, pixels: int = 40) -> Image.Image:
    """A page of Chinese set in columns, the first at the right."""
    step = int(pixels * 1.15)
    size = (len(columns) * pixels * 2 + 240, max(map(len, columns)) * step + 200)
    image = Image.new("RGB", size, "white")
    draw, used = ImageDraw.Draw(image), font(pixels)
    for number, column in enumerate(columns):
        for place, character in enumerate(column):
            draw.text((size[0] - 160 - number * pixels * 2, 100 + place * step), character, font=used, fill="black")
    return image


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    """The file."""
    target = io.BytesIO()
    image.save(target, form, **options)
    return target.getvalue()

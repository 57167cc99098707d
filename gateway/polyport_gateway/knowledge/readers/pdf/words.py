"""The words of a page.

PDFium gives the text of a page in the order in which it was drawn, with blanks and line breaks where the gaps are. A
word whose ends agree (one font, one line) needs two looks at its boxes; only the others are taken apart by character.
"""

from __future__ import annotations

import ctypes
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import pypdfium2.raw as pdfium

from polyport_gateway.knowledge.documents import Box
from polyport_gateway.knowledge.layout import Word
from polyport_gateway.knowledge.layout.scripts import HAN

from .bidi import Glyph, logical
from .fonts import FontLook, Fonts
from .frame import Frame

__all__ = ["PageText", "page_text"]

MOST_CHARACTERS = 400_000
_MEANINGLESS = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_SET_APART = 0.24  # em at most between a Chinese character and a letter where no blank is meant
_FARTHEST = 0.5  # em by which a Chinese comma is set apart to fill a line
_STRETCHED = "\uff0c\u3002\u3001\uff1b\uff1a\uff01\uff1f\uff09\u300d\u300f\u300b\u201d\u2019"
_TALL = 1.3  # em: the height of a line of most fonts
_TOKEN = re.compile(r"[^\s\x00\x02\ufffe\uffff]+[\x02\ufffe]?|[\x02\ufffe]")
_HYPHEN = re.compile("[\x02\ufffe]")  # PDFium's sign for a hyphen at a line's end
_RTL = re.compile(r"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_LIGATURES = re.compile(r"[\ufb00-\ufb06\ufb13-\ufb17\ufb1d-\ufb4f\ufb50-\ufdff\ufe70-\ufefc]")
_GARBAGE = re.compile(r"[\ufffd\ue000-\uf8ff\x01\x03-\x08\x0e-\x1f\x7f-\x9f]|\(cid:\d+\)")


class PageText(NamedTuple):
    """What text a page has.

    Args:
        words: In the order of drawing.
        characters: How many there are.
        garbage: How many have no meaning: fonts that don't say which characters their glyphs are.
        dropped: Characters beyond what is read of one page.
        turned: Quarter turns clockwise by which most of its letters stand on the page as it is shown.
    """

    words: list[Word]
    characters: int
    garbage: int
    dropped: int
    turned: int = 0


class _Style(NamedTuple):
    size: float
    look: FontLook
    turned: int  # quarter turns of the text on the page as it is shown


def page_text(page: Any, frame: Frame, fonts: Fonts) -> PageText:
    """Return the words of an open page."""
    text_page = pdfium.FPDFText_LoadPage(page)
    if not text_page:
        return PageText([], 0, 0, 0)
    try:
        return _Extraction(text_page, frame, fonts).run()
    finally:
        pdfium.FPDFText_ClosePage(text_page)


class _Extraction:
    def __init__(self, text_page: Any, frame: Frame, fonts: Fonts) -> None:
        self.page = text_page
        self.frame = frame
        self.fonts = fonts
        self.rectangle = pdfium.FS_RECTF()
        self.matrix = pdfium.FS_MATRIX()
        self.reference = ctypes.byref(self.rectangle)
        self.styles: dict[int, _Style] = {}
        self.turns: Counter[int] = Counter()

    def run(self) -> PageText:
        total = max(0, pdfium.FPDFText_CountChars(self.page))
        count = min(total, MOST_CHARACTERS)
        text = self._text(count)
        words: list[Word] = []
        characters = 0
        for match in _TOKEN.finditer(text):
            start, end = match.span()
            found = list(self._token(text, start, end))
            if found and words and self._is_joined(text, start, words[-1], found[0]):
                found[0] = found[0]._replace(glued=True)
            if found and text[end : end + 1] in ("\r", "\n", ""):
                found[-1] = found[-1]._replace(spaced=False)
            words += found
            characters += end - start
        garbage = len(_GARBAGE.findall(text))
        turned, letters = self.turns.most_common(1)[0] if self.turns else (0, 0)
        return PageText(words, characters, garbage, total - count, turned if letters > 0.7 * characters else 0)

    def _is_joined(self, text: str, start: int, before: Word, word: Word) -> bool:
        """Tell whether the blank or line break before a token is PDFium's, and none is seen on the page."""
        between = text[start - 1]
        size = word.size
        gap = word.box.left - before.box.right
        level = min(before.box.bottom, word.box.bottom) - max(before.box.top, word.box.top)
        if word.vertical or level <= 0.3 * size or not -0.2 * size < gap < _FARTHEST * size:
            return False
        if between == "\n":
            return -0.1 * size < gap < 0.05 * size
        # Writer and others set letters and digits a little apart from Chinese characters; no blank is that narrow.
        end, begin = before.text[-1], word.text[0]
        if between == " " and end in _STRETCHED and HAN.match(begin):
            return True
        mixed = bool(HAN.match(end)) != bool(HAN.match(begin)) and end.isalnum() and begin.isalnum()
        return (
            between == " "
            and mixed
            and gap < _SET_APART * size
            and pdfium.FPDFText_IsGenerated(self.page, start - 1) == 1
        )

    def _text(self, count: int) -> str:
        """Return one character for each of PDFium's, so that an index into the text is one of theirs."""
        if not count:
            return ""
        buffer = (ctypes.c_ushort * (count + 1))()
        written = pdfium.FPDFText_GetText(self.page, 0, count, buffer)
        if written == count + 1:
            text = bytes(buffer)[: 2 * count].decode("utf-16-le", "surrogatepass")
            if len(text) == count:
                return text
        get = pdfium.FPDFText_GetUnicode
        return "".join(_character(get(self.page, index)) for index in range(count))

    def _token(self, text: str, start: int, end: int) -> Iterator[Word]:
        first, last = self._box(start), self._box(end - 1)
        style = self._style(start)
        token = text[start:end]
        if style is not None:
            self.turns[style.turned] += end - start
        if style is None or first is None or last is None:
            yield from self._apart(text, start, end)
            return
        plain = style.turned == 0 and not _RTL.search(token)
        if plain and (
            end - start == 1 or (_in_line(first, last, style, end - start) and self._style(end - 1) == style)
        ):
            box = self.frame.place(first[0], min(first[1], last[1]), max(first[2], last[2]), max(first[3], last[3]))
            if self.frame.rotation:
                placed = self.frame.place(*first), self.frame.place(*last)
                box = Box(placed[0].left, min(placed[0].top, placed[1].top), placed[1].right,
                          max(placed[0].bottom, placed[1].bottom))  # fmt: skip
            yield _word(token, box, style)
            return
        yield from self._apart(text, start, end)

    def _apart(self, text: str, start: int, end: int) -> Iterator[Word]:
        """Take a token apart by character: its style, line or direction changes within."""
        run: list[Glyph] = []
        style: _Style | None = None
        glued = False
        for index in range(start, end):
            box, now = self._box(index), self._style(index)
            if box is None:
                if run:  # a mark without a place belongs to the character before
                    run.append(Glyph(text[index], run[-1].box))
                continue
            now = now or style or _Style(10.0, FontLook(), 0)
            placed = self.frame.place(*box)
            if run and style is not None:
                follows = _follows(run[-1].box, placed, style)
                if now != style or not follows:
                    yield _run_word(run, style)._replace(glued=glued)
                    glued = follows or (now != style and _near(run[-1].box, placed, style))
                    run = []
            run.append(Glyph(text[index], placed))
            style = now
        if run and style is not None:
            yield _run_word(run, style)._replace(glued=glued)

    def _box(self, index: int) -> tuple[float, float, float, float] | None:
        rectangle = self.rectangle
        if not pdfium.FPDFText_GetLooseCharBox(self.page, index, self.reference):
            return None
        box = (rectangle.left, rectangle.bottom, rectangle.right, rectangle.top)
        # Damaged fonts give boxes without end.
        if box[3] - box[1] <= 0.01 or not all(-1e6 < edge < 1e6 for edge in box):
            return None
        return box

    def _style(self, index: int) -> _Style | None:
        text_object = pdfium.FPDFText_GetTextObject(self.page, index)
        key = ctypes.cast(text_object, ctypes.c_void_p).value
        if not key:
            return None
        style = self.styles.get(key)
        if style is None:
            style = self.styles[key] = self._new_style(text_object, index)
        return style

    def _new_style(self, text_object: Any, index: int) -> _Style:
        size = ctypes.c_float()
        pdfium.FPDFTextObj_GetFontSize(text_object, ctypes.byref(size))
        matrix = self.matrix
        pdfium.FPDFText_GetMatrix(self.page, index, ctypes.byref(matrix))
        scale = math.hypot(matrix.c, matrix.d) or 1.0
        angle = math.degrees(math.atan2(matrix.b, matrix.a)) if matrix.a or matrix.b else 0.0
        turned = (round(-angle / 90) + self.frame.rotation) % 4
        return _Style(round(abs(size.value) * scale, 2) or 1.0, self.fonts.look(text_object), turned)


def _character(code: int) -> str:
    return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else ("\ufffd" if code else "\x00")


def _in_line(first: tuple[float, ...], last: tuple[float, ...], style: _Style, count: int) -> bool:
    height = max(first[3] - first[1], 0.1)
    return (
        abs(first[1] - last[1]) < 0.25 * height
        and abs(first[3] - last[3]) < 0.25 * height
        and last[2] > first[0]
        and last[0] - first[0] < 1.5 * (count - 1) * max(style.size, height)
    )


def _follows(before: Box, box: Box, style: _Style) -> bool:
    """Tell whether one character stands right beside (or, turned, below or above) another."""
    size = style.size
    if style.turned % 2:
        return abs(before.left - box.left) < 0.5 * size and _gap(before.top, before.bottom, box.top, box.bottom) < size
    if _stacked(before, box, size):
        return True
    level = min(before.bottom, box.bottom) - max(before.top, box.top)
    # Some fonts give a comma no more height than it has ink.
    height = min(before.bottom - before.top, box.bottom - box.top)
    return level > 0.5 * height and _gap(before.left, before.right, box.left, box.right) < 0.45 * size


def _stacked(before: Box, box: Box, size: float) -> bool:
    """Tell whether two characters stand one below the other, as in vertical writing."""
    return abs((before.left + before.right) - (box.left + box.right)) < 0.3 * size and 0.3 * size < (
        box.top - before.top
    ) < 2.0 * max(size, 1.0)


def _near(before: Box, box: Box, style: _Style) -> bool:
    level = min(before.bottom, box.bottom) - max(before.top, box.top)
    return level > 0 and _gap(before.left, before.right, box.left, box.right) < 0.2 * style.size


def _gap(start: float, end: float, other_start: float, other_end: float) -> float:
    return max(start, other_start) - min(end, other_end)


def _run_word(run: list[Glyph], style: _Style) -> Word:
    boxes = [glyph.box for glyph in run]
    box = Box(min(b.left for b in boxes), min(b.top for b in boxes), max(b.right for b in boxes),
              max(b.bottom for b in boxes))  # fmt: skip
    text = "".join(glyph.text for glyph in run)
    if _RTL.search(text):
        text = logical(run)
    stacked = len(run) > 1 and _stacked(run[0].box, run[1].box, style.size)
    return _word(text, box, style, vertical=stacked or style.turned % 2 == 1)


def _word(text: str, box: Box, style: _Style, *, vertical: bool = False) -> Word:
    excess = box.bottom - box.top - _TALL * style.size
    if excess > 0 and not vertical and style.size > 1.0:
        # A font that claims more room than its letters take would reach into the lines above and below.
        box = Box(box.left, box.top + excess / 2, box.right, box.bottom - excess / 2)
    if not text.isascii():
        text = _LIGATURES.sub(lambda match: unicodedata.normalize("NFKC", match.group()), text)
    elif text.isprintable():
        return Word(text, box, style.size, *style.look, vertical=vertical)
    text = _MEANINGLESS.sub("\ufffd", _HYPHEN.sub("-", text))
    return Word(text, box, style.size, *style.look, vertical=vertical)

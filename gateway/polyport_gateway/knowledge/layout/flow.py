"""Lines to running text: blanks, hyphens at line ends, styles."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from polyport_gateway.knowledge.documents import Mark

from .content import Word
from .lines import Line
from .scripts import HAN, HANGUL

__all__ = ["HYPHENS", "code_text", "joined", "running_text"]

HYPHENS = "-\u2010\xad\u2011"
_KEPT = re.compile(
    r"(?:^|[\s(])(?:[\w-]+-[\w-]*|(?i:self|non|well|semi|multi|pre|post|co|anti|cross|high|low|long|short|so|two|three|"
    r"full|half|end|state|real|open)|[A-Z0-9]{2,})$"
)
_STYLES = ("bold", "italic", "mono")
_KINDS = {"bold": "bold", "italic": "italic", "mono": "code"}


def running_text(
    lines: Iterable[Line], *, skip: int = 0, styles: Sequence[str] = _STYLES
) -> tuple[str, tuple[Mark, ...]]:
    """Join lines to one text with its marks.

    Args:
        lines: From top to bottom.
        skip: Characters to leave out at the start: a list item's marker.
        styles: Which of ``bold``, ``italic`` and ``mono`` become marks.
    """
    parts: list[str] = []
    pieces: list[tuple[int, int, Word]] = []
    length = 0
    broken = False
    for line in lines:
        for index, word in enumerate(line.words):
            before = "" if word.glued or not parts else " "
            if index == 0 and parts:
                before, cut = ("\n", 0) if broken else _between(parts[-1], parts, line, pieces[-1][2])
                if cut:
                    parts[-1] = parts[-1][:-cut]
                    length -= cut
                    start, end, last = pieces[-1]
                    pieces[-1] = (start, end - cut, last)
            text = word.text
            if skip:
                taken = min(skip, len(text))
                text, skip = text[taken:], skip - taken
                if not text:
                    continue
            if before and parts:
                parts.append(before)
                length += len(before)
            pieces.append((length, length + len(text), word))
            parts.append(text)
            length += len(text)
        broken = line.broken
    text = "".join(parts)
    return text, tuple(_marks(pieces, styles))


def _between(last: str, parts: list[str], line: Line, word: Word) -> tuple[str, int]:
    """Return what stands between two lines, and how many characters at the end of the first are dropped."""
    first = line.words[0].text[:1]
    if last.endswith("\xad"):
        return "", 1
    if last[-1:] in HYPHENS and len(last) > 1 and last[-2].isalpha() and first.isalpha():
        stem = ("".join(parts[-3:]))[:-1]
        if first.islower() and not _KEPT.search(stem):
            return "", 1
        return "", 0
    if last[-1:] in "/\u2013" and len(last) > 1 and not last[-2].isspace() and first.isalnum():
        return "", 0
    if HAN.match(last[-1:]) and HAN.match(first):
        return "", 0
    if HANGUL.match(last[-1:]) and HANGUL.match(first) and not word.spaced:
        return "", 0
    return " ", 0


def joined(text: str, more: str) -> tuple[str, int]:
    """Join a text and what goes on with it; return the whole, and where the second begins."""
    begin = more[:1]
    if text[-1:] in HYPHENS and text[-2:-1].isalpha() and begin.isalpha():
        kept = not begin.islower() or _KEPT.search(text[:-1].rpartition(" ")[2])
        text = text if kept and text[-1:] != "\xad" else text[:-1]
    elif not (HAN.match(text[-1:]) and HAN.match(begin)):
        text += " "
    return text + more, len(text)


def _marks(pieces: Sequence[tuple[int, int, Word]], styles: Sequence[str]) -> Iterable[Mark]:
    for style in styles:
        yield from _merged(((start, end, "x") for start, end, word in pieces if getattr(word, style)), _KINDS[style])
    yield from _merged(((start, end, word.link) for start, end, word in pieces if word.link), "link")
    for kind, rise in (("superscript", 1), ("subscript", -1)):
        yield from _merged(((start, end, "x") for start, end, word in pieces if word.rise == rise), kind)


def _merged(spans: Iterable[tuple[int, int, str]], kind: str) -> Iterable[Mark]:
    """Make one mark of neighbours, over the blank between them."""
    current: tuple[int, int, str] | None = None
    for start, end, value in spans:
        if end <= start:
            continue
        if current and start - current[1] <= 1 and value == current[2]:
            current = (current[0], end, value)
            continue
        if current:
            yield Mark(current[0], current[1], kind, current[2] if kind == "link" else "")
        current = (start, end, value)
    if current:
        yield Mark(current[0], current[1], kind, current[2] if kind == "link" else "")


def code_text(lines: Sequence[Line]) -> str:
    """Join the lines of a code listing, with the blanks that its columns show."""
    if not lines:
        return ""
    left = min(line.box.left for line in lines)
    widths = [(word.box.right - word.box.left) / len(word.text) for line in lines for word in line.words if word.text]
    pitch = sorted(widths)[len(widths) // 2] or 1.0
    result: list[str] = []
    previous: Line | None = None
    for line in lines:
        if previous is not None and abs(line.box.top - previous.box.top) < 0.4 * (line.size or 10.0):
            text, position = result.pop(), previous.box.right
        else:
            text, position = "", left
        for word in line.words:
            blanks = round((word.box.left - position) / pitch)
            text += " " * max(blanks, 0) + word.text
            position = word.box.right
        result.append(text.rstrip())
        previous = line
    return "\n".join(result)

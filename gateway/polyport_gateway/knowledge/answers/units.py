"""What of a passage can be cited by itself: a sentence, a list with what announces it, a row of a table.

The text of a document has its blocks one below another: a heading is a line, a list's entries are lines, a table is a
grid of Markdown. `boundaries` cuts at sentence ends and at line breaks; here lines that a page or a mail has broken are
put together again, and those that only stand below each other are not. Each unit keeps its exact place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from polyport_gateway.knowledge.chunkers.boundaries import SENTENCES, ends_of
from polyport_gateway.knowledge.documents.values import Span

__all__ = ["Unit", "UnitKind", "units_of"]

UnitKind = Literal["sentence", "list", "row", "heading"]

_ROW = re.compile(r"\s*\|.*\|\s*$|[^|]*\s\|\s[^|]*(?:\||$)")
_RULE = re.compile(r"\s*\|?[\s:|\-]+\|?\s*$")
_BULLET = re.compile(r"\s*(?:[-*+•·●◦▪‣]|\(?\d{1,3}[.)、]|[（(]?[一二三四五六七八九十]{1,3}[）)、]|[a-z][.)])\s+\S")
_MARK = re.compile(r"^\s*(?:[-*+•·●◦▪‣])\s+")
_HASHES = re.compile(r"\s*#{1,6}\s")
_TERMINAL = re.compile(r"[.!?؟۔।。！？；｡…;:：][\"'”’)\]»」』）》】]*\s*$")
_ANNOUNCES = re.compile(r"[:：]\s*$")
_BLANKS = re.compile(r"\s+")
_BROKEN = 40
"""Characters from which on a line without an end may have been broken by a page."""
_HEADING = 90
_LONG = 360
"""Characters from which on a unit is cut at every mark that may end a sentence, small letter after it or not."""
_LOOSE = re.compile(r"(?<=[\w)\]\"”’%]{2})[.;!?]\s+(?=\S)")
_LIST = 800
_WIDE = 2
_MOST_LINES = 30
"""Lines that one sentence can be broken into."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A part of a passage that says something by itself.

    Args:
        passage: The place of its passage among those handed in.
        span: Its place in the passage's text.
        text: Its exact words.
        kind: What it is.
        shown: How it reads in an answer: blanks made one, a table's row with what its cells are called.
        announced: What must be known to understand it: the header of its table.
    """

    passage: int
    span: Span
    text: str
    kind: UnitKind
    shown: str
    announced: str = ""


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    end: int
    text: str
    first: bool
    """Whether a blank line, or nothing, is before it."""
    last: bool
    """Whether a blank line, or nothing, is after it."""


def units_of(text: str, passage: int = 0) -> list[Unit]:
    """Return the parts of a passage that can be cited, in its order."""
    found: list[Unit] = []
    for lines in _blocks(_lines(text)):
        if _ROW.match(lines[0].text):
            found.extend(_rows(text, lines, passage))
        elif _ANNOUNCES.search(lines[0].text) and len(lines) > 1:
            found.append(_list(text, lines, passage))
        else:
            found.extend(_prose(text, lines, passage))
    return found


def _lines(text: str) -> list[_Line]:
    raw: list[tuple[int, int]] = []
    start = 0
    for part in text.splitlines(keepends=True):
        raw.append((start, start + len(part.rstrip())))
        start += len(part)
    lines = []
    for place, (start, end) in enumerate(raw):
        line = text[start:end]
        if line.strip():
            before = place == 0 or raw[place - 1][1] <= raw[place - 1][0]
            after = place + 1 == len(raw) or raw[place + 1][1] <= raw[place + 1][0]
            start += len(line) - len(line.lstrip())
            lines.append(_Line(start, end, text[start:end], before, after))
    return lines


def _blocks(lines: Sequence[_Line]) -> Iterator[list[_Line]]:
    """Yield lines that belong together: a table's, a list's with its announcement, a broken sentence's; else one."""
    place = 0
    while place < len(lines):
        block = [lines[place]]
        place += 1
        if _ROW.match(block[0].text):
            while place < len(lines) and _ROW.match(lines[place].text):
                block.append(lines[place])
                place += 1
        elif listed := _listed(lines, place - 1):
            block.extend(listed)
            place += len(listed)
        else:
            while place < len(lines) and len(block) < _MOST_LINES and _goes_on(block, lines[place]):
                block.append(lines[place])
                place += 1
        yield block


def _listed(lines: Sequence[_Line], place: int) -> list[_Line]:
    """Return the entries that a line with a colon at its end announces; none where what follows is no list."""
    head = lines[place]
    if not _ANNOUNCES.search(head.text):
        return []
    entries: list[_Line] = []
    for line in lines[place + 1 :]:
        if _ROW.match(line.text) or line.end - head.start > _LIST or (entries and line.first):
            break
        entries.append(line)
    plain = all(not _BULLET.match(entry.text) for entry in entries)
    return [] if plain and (len(entries) < 2 or any(_TERMINAL.search(entry.text) for entry in entries)) else entries


def _goes_on(block: Sequence[_Line], line: _Line) -> bool:
    """Tell whether a line goes on with a sentence that the one before has not ended."""
    last = block[-1]
    if line.first or _ROW.match(line.text) or _BULLET.match(line.text) or _HASHES.match(line.text):
        return False
    if _TERMINAL.search(last.text):
        return False
    first = line.text[0]
    if first.islower():
        return True
    wide = first > "\u2e80"
    return (
        _width(last.text) >= _BROKEN and (wide or _width(last.text) >= 1.5 * _BROKEN) and not _HASHES.match(last.text)
    )


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(_WIDE if character > "\u2e80" else 1 for character in text[: _HEADING + 1])


def _prose(text: str, lines: Sequence[_Line], passage: int) -> Iterator[Unit]:
    start, end = lines[0].start, lines[-1].end
    whole = text[start:end]
    if len(lines) == 1 and _is_heading(lines[0]):
        yield _unit(whole, start, passage, "heading")
        return
    breaks = {line.end - start for line in lines[:-1]}
    first = 0
    for stop in ends_of(SENTENCES, whole, 0, len(whole)):
        part = whole[first:stop]
        if first + len(part.rstrip()) in breaks and not _TERMINAL.search(part):
            continue  # a line was broken here, not a sentence
        yield from _sentences(part, start + first, passage)
        first = stop
    yield from _sentences(whole[first:], start + first, passage)


def _sentences(part: str, start: int, passage: int) -> Iterator[Unit]:
    """Yield a sentence; more than one where it is so long that it must be several, as in a text without capitals."""
    ends = [match.end() for match in _LOOSE.finditer(part)] if len(part) > _LONG else []
    first = 0
    for end in [*ends, len(part)]:
        if part[first:end].strip():
            yield _unit(part[first:end], start + first, passage, "sentence")
        first = end


def _list(text: str, lines: Sequence[_Line], passage: int) -> Unit:
    start, end = lines[0].start, lines[-1].end
    entries = "; ".join(_readable(_MARK.sub("", line.text)).rstrip(";；,，.。") for line in lines[1:])
    return Unit(passage, Span(start, end), text[start:end], "list", f"{_readable(lines[0].text)} {entries}")


def _is_heading(line: _Line) -> bool:
    if _HASHES.match(line.text):
        return True
    short = _width(line.text) <= _HEADING
    return short and not _TERMINAL.search(line.text) and not _BULLET.match(line.text) and line.first and line.last


def _unit(part: str, start: int, passage: int, kind: UnitKind) -> Unit:
    first = start + len(part) - len(part.lstrip())
    exact = part.strip()
    return Unit(passage, Span(first, first + len(exact)), exact, kind, _readable(exact))


def _readable(text: str) -> str:
    joined = re.sub(r"(?<=[\u2e80-\U000323af])\s*\n\s*(?=[\u2e80-\U000323af])", "", text)
    return _BLANKS.sub(" ", _HASHES.sub("", joined)).strip()


def _rows(text: str, lines: Sequence[_Line], passage: int) -> Iterator[Unit]:
    cells = [_cells(line.text) for line in lines]
    header: list[str] = []
    if len(lines) > 1 and _RULE.match(lines[1].text):
        header = cells[0]
    elif len(lines) > 1 and cells[0][:1] in (["-"], [""]):  # no name above the column of names
        header = ["", *cells[0][1:]]
    for place, line in enumerate(lines):
        if _RULE.match(line.text) or (header and place == 0):
            continue
        pairs = [
            f"{header[column]}: {value}" if column < len(header) and header[column] else value
            for column, value in enumerate(cells[place])
            if value
        ]
        if pairs:
            exact = text[line.start : line.end]
            yield Unit(passage, Span(line.start, line.end), exact, "row", "; ".join(pairs), " ".join(header))


def _cells(row: str) -> list[str]:
    parts = re.split(r"(?<!\\)\|", row.strip().strip("|"))
    return [_BLANKS.sub(" ", part.replace("\\|", "|").replace("<br>", " ")).strip() for part in parts]

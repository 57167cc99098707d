"""An answer's text, read while it is being written: words, code, markers and the ends of sentences.

Reading stops where only what comes next can tell: a bracket that may become a marker, the blanks before it, a full
stop, a backtick. Where it stops does not hang on how the text is cut into pieces, so neither does what is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from polyport_gateway.knowledge.chunkers.boundaries import SENTENCES

from .markers import OPENERS, Group, Reading, read_group

__all__ = ["Code", "End", "MarkerScanner", "Markers", "Token", "Words"]

BLANKS = " \t\u00a0"
_TERMINAL = ".!?؟۔।。！？；｡…"
_STOP = re.compile(rf"[{BLANKS}]*[\[【［（]|`+|~+|\n|[{_TERMINAL}]|[{BLANKS}]+\Z")
DECIDES = re.compile(rf"[{_TERMINAL}\n`~\[【［（]")
"""What a piece of text must have for anything but words to be read."""
_MARK = re.compile(rf"[{_TERMINAL}]+[\"'”’)\]»」』）》】*_]*")
_BLANK_RUN = re.compile(rf"[{BLANKS}]*")
_LINE_START = re.compile(r"(?:^|\n)[ \t>]*(?:[-*+]\s+|\d+[.)]\s+)?\Z")
_TICKS = re.compile(r"`+|~+")
_PROSE_FENCES = frozenset({"markdown", "md", "text", "txt"})
_KEPT = 64
"""Characters before the place that is read, which tell what stands there."""
_LONGEST_CODE = 200
_SHORTEST_FENCE = 3


@dataclass(frozen=True, slots=True)
class Words:
    """A part of a sentence."""

    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """A part of a fenced block, to be shown as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class Markers:
    """Markers inside a sentence.

    Args:
        lead: The blanks before them.
        numbers: Which they name.
        raw: As they were written.
        last: Whether the sentence ends after them.
    """

    lead: str
    numbers: tuple[int, ...]
    raw: str
    last: bool


@dataclass(frozen=True, slots=True)
class End:
    """The end of a sentence or a line.

    Args:
        mark: The full stop and what closes after it.
        markers: Those after the mark.
        blanks: After all.
    """

    mark: str
    markers: Markers | None
    blanks: str


Token = Words | Code | Markers | End


class MarkerScanner:
    """Reads a text that is still being written.

    Args:
        count: Passages there are: a marker right after a word that names another is no marker, but an index.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._raw = ""
        self._at = 0
        self._fence: str | None = None
        self._prose_fence = False

    @property
    def waits(self) -> bool:
        """Whether something is held back until more is known."""
        return self._at < len(self._raw)

    def feed(self, text: str, *, final: bool = False) -> Iterator[Token]:
        """Take what was written, and yield what it is as far as it can be told."""
        self._raw += text
        while self._at < len(self._raw):
            tokens = self._code(final=final) if self._fence is not None else self._prose(final=final)
            if tokens is None:
                break
            yield from tokens
        if self._at > _KEPT:
            self._raw = self._raw[self._at - _KEPT :]
            self._at = _KEPT

    def _prose(self, *, final: bool) -> list[Token] | None:
        stop = _STOP.search(self._raw, self._at)
        if stop is None:
            return [self._words(len(self._raw))]
        if stop.start() > self._at:
            return [self._words(stop.start())]
        found = stop.group()
        if found[-1] in OPENERS:
            return self._bracket(stop.end() - 1, final=final)
        if found[0] in "`~":
            return self._ticks(stop.end(), final=final)
        if found == "\n":
            self._at = stop.end()
            return [End("", None, "\n")]
        if found[0] in BLANKS:
            return [self._words(stop.end())] if final else None
        return self._full_stop(final=final)

    def _words(self, end: int) -> Words:
        text = self._raw[self._at : end]
        self._at = end
        return Words(text)

    def _bracket(self, place: int, *, final: bool) -> list[Token] | None:
        group = read_group(self._raw, place, final=final)
        if group.reading is Reading.MORE:
            return None
        if group.reading is Reading.TEXT or not self._means_passages(group):
            return [self._words(place + 1)]
        after = self._raw[group.end : group.end + 1]
        return [self._markers(place, group, last=after in {"", "\n"} or after in _TERMINAL)]

    def _means_passages(self, group: Group) -> bool:
        return not group.joined or all(1 <= number <= self._count for number in group.numbers)

    def _markers(self, place: int, group: Group, *, last: bool) -> Markers:
        found = Markers(self._raw[self._at : place], group.numbers, self._raw[place : group.end], last)
        self._at = group.end
        return found

    def _full_stop(self, *, final: bool) -> list[Token] | None:
        raw, at = self._raw, self._at
        mark = _match(_MARK, raw, at)
        blanks = _match(_BLANK_RUN, raw, mark.end())
        place = blanks.end()
        if place == len(raw) and not final:
            return None
        ends = SENTENCES.match(raw, at) is not None
        if place < len(raw) and raw[place] in OPENERS and (ends or not blanks.group()):
            group = read_group(raw, place, final=final)
            if group.reading is Reading.MORE:
                return None
            if group.reading is Reading.MARKERS:
                after = _match(_BLANK_RUN, raw, group.end)
                if after.end() == len(raw) and not final:
                    return None
                markers = Markers(blanks.group(), group.numbers, raw[place : group.end], last=True)
                self._at = after.end()
                return [End(mark.group(), markers, after.group())]
        if not ends:
            return [self._words(mark.end())]
        self._at = place
        return [End(mark.group(), None, blanks.group())]

    def _ticks(self, end: int, *, final: bool) -> list[Token] | None:
        run = self._raw[self._at : end]
        if end == len(self._raw) and not final:
            return None
        if len(run) >= _SHORTEST_FENCE and _LINE_START.search(self._raw, max(0, self._at - _KEPT), self._at):
            return self._open(run, end, final=final)
        if run[0] == "~":
            return [self._words(end)]
        line = self._raw.find("\n", end)
        limit = min(len(self._raw) if line < 0 else line, end + _LONGEST_CODE)
        for closing in _TICKS.finditer(self._raw, end, limit):
            if closing.group() == run and (closing.end() < limit or limit == line or final):
                return [self._words(closing.end())]
        if limit == len(self._raw) and line < 0 and not final:
            return None
        return [self._words(end)]

    def _open(self, run: str, end: int, *, final: bool) -> list[Token] | None:
        line = self._raw.find("\n", end)
        if line < 0 and not final:
            return None
        stop = len(self._raw) if line < 0 else line
        kind = self._raw[end:stop].strip().lower()
        if self._prose_fence:
            self._prose_fence = False
        elif kind in _PROSE_FENCES:
            self._prose_fence = True  # what is in it is read like the rest
        else:
            self._fence = run
        text = self._raw[self._at : stop]
        self._at = stop
        return [Code(text)]

    def _code(self, *, final: bool) -> list[Token] | None:
        """Pass a block on, up to the line that closes it."""
        fence = self._fence or ""
        line = self._raw.find("\n", self._at + 1)
        stop = len(self._raw) if line < 0 else line
        whole = self._raw[self._raw.rfind("\n", 0, self._at + 1) + 1 : stop].strip()
        closes = not whole.strip(fence[0])
        if line < 0 and not final and closes:
            return None  # nothing yet, or what may close it
        text = self._raw[self._at : stop]
        self._at = stop
        if closes and len(whole) >= len(fence):
            self._fence = None
        return [Code(text)]


def _match(pattern: re.Pattern[str], text: str, place: int) -> re.Match[str]:
    match = pattern.match(text, place)
    assert match is not None  # noqa: S101  # it was seen, or matches nothing too
    return match

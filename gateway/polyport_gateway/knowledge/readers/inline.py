"""Running text with its marks, blanks folded as a browser folds them."""

from __future__ import annotations

import re

from polyport_gateway.knowledge.documents import Mark

__all__ = ["InlineText"]

_BLANKS = re.compile(r"[ \t\n\r\f]+")


class InlineText:
    """Collects pieces of text and the marks over them."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._ends_blank = True
        self._marks: list[Mark] = []

    def __len__(self) -> int:
        return self._length

    def add(self, text: str) -> None:
        """Append text; a run of blanks becomes one, and none stands at a line's start."""
        text = _BLANKS.sub(" ", text)
        if self._ends_blank:
            text = text.removeprefix(" ")
        self.add_raw(text)

    def add_raw(self, text: str) -> None:
        """Append text as it is."""
        if text:
            self._parts.append(text)
            self._length += len(text)
            self._ends_blank = text[-1] in " \n"

    def add_break(self) -> None:
        """Append a line break."""
        self.add_raw("\n")

    def mark(self, start: int, kind: str, value: str = "") -> None:
        """Mark all from ``start`` to here."""
        if self._length > start:
            self._marks.append(Mark(start, self._length, kind, value))

    def take(self) -> tuple[str, tuple[Mark, ...]]:
        """Return what was collected, without blanks around it, and begin anew."""
        raw = "".join(self._parts)
        text = raw.rstrip()
        lead = len(text) - len(text.lstrip())
        text = text[lead:]
        marks = tuple(
            Mark(max(mark.start - lead, 0), min(mark.end - lead, len(text)), mark.kind, mark.value)
            for mark in sorted(self._marks, key=lambda mark: (mark.start, -mark.end))
            if max(mark.start - lead, 0) < min(mark.end - lead, len(text))
        )
        self._parts, self._length, self._ends_blank, self._marks = [], 0, True, []
        return text, marks

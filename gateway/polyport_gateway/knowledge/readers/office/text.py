"""Text with inline styles, put together piece by piece."""

from __future__ import annotations

from collections.abc import Iterable

from polyport_gateway.knowledge.documents.values import Mark

__all__ = ["StyledText"]

Style = tuple[str, str]  # kind and value of a mark


class StyledText:
    """A text that grows, and the marks over it; equal marks that touch become one."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0
        self._open: dict[Style, int] = {}
        self._marks: list[Mark] = []

    def __bool__(self) -> bool:
        return any(piece.strip() for piece in self._pieces)

    def add(self, text: str, styles: Iterable[Style] = ()) -> None:
        """Append a piece."""
        if not text:
            return
        wanted = set(styles)
        if not text.strip():
            # A blank ends no style, and begins none.
            wanted = {style for style in self._open if style in wanted or style[0] != "link"}
        for style in [style for style in self._open if style not in wanted]:
            self._close(style)
        for style in wanted:
            self._open.setdefault(style, self._length)
        self._pieces.append(text)
        self._length += len(text)

    def _close(self, style: Style) -> None:
        self._marks.append(Mark(self._open.pop(style), self._length, *style))

    def verbatim(self) -> str:
        """Return the text with its indentation."""
        return "".join(self._pieces).rstrip()

    def finish(self) -> tuple[str, tuple[Mark, ...]]:
        """Return the text without blanks around it, and its marks."""
        for style in list(self._open):
            self._close(style)
        whole = "".join(self._pieces)
        text = whole.strip()
        offset = len(whole) - len(whole.lstrip())
        marks = []
        for mark in self._marks:
            start, end = max(mark.start - offset, 0), min(mark.end - offset, len(text))
            # Blanks at the ends of a mark belong outside: Markdown can't write them inside.
            while start < end and text[start].isspace():
                start += 1
            while end > start and text[end - 1].isspace():
                end -= 1
            if start < end:
                marks.append(Mark(start, end, mark.kind, mark.value))
        return text, tuple(sorted(marks))

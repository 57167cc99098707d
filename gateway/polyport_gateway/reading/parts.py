"""A long document in parts, so that it does not flood whoever reads it, and the last few of them kept at hand."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from polyport_gateway.knowledge.documents import Parsed

__all__ = ["Part", "Recent", "Rendered", "part_of"]

_NEAR_THE_END = 5


@dataclass(frozen=True, slots=True)
class Rendered:
    """A document and its text in one form."""

    parsed: Parsed
    content: str


@dataclass(frozen=True, slots=True)
class Part:
    """Some of a text."""

    text: str
    start: int
    end: int
    total: int

    @property
    def next(self) -> int | None:
        """Where to go on; None at the end."""
        return self.end if self.end < self.total else None


def part_of(text: str, start: int, most: int) -> Part:
    """Return the part of a text that begins at a place; it ends with a line, or a word, if one ends near its end."""
    start = min(start, len(text))
    end = min(len(text), start + most)
    if end < len(text):
        near = end - most // _NEAR_THE_END
        for mark in ("\n", " "):
            found = text.rfind(mark, max(near, start + 1), end)
            if found >= 0:
                end = found + 1
                break
    return Part(text[start:end], start, end, len(text))


class Recent:
    """The documents read last, so that the next part of one does not mean to read it again.

    Args:
        most: Characters, and bytes of pictures, of all of them.
    """

    def __init__(self, most: int = 64 << 20) -> None:
        self._most = most
        self._size = 0
        self._found: OrderedDict[Hashable, Rendered] = OrderedDict()

    def get(self, key: Hashable) -> Rendered | None:
        """Return a document."""
        found = self._found.get(key)
        if found is not None:
            self._found.move_to_end(key)
        return found

    def put(self, key: Hashable, rendered: Rendered) -> None:
        """Keep a document, in the place of those that were not asked for longest; not one that is too large."""
        size = _size(rendered)
        if size > self._most // 4 or key in self._found:
            return
        self._found[key] = rendered
        self._size += size
        while self._size > self._most:
            self._size -= _size(self._found.popitem(last=False)[1])


def _size(rendered: Rendered) -> int:
    document = rendered.parsed.document
    # A block costs many times its text; this need not be exact.
    return (
        len(rendered.content)
        + 8 * len(document.text)
        + 500 * len(document.blocks)
        + sum(map(len, document.assets.values()))
    )

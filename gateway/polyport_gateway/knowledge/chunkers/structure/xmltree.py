"""XML as a tree over its text."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from itertools import accumulate
from xml.parsers import expat

from .tree import Node

__all__ = ["xml_tree"]

_DEEPEST = 1000


class _NotFollowedError(ValueError):
    """The text is one whose elements are not to be followed."""


def xml_tree(text: str, start: int, end: int, *, smallest: int = 0) -> Node | None:
    """Return the root element of an XML text; None where it is not well-formed, or declares entities.

    Args:
        text: The text.
        start: Where the XML begins.
        end: Where it ends.
        smallest: An element of fewer bytes is kept without its children.
    """
    source = text[start:end]
    if not source.strip():
        return None
    building = _Building(smallest)
    try:
        root = building.parse(source.encode("utf-8"))
    except (expat.ExpatError, _NotFollowedError):
        return None
    ends = None if source.isascii() else list(accumulate(len(character.encode()) for character in source))
    waiting = [root]
    while waiting:
        node = waiting.pop()
        node.start = node.value = start + (node.start if ends is None else bisect_right(ends, node.start))
        node.end = start + (node.end if ends is None else bisect_right(ends, node.end))
        counts = Counter(child.path for child in node.children)
        seen: Counter[str] = Counter()
        for child in node.children:
            name = child.path
            seen[name] += 1
            child.path = f"/{name}[{seen[name]}]" if counts[name] > 1 else f"/{name}"
        waiting += node.children
    root.path = f"/{root.path}"
    return root


class _Building:
    """Hears what the parser finds, in bytes."""

    def __init__(self, smallest: int) -> None:
        self._smallest = smallest
        self._stack: list[Node] = []
        self._root: Node | None = None
        self._data = b""
        self._parser = expat.ParserCreate("utf-8")
        self._parser.StartElementHandler = self._open
        self._parser.EndElementHandler = self._close
        self._parser.EntityDeclHandler = self._refuse
        self._parser.ExternalEntityRefHandler = self._refuse  # type: ignore[assignment]

    def parse(self, data: bytes) -> Node:
        self._data = data
        self._parser.Parse(data, True)
        if self._root is None:
            raise _NotFollowedError
        return self._root

    def _open(self, name: str, _: dict[str, str]) -> None:
        if len(self._stack) >= _DEEPEST:
            raise _NotFollowedError
        place = self._parser.CurrentByteIndex
        self._stack.append(Node(place, place, name))

    def _close(self, _: str) -> None:
        node = self._stack.pop()
        # Of an empty element (<a/>) the end is reported at its beginning.
        node.end = self._data.find(b">", max(self._parser.CurrentByteIndex, node.start)) + 1
        if node.end - node.start < self._smallest:
            node.children = []
        if self._stack:
            self._stack[-1].children.append(node)
        else:
            self._root = node

    def _refuse(self, *_: object) -> None:
        raise _NotFollowedError

"""One way to cut a text that is a tree, whatever its syntax."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from polyport_gateway.knowledge.chunkers.boundaries import LINES, ends_of
from polyport_gateway.knowledge.chunkers.packing import pack
from polyport_gateway.knowledge.chunkers.units import furthest
from polyport_gateway.knowledge.documents.values import Span
from polyport_gateway.knowledge.tokenizers import Measure

__all__ = ["Node", "Piece", "cut_tree"]

_DEEPEST = 64


@dataclass(slots=True)
class Node:
    """A value or an element.

    Args:
        start: Where it begins, its key too.
        end: Where it ends.
        path: Its step in a path: ``.orders``, ``[3]``, ``/book[2]``.
        value: Where its value begins, after the key.
        children: In the text's order; found when they are needed where `children_of` finds them.
    """

    start: int
    end: int
    path: str
    value: int = 0
    children: list[Node] = field(default_factory=list)


class Piece(NamedTuple):
    """A chunk of a tree.

    Args:
        start: Where it begins.
        end: Where it ends.
        path: Of the subtree that it is, or of the one whose neighbouring children it holds.
        paths: Of the subtrees that are whole in it.
        part: Number of the piece, where a single value takes several.
        size: Its tokens.
    """

    start: int
    end: int
    path: str
    paths: tuple[str, ...]
    part: int | None = None
    size: int | None = None


def cut_tree(
    measure: Measure,
    text: str,
    span: Span,
    root: Node,
    limit: int,
    children_of: Callable[[Node], list[Node]] | None = None,
) -> Iterator[Piece]:
    """Cut a tree so that a subtree that fits is never cut; small neighbours of one parent are put together.

    What opens a parent goes with its first child, and what closes it with its last, so that every character is in one
    piece.

    Args:
        measure: Of the text.
        text: The text.
        span: What is to be covered: the root, and what stands before and after it.
        root: The tree.
        limit: Tokens of a piece.
        children_of: Finds the children of a node; by default the ones that it has.
    """
    return _Cutting(measure, text, limit, children_of or (lambda node: node.children)).node(span, root, root.path, 0)


class _Cutting:
    def __init__(self, measure: Measure, text: str, limit: int, children_of: Callable[[Node], list[Node]]) -> None:
        self._measure, self._text, self._limit, self._children_of = measure, text, limit, children_of

    def node(self, span: Span, node: Node, path: str, depth: int) -> Iterator[Piece]:
        size = self._measure.count(*span)
        if size <= self._limit:
            yield Piece(*span, path, (path,), size=size)
            return
        children = self._children_of(node) if depth < _DEEPEST else []
        if not children:
            ends = ends_of(LINES, self._text, *span)
            for number, part in enumerate(pack(self._measure, self._text, span.start, ends, self._limit)):
                yield Piece(part.start, part.end, path, (), number, part.size)
            return
        yield from self._children(span, children, path, depth)

    def _children(self, span: Span, children: list[Node], path: str, depth: int) -> Iterator[Piece]:
        bounds = [span.start, *(self._line_start(child.start, span.start) for child in children[1:]), span.end]
        first = 0
        while first < len(children):
            after, size = furthest(self._measure, bounds, first, self._limit)
            if size > self._limit:
                child = children[first]
                yield from self.node(Span(bounds[first], bounds[after]), child, path + child.path, depth + 1)
            else:
                paths = tuple(path + child.path for child in children[first:after])
                yield Piece(bounds[first], bounds[after], paths[0] if len(paths) == 1 else path, paths, size=size)
            first = after

    def _line_start(self, place: int, floor: int) -> int:
        line = place
        while line > floor and self._text[line - 1] in " \t":
            line -= 1
        return line if line == floor or self._text[line - 1] == "\n" else place

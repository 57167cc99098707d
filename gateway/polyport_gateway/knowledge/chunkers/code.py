"""Code by function and class."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from polyport_gateway.knowledge.documents.blocks import Code
from polyport_gateway.knowledge.documents.values import Span
from polyport_gateway.knowledge.tokenizers import Measure, Tokenizer

from .base import Cut, Step, Work, check_limit
from .boundaries import LINES, ends_of
from .packing import pack
from .syntax import language_of, parser_for

if TYPE_CHECKING:
    from tree_sitter import Node

__all__ = ["ByCode"]

_ATTACHED = ("comment", "decorator", "attribute", "annotation")
_DEEPEST = 40


@dataclass(frozen=True)
class ByCode(Step):
    """Cuts code between its functions, classes and other statements, and a large one between those inside it.

    A comment or decorator stays with what it stands before. Neighbours are put together while they fit. Where no
    grammar of the
    language is installed, code is cut between lines. What is not code is passed on: ``ByCode() | Recursive()``.

    Args:
        max_tokens: Of a chunk.
        language: Of the code, if neither its block nor the file's name says it.
        tokenizer: What counts, or its name.
    """

    max_tokens: int = 512
    language: str | None = None
    tokenizer: str | Tokenizer = "auto"

    def __post_init__(self) -> None:
        check_limit("max_tokens", self.max_tokens)
        if self.language is not None and language_of(self.language) is None:
            raise ValueError(f"No grammar is known for language={self.language!r}.")

    def split(self, work: Work, cut: Cut) -> Iterator[Cut]:
        """Cut the code of a part."""
        position = cut.span.start
        for index in work.blocks(cut.span):
            block = work.document.blocks[index]
            if isinstance(block, Code) and block.text.strip():
                if work.text[position : block.span.start].strip():
                    yield cut.part(Span(position, block.span.start))
                start, position = max(cut.span.start, block.span.start), min(cut.span.end, block.span.end)
                language = language_of(block.language) or language_of(self.language or work.document.source.name)
                yield from self._code(work, cut, Span(start, position), language)
        if work.text[position : cut.span.end].strip():
            yield cut.part(Span(position, cut.span.end))

    def _code(self, work: Work, cut: Cut, span: Span, language: str | None) -> Iterator[Cut]:
        measure = work.measure(self.counter())
        parser = parser_for(language) if language else None
        if parser is None:
            for part in pack(measure, work.text, span.start, ends_of(LINES, work.text, *span), self.max_tokens):
                yield cut.part(Span(part.start, part.end), part.size, language=language)
            return
        source = work.text[span.start : span.end]
        tree = _Tree(source, span.start, work.text, measure, self.max_tokens)
        for start, end, symbols in tree.parts(parser.parse(source.encode()).root_node, span):
            yield cut.part(Span(start, end), language=language, symbols=symbols)


class _Tree:
    """The syntax tree of one piece of code, cut so that the limit is kept."""

    def __init__(self, source: str, offset: int, text: str, measure: Measure, limit: int) -> None:
        self._offset, self._text, self._measure, self._limit = offset, text, measure, limit
        self._bytes = None if source.isascii() else list(accumulate(len(c.encode()) for c in source))

    def _place(self, byte: int) -> int:
        return self._offset + (byte if self._bytes is None else bisect_right(self._bytes, byte))

    def parts(self, node: Node, span: Span, depth: int = 0) -> Iterator[tuple[int, int, list[str]]]:
        """Yield start, end and the names that are defined there."""
        start, names = span.start, list[str]()
        for begin, end, child in self._units(node, span):
            if self._measure.count(start, end) <= self._limit:
                names += _name(child)
                continue
            if begin > start:
                yield start, begin, names
            start, names = begin, _name(child)
            if self._measure.count(begin, end) > self._limit:
                if child.named_child_count and depth < _DEEPEST:
                    inner = [(a, b, [*names, *found]) for a, b, found in self.parts(child, Span(begin, end), depth + 1)]
                else:
                    inner = [(a, b, names) for a, b in self._lines(begin, end)]
                yield from inner
                start, names = end, []
        if start < span.end:
            yield start, span.end, names

    def _units(self, node: Node, span: Span) -> list[tuple[int, int, Node]]:
        # Each child with all from its line's start to the next one's; what belongs to the next child is put with it.
        starts: list[tuple[int, Node]] = []
        waiting: int | None = None
        for child in node.named_children:
            place = self._line_start(self._place(child.start_byte), span.start)
            begin = place if waiting is None else waiting
            if any(word in child.type for word in _ATTACHED):
                waiting = begin
                continue
            waiting = None
            if not starts or begin > starts[-1][0]:
                starts.append((begin, child))
            elif child.end_byte - child.start_byte > starts[-1][1].end_byte - starts[-1][1].start_byte:
                starts[-1] = (
                    starts[-1][0],
                    child,
                )  # on one line, such as a name and its body: the larger is cut further
        if not starts:
            return [(span.start, span.end, node.named_children[-1])] if node.named_child_count else []
        bounds = [span.start, *(begin for begin, _ in starts[1:]), span.end]
        return [(bounds[i], bounds[i + 1], child) for i, (_, child) in enumerate(starts)]

    def _line_start(self, place: int, floor: int) -> int:
        line = self._text.rfind("\n", floor, place) + 1
        return max(line, floor) if not self._text[max(line, floor) : place].strip() else place

    def _lines(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        for part in pack(self._measure, self._text, start, ends_of(LINES, self._text, start, end), self._limit):
            yield part.start, part.end


def _name(node: Node) -> list[str]:
    if node.end_point[0] == node.start_point[0]:
        return []
    for found in (node, *node.named_children):
        name = found.child_by_field_name("name") or _declared(found)
        if name is not None and name.text is not None and name.is_named:
            return [name.text.decode(errors="replace")]
    return []


def _declared(node: Node) -> Node | None:
    # C and C++ wrap a function's name in declarators.
    found = node.child_by_field_name("declarator")
    while found is not None and (inner := found.child_by_field_name("declarator")) is not None:
        found = inner
    return found

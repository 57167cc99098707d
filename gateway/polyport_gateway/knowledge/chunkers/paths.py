"""JSON, YAML and XML by path: a subtree that fits is one chunk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from polyport_gateway.knowledge.documents.blocks import Code
from polyport_gateway.knowledge.documents.values import JSON, Span
from polyport_gateway.knowledge.tokenizers import Tokenizer

from .base import Cut, Step, Work, check_limit
from .boundaries import LINES, ends_of
from .packing import pack
from .structure import Piece, cut_tree, json_tree, xml_tree, yaml_tree

__all__ = ["ByElement", "ByPath"]

_JSON = {"json": False, "jsonc": False, "json5": False, "geojson": False, "jsonl": True, "ndjson": True}
_YAML = frozenset({"yaml", "yml"})
_XML = frozenset({"xml", "svg", "xhtml", "rss", "atom"})


class _ByTree(Step):
    """What the two have in common: they take the blocks of code that are theirs, and pass on the rest."""

    max_tokens: int

    def split(self, work: Work, cut: Cut) -> Iterator[Cut]:
        """Cut the trees of a part."""
        position = cut.span.start
        for index in work.blocks(cut.span):
            block = work.document.blocks[index]
            language = (block.language or "").lower() if isinstance(block, Code) else ""
            if not self.takes(language) or not block.text.strip():
                continue
            span = Span(max(cut.span.start, block.span.start), min(cut.span.end, block.span.end))
            if work.text[position : span.start].strip():
                yield cut.part(Span(position, span.start))
            for piece in self._tree(work, span, language):
                known: dict[str, JSON] = {"language": language, "path": piece.path, "paths": piece.paths}
                yield cut.part(
                    Span(piece.start, piece.end),
                    piece.size,
                    **known,
                    **({} if piece.part is None else {"part": piece.part}),
                )
            position = span.end
        if work.text[position : cut.span.end].strip():
            yield cut.part(Span(position, cut.span.end))

    @staticmethod
    def takes(language: str) -> bool:
        """Tell whether code in a language, in small letters, is cut by this step."""
        raise NotImplementedError

    def _tree(self, work: Work, span: Span, language: str) -> Iterator[Piece]:
        raise NotImplementedError

    def _flat(self, work: Work, span: Span, path: str) -> Iterator[Piece]:
        measure = work.measure(self.counter())
        ends = ends_of(LINES, work.text, *span)
        for number, part in enumerate(pack(measure, work.text, span.start, ends, self.max_tokens)):
            yield Piece(part.start, part.end, path, (), number, part.size)


@dataclass(frozen=True)
class ByPath(_ByTree):
    """Cuts JSON, JSON Lines and YAML so that a value that fits is never cut; small neighbours are put together.

    ``metadata`` has ``path``, a JSONPath such as ``$.orders[3].lines``: of the value, or of the one whose neighbouring
    members or items a chunk holds; ``paths``, those of the values that are whole in it; and ``part``, where one string
    takes several chunks. What is not well-formed is cut as far as it can be followed (YAML: between lines). Other text
    is passed on: ``ByPath() | Recursive()``.

    Args:
        max_tokens: Of a chunk.
        tokenizer: What counts, or its name.
    """

    max_tokens: int = 512
    tokenizer: str | Tokenizer = "auto"

    def __post_init__(self) -> None:
        check_limit("max_tokens", self.max_tokens)

    @staticmethod
    def takes(language: str) -> bool:
        """Tell whether code in a language, in small letters, is cut by this step."""
        return language in _JSON or language in _YAML

    def _tree(self, work: Work, span: Span, language: str) -> Iterator[Piece]:
        measure = work.measure(self.counter())
        if language in _JSON:
            root, children = json_tree(work.text, *span, lines=_JSON[language])
            return cut_tree(measure, work.text, span, root, self.max_tokens, children)
        tree = yaml_tree(work.text, *span, smallest=self.max_tokens)
        if tree is None:
            return self._flat(work, span, "$")
        return cut_tree(measure, work.text, span, tree, self.max_tokens)


@dataclass(frozen=True)
class ByElement(_ByTree):
    """Cuts XML so that an element that fits is never cut; small neighbours are put together.

    ``metadata`` has ``path``, an XPath such as ``/catalog/book[3]``: of the element, or of the one whose neighbouring
    children a chunk holds; ``paths``, those of the elements that are whole in it; and ``part``, where text without
    elements takes several chunks. What is not well-formed, or declares entities, is cut between lines. Other text is
    passed on: ``ByElement() | Recursive()``.

    Args:
        max_tokens: Of a chunk.
        tokenizer: What counts, or its name.
    """

    max_tokens: int = 512
    tokenizer: str | Tokenizer = "auto"

    def __post_init__(self) -> None:
        check_limit("max_tokens", self.max_tokens)

    @staticmethod
    def takes(language: str) -> bool:
        """Tell whether code in a language, in small letters, is cut by this step."""
        return language in _XML

    def _tree(self, work: Work, span: Span, language: str) -> Iterator[Piece]:
        tree = xml_tree(work.text, *span, smallest=self.max_tokens)
        if tree is None:
            return self._flat(work, span, "/")
        return cut_tree(work.measure(self.counter()), work.text, span, tree, self.max_tokens)

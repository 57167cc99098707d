"""Small chunks to find, large ones to read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from polyport_gateway.knowledge.tokenizers import Tokenizer, get_tokenizer

from .base import Cut, Step, Work
from .recursive import Recursive
from .sentences import Sentences

__all__ = ["ParentChild"]


@dataclass(frozen=True)
class ParentChild(Step):
    """Cuts large chunks, and each of them into small ones that name it as their parent. Both are given out.

    A parent comes right before its children, and has ``metadata["role"] == "parent"``; a child has ``"child"``.

    Args:
        parent: Cuts the large ones.
        child: Cuts each of them.
    """

    parent: Step = field(default_factory=lambda: Recursive(max_tokens=1024))
    child: Step = field(default_factory=lambda: Sentences(max_tokens=128))

    def split(self, work: Work, cut: Cut) -> Iterator[Cut]:
        """Cut each part twice."""
        same = self.parent.counter().name == self.child.counter().name
        for large in self.parent.cut(work, [cut]):
            parent = replace(large, metadata={**large.metadata, "role": "parent"}, size=large.size if same else None)
            if large.text is not None or not work.text[large.span.start : large.span.end].strip():
                continue
            for small in self.child.cut(work, [replace(large, parent=parent)]):
                yield replace(small, metadata={**small.metadata, "role": "child"})

    def counter(self) -> Tokenizer:
        """Return what counts its tokens: the child's."""
        return self.child.counter() if self.child.tokenizer != "auto" else get_tokenizer()

    def settings(self) -> str:
        """Return what the ids of its chunks depend on."""
        return f"ParentChild({self.parent.settings()}, {self.child.settings()})"

"""What a chunk stands under, written before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from .base import Cut, Step, Work

__all__ = ["WithContext"]


@dataclass(frozen=True)
class WithContext(Step):
    """Writes a chunk's headings before its text, so that a passage found alone says what it is about.

    The text is made then, so the chunk has no span; ``metadata["source_span"]`` says where the passage stands. The size
    grows by the headings: leave room for them in the limit of the step before.

    Args:
        separator: Between one heading and the next.
        title: Begin with the document's title too, when its metadata has one.
        max_characters: Of the prefix; longer ones lose their widest headings.
    """

    separator: str = " › "
    title: bool = True
    max_characters: int = 300

    def cut(self, work: Work, cuts: Iterable[Cut]) -> Iterator[Cut]:
        """Give each cut its headings."""
        for cut in cuts:
            text = work.text[cut.span.start : cut.span.end] if cut.text is None else cut.text
            prefix = self._prefix(work, cut, text)
            if not prefix or not text.strip():
                yield cut
                continue
            metadata = {"source_span": tuple(cut.span), **cut.metadata, "context": prefix}
            yield replace(cut, text=f"{prefix}\n\n{text}", metadata=metadata, size=None)

    def _prefix(self, work: Work, cut: Cut, text: str) -> str:
        path = [heading.strip() for heading in work.headings(work.blocks(cut.span)) if heading.strip()]
        title = work.document.metadata.get("title")
        if self.title and isinstance(title, str) and title.strip() and title.strip() not in path[:1]:
            path.insert(0, title.strip())
        if path and text.lstrip().startswith(path[-1]):
            path.pop()  # the passage begins with it
        while path and len(self.separator.join(path)) > self.max_characters:
            path.pop(0)
        return self.separator.join(path)

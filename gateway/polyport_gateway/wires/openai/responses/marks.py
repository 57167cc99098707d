"""Marks of passages in a model's text, which become ``file_citation`` annotations and are shown to nobody.

A model that has searched writes 【3】, or as OpenAI's own do 【3†handbook.md】, after what passage 3 supports. Text
comes in pieces, so what may become a mark is held back until it is one or is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from polyport_gateway.agents.file_search import Source

__all__ = ["Marks"]

_LONGEST = 80
_MARK = re.compile(r" ?【(\d{1,6}(?:[ ]?[,，、;；][ ]?\d{1,6})*)(?:[†:：][^【】\n]{0,60})?】")
_BEGUN = re.compile(rf" ?(?:【(?:\d[^【】\n]{{0,{_LONGEST}}})?)?\Z")
_NUMBER = re.compile(r"\d+")


class Marks:
    """Takes the text of one message.

    Args:
        sources: By number, what can be cited; it may grow while the text comes.
    """

    def __init__(self, sources: Mapping[int, Source]) -> None:
        self._sources = sources
        self._held = ""

    def feed(self, text: str) -> Iterator[str | Source]:
        """Give text to show and sources to cite, in their order; a number that is no passage's is left out."""
        text = self._held + text
        start = 0
        for match in _MARK.finditer(text):
            if match.start() > start:
                yield text[start : match.start()]
            start = match.end()
            for number in _NUMBER.findall(match[1]):
                source = self._sources.get(int(number))
                if source is not None:
                    yield source
        begun = _BEGUN.search(text, start)
        end = begun.start() if begun is not None else len(text)
        self._held = text[end:]
        if end > start:
            yield text[start:end]

    def flush(self) -> str:
        """Return what was held back, at the end of the text."""
        held, self._held = self._held, ""
        return held

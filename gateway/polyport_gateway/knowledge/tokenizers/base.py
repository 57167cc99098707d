"""What counts tokens, and what locates them in one text."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable
from typing import Protocol, runtime_checkable

__all__ = ["Measure", "TokenMeasure", "Tokenizer"]


class Measure(Protocol):
    """The tokens of one text, located once, so that any part of it is counted without encoding the whole again."""

    def count(self, start: int, end: int) -> int:
        """Return exactly what the tokenizer's ``count(text[start:end])`` returns."""
        ...

    def reach(self, start: int, limit: int, end: int) -> int:
        """Return a position up to ``end`` near where ``limit`` tokens from ``start`` on are used up.

        A guess to begin from: what is cut there is to be counted.
        """
        ...


@runtime_checkable
class Tokenizer(Protocol):
    """Counts the tokens of a text. One per model; loading it may need a file, never the network."""

    @property
    def name(self) -> str:
        """Its name, a part of a chunk's id."""
        ...

    def count(self, text: str) -> int:
        """Return how many tokens a text has, without special tokens."""
        ...

    def measure(self, text: str) -> Measure:
        """Locate the tokens of a text."""
        ...


class TokenMeasure:
    """Locates tokens by their ends, one encoding for the whole text, and counts each part by itself.

    For tokenizers of which no seams are known. The count is exact.

    Args:
        count: Counts the tokens of a text.
        text: The text.
        ends: Where each token ends, in characters, ascending.
    """

    def __init__(self, count: Callable[[str], int], text: str, ends: array[int]) -> None:
        self._count, self._text, self._ends = count, text, ends

    def count(self, start: int, end: int) -> int:
        """Return the tokens of ``text[start:end]``."""
        return self._count(self._text[start:end])

    def reach(self, start: int, limit: int, end: int) -> int:
        """Return where about ``limit`` tokens end."""
        ends = self._ends
        index = bisect_right(ends, start) + limit - 1
        return end if index >= len(ends) else min(end, max(start + 1, ends[index]))

"""The two things that a step may need from a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

__all__ = ["Embedder", "TextModel"]


@runtime_checkable
class TextModel(Protocol):
    """Answers prompts. An adapter may run those of one call at the same time."""

    @property
    def name(self) -> str:
        """Its name, which is told in the metadata of what it wrote, and is a part of a chunk's id."""
        ...

    def complete(self, prompts: Sequence[str]) -> Sequence[str]:
        """Return an answer to each prompt, in their order."""
        ...


@runtime_checkable
class Embedder(Protocol):
    """Makes vectors of texts."""

    @property
    def name(self) -> str:
        """Its name, a part of a chunk's id."""
        ...

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return a vector of each text, in their order and of one length."""
        ...

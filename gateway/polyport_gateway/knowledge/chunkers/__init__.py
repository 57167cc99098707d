"""Cut a document for retrieval: small steps, joined with ``|``."""

from __future__ import annotations

from .base import Chunk, Chunker, Pipeline, Step
from .characters import FixedCharacters
from .lines import Lines
from .paragraphs import Paragraphs
from .recursive import Recursive
from .sentences import Sentences
from .sliding import SlidingWindow
from .tokens import FixedTokens

__all__ = [
    "CHUNKERS",
    "Chunk",
    "Chunker",
    "FixedCharacters",
    "FixedTokens",
    "Lines",
    "Paragraphs",
    "Pipeline",
    "Recursive",
    "Sentences",
    "SlidingWindow",
    "Step",
]

CHUNKERS: dict[str, type[Step]] = {
    step.__name__: step
    for step in (FixedCharacters, FixedTokens, Lines, Paragraphs, Recursive, Sentences, SlidingWindow)
}
"""The chunkers and transforms that come with the gateway, by name."""

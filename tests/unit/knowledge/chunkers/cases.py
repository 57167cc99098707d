"""Every chunker, with settings small enough that random documents need many chunks."""

from __future__ import annotations

from polyport_gateway.knowledge.chunkers import (
    FixedCharacters,
    FixedTokens,
    Lines,
    Paragraphs,
    Recursive,
    Sentences,
    SlidingWindow,
)
from polyport_gateway.knowledge.chunkers.base import Step

EXTRACTIVE = ["tokens", "tokens+8", "characters", "characters+8", "sentences", "sentences+8", "paragraphs", "lines", "recursive", "sliding"]
LIMITED = [*EXTRACTIVE]
OVERLAPPING = {"tokens+8": 8, "characters+8": 8, "sentences+8": 8, "sliding": 8, "tokens": 0, "recursive": 0}


def CASES(tokenizer: str) -> dict[str, Step]:  # noqa: N802
    return {
        "tokens": FixedTokens(24, 0, tokenizer),
        "tokens+8": FixedTokens(24, 8, tokenizer),
        "characters": FixedCharacters(24, 0),
        "characters+8": FixedCharacters(24, 8),
        "sentences": Sentences(24, 0, tokenizer),
        "sentences+8": Sentences(24, 8, tokenizer),
        "paragraphs": Paragraphs(24, 0, tokenizer),
        "lines": Lines(24, 0, tokenizer),
        "recursive": Recursive(24, tokenizer),
        "sliding": SlidingWindow(24, 16, tokenizer),
    }

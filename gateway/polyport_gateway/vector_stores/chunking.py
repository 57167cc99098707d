"""OpenAI's chunking strategies and the gateway's chunkers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polyport.errors import BadRequestError
from polyport.types.vector_stores import AutoChunking, StaticChunking

__all__ = ["chunker_of", "plain_chunking", "shown_chunking"]


def plain_chunking(
    given: StaticChunking | AutoChunking | None, where: str = "chunking_strategy"
) -> dict[str, Any] | None:
    """Return a strategy as it is kept; None for the gateway's own way.

    Raises:
        BadRequestError: The overlap is more than half a chunk.
    """
    if given is None or isinstance(given, AutoChunking):
        return None
    sizes = given.static
    if 2 * sizes.chunk_overlap_tokens > sizes.max_chunk_size_tokens:
        raise BadRequestError(
            f"{where}.static.chunk_overlap_tokens is {sizes.chunk_overlap_tokens}; it may be at most half of "
            f"max_chunk_size_tokens, {sizes.max_chunk_size_tokens}.",
            param=f"{where}.static.chunk_overlap_tokens",
        )
    return given.model_dump()


def chunker_of(chunking: Mapping[str, Any] | None) -> str | None:
    """Return the chunker that a strategy means; None for the one that the knowledge base has."""
    if chunking is None:
        return None
    sizes = chunking["static"]
    return f"FixedTokens(max_tokens={sizes['max_chunk_size_tokens']}, overlap={sizes['chunk_overlap_tokens']})"


def shown_chunking(chunking: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a strategy as it is shown; OpenAI calls what is neither of its own ``other``."""
    return {"type": "other"} if chunking is None else dict(chunking)

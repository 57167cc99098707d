"""OpenAI's embeddings."""

from __future__ import annotations

import base64
import struct
from typing import Literal

from pydantic import Field

from polyport.types.base import RequestModel, WireModel

__all__ = ["Embedding", "EmbeddingList", "EmbeddingRequest", "EmbeddingUsage"]


class EmbeddingRequest(RequestModel):
    """The body of ``POST /v1/embeddings``; `input` is text, texts, tokens, or lists of tokens."""

    model: str = Field(min_length=1)
    input: str | list[str] | list[int] | list[list[int]]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = Field(default=None, ge=1)
    user: str | None = None


class Embedding(WireModel):
    """One vector: floats, or little-endian float32 in base64."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingUsage(WireModel):
    """Tokens used."""

    prompt_tokens: int = 0
    total_tokens: int = 0


class EmbeddingList(WireModel):
    """The answer of ``POST /v1/embeddings``."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage = Field(default_factory=EmbeddingUsage)

    @property
    def vectors(self) -> list[list[float]]:
        """The vectors as lists of floats, in the order of the texts, whatever form they came in."""
        return [_floats(item.embedding) for item in sorted(self.data, key=lambda item: item.index)]


def _floats(vector: list[float] | str) -> list[float]:
    if not isinstance(vector, str):
        return vector
    data = base64.b64decode(vector, validate=True)
    if len(data) % 4:
        raise ValueError(f"an embedding of {len(data)} bytes is not made of float32 numbers")
    return list(struct.unpack(f"<{len(data) // 4}f", data))

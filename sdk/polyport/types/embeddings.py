"""OpenAI's embeddings."""

from __future__ import annotations

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

"""Embeddings as OpenAI's wire carries them, and hashed ones that need no model."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["embedding_body", "hashed_vector", "to_base64"]

_LONGEST_NGRAM = 3


def to_base64(vector: Sequence[float]) -> str:
    """Return a vector as little-endian float32 in base64."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")


def embedding_body(
    vectors: Iterable[Sequence[float] | str], *, model: str, encoding: str | None, prompt_tokens: int
) -> dict[str, Any]:
    """Return the answer of ``POST /v1/embeddings``.

    Args:
        vectors: As numbers, or in base64 already.
        model: The name to answer with.
        encoding: ``float`` (the default) or ``base64``.
        prompt_tokens: How many tokens were read.
    """
    return {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": _encoded(vector, encoding),
            }
            for index, vector in enumerate(vectors)
        ],
        "model": model,
        "usage": {"prompt_tokens": prompt_tokens, "total_tokens": prompt_tokens},
    }


def _encoded(vector: Sequence[float] | str, encoding: str | None) -> str | list[float]:
    if isinstance(vector, str):
        return vector
    return to_base64(vector) if encoding == "base64" else list(vector)


def hashed_vector(text: str, dimensions: int) -> list[float]:
    """Embed a text by hashing its character n-grams (the "hashing trick", Weinberger et al. 2009).

    It is not semantic: texts are near each other when they share spelling, not meaning.

    Args:
        text: Any text; case does not matter.
        dimensions: The vector's length.

    Returns:
        A vector of length 1, of float32 values.
    """
    data = f" {text.casefold()} "
    vector = [0.0] * dimensions
    for size in range(1, _LONGEST_NGRAM + 1):
        for start in range(len(data) - size + 1):
            digest = zlib.crc32(data[start : start + size].encode("utf-8", "surrogatepass"))
            vector[(digest >> 1) % dimensions] += 1.0 if digest & 1 else -1.0
    norm = math.sqrt(sum(value * value for value in vector))
    if norm == 0.0:
        # Every n-gram cancelled another.
        vector[0] = norm = 1.0
    packed = struct.pack(f"<{dimensions}f", *(value / norm for value in vector))
    return list(struct.unpack(f"<{dimensions}f", packed))

"""Documents that a caller sends to a knowledge base, from the wire to the job that takes them in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, Any

__all__ = ["Upload"]


@dataclass(frozen=True, slots=True)
class Upload:
    """A document to take in.

    Attributes:
        key: What it is known by in the base, once each: a path or a name, of any depth.
        filename: The last part of it, by which its format is seen.
        data: Its bytes, or a file opened for reading, at its start, which is gone once the request is answered.
        metadata: What it is filtered by.
        tags: As well.
        chunker: Instead of the base's own.
    """

    key: str
    filename: str
    data: bytes | IO[bytes] = field(repr=False)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    chunker: str | None = None

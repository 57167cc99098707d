"""Parsed documents, kept so that chunks and keywords can be made anew without the file."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from typing import TypeAlias

from polyport.errors import CallError, NotFoundError
from polyport_gateway.knowledge.documents import Document, Parsed
from polyport_gateway.knowledge.documents.jsonform import encoded, loads, to_plain
from polyport_gateway.storage.blobs import BlobStore

__all__ = ["Parse", "ParsedDocuments", "ParsedLostError"]

Parse: TypeAlias = Callable[[bytes, str], Parsed]
"""Reads a file of some bytes and a name; waits for it."""

_LEVEL = 3


class ParsedLostError(NotFoundError):
    """A parsed document is gone from the blob store, or damaged: its file has to be read again."""

    code = "parsed_lost"


class ParsedDocuments:
    """Documents in a blob store, as compressed JSON; the same document is kept once.

    Pictures and attachments are not kept: no chunker reads them, and they would be most of the bytes.

    Args:
        blobs: Where.
    """

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    def put(self, document: Document) -> str:
        """Keep a document; return its key."""
        data = encoded({**to_plain(document), "assets": {}})
        return self._blobs.put(gzip.compress(data, _LEVEL, mtime=0)).key

    def get(self, key: str | None) -> Document:
        """Return a document.

        Raises:
            ParsedLostError: It is not there, or damaged.
        """
        if key is None:
            raise ParsedLostError("The document was not kept; its file has to be read again.")
        try:
            return loads(gzip.decompress(self._blobs.get(key)))
        except (CallError, OSError, EOFError, ValueError, zlib.error) as error:
            raise ParsedLostError(f"The parsed document is gone or damaged ({error}): read its file again.") from error

    def has(self, key: str | None) -> bool:
        """Whether a document is there."""
        return key is not None and self._blobs.size(key) is not None

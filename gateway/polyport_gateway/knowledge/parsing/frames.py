"""What goes over the pipe: a JSON header with its length before it, then raw bytes.

No pickle: a process that read a hostile file may be in its hands, and what it sends is then hostile too.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from polyport_gateway.knowledge.documents import (
    DocumentLossError,
    EncryptedDocumentError,
    Parsed,
    ParsingLimitError,
    Receipt,
    Skipped,
    UnreadableDocumentError,
    UnsupportedFormatError,
)
from polyport_gateway.knowledge.documents.jsonform import from_plain, to_plain
from polyport_gateway.knowledge.readers import ReadOptions

__all__ = ["HEAD", "answer", "options_of", "pack", "plain_options", "unpack", "written_error"]

HEAD = struct.Struct("!QQ")
"""Lengths of the JSON and of the bytes after it."""

_ERRORS: dict[str, type[UnreadableDocumentError]] = {
    kind.code: kind
    for kind in (
        UnreadableDocumentError,
        UnsupportedFormatError,
        EncryptedDocumentError,
        DocumentLossError,
        ParsingLimitError,
    )
}
_NOT_SENT = ("read", "budget", "resource")


def pack(header: Mapping[str, Any], body: bytes = b"") -> bytes:
    """Return a frame."""
    plain = json.dumps(header, separators=(",", ":")).encode()
    return b"".join((HEAD.pack(len(plain), len(body)), plain, body))


def plain_options(options: ReadOptions) -> dict[str, Any]:
    """Return options as plain values."""
    return {item.name: getattr(options, item.name) for item in fields(options) if item.name not in _NOT_SENT}


def options_of(plain: Mapping[str, Any]) -> ReadOptions:
    """Return the options again."""
    return ReadOptions(**plain)


def written_error(error: UnreadableDocumentError) -> bytes:
    """Return the frame of a failure."""
    return pack({"error": error.code, "reason": error.reason, "page": error.page})


def answer(parsed: Parsed) -> bytes:
    """Return the frame of a document and its receipt."""
    assets = parsed.document.assets
    header = {
        "document": to_plain(parsed.document),
        "receipt": asdict(parsed.receipt),
        "assets": [[key, len(data)] for key, data in assets.items()],
    }
    return pack(header, b"".join(assets.values()))


def unpack(plain: bytes, body: bytes, name: str) -> Parsed:
    """Return what an answer holds.

    Raises:
        UnreadableDocumentError: The file could not be read, or the answer is none.
    """
    try:
        header = json.loads(plain)
        if "error" in header:
            kind = _ERRORS.get(header["error"], UnreadableDocumentError)
            raise kind(name, str(header["reason"]), page=header["page"])
        assets, position = {}, 0
        for key, size in header["assets"]:
            assets[key] = body[position : position + size]
            position += size
        return Parsed(from_plain(header["document"], assets), _receipt(header["receipt"]))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise UnreadableDocumentError(name, f"its reader gave no document ({type(error).__name__}).") from None


def _receipt(plain: dict[str, Any]) -> Receipt:
    plain["characters"] = tuple(plain["characters"])
    plain["skipped"] = tuple(Skipped(**item) for item in plain["skipped"])
    plain["warnings"] = tuple(plain["warnings"])
    return Receipt(**plain)

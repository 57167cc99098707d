"""Content in MCP's form, as plain data: the SDK validates it once, on its way out."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any, TypeAlias, assert_never

from polyport.content import Audio, Content, EmbeddedResource, Image, Text

__all__ = ["Block", "content_blocks", "resource_contents", "text_block", "to_block"]

Block: TypeAlias = dict[str, Any]

_NO_TYPE = "text/plain"
_BINARY = "application/octet-stream"


def text_block(text: str) -> Block:
    """Return a text block."""
    return {"type": "text", "text": text}


def to_block(content: Content) -> Block:
    """Return one piece of content as a block."""
    match content:
        case Text():
            return text_block(content.text)
        case Image():
            return {"type": "image", "data": content.base64(), "mimeType": content.mime_type}
        case Audio():
            return {"type": "audio", "data": content.base64(), "mimeType": content.mime_type}
        case EmbeddedResource():
            return {"type": "resource", "resource": resource_contents(content.uri, content.content, content.mime_type)}
        case _:
            assert_never(content)


def content_blocks(text: str, content: Iterable[Content]) -> list[Block]:
    """Return a result's blocks: its content, which holds the text already where there is any, else its text."""
    blocks = [to_block(piece) for piece in content]
    if blocks or not text:
        return blocks
    return [text_block(text)]


def resource_contents(uri: str, content: str | bytes, mime_type: str) -> Block:
    """Return what a resource holds."""
    if isinstance(content, str):
        return {"uri": uri, "mimeType": mime_type, "text": content}
    blob = base64.b64encode(content).decode("ascii")
    return {"uri": uri, "mimeType": _BINARY if mime_type == _NO_TYPE else mime_type, "blob": blob}

"""Documents without a gateway: read files, in a process of their own where they are not trusted, and cut them.

All readers' and chunkers' names of the rooms within can be imported from here; what they need is loaded then.

Example:
    >>> from polyport_gateway.knowledge import Recursive, read
    >>> document = read(b"Tea is hot. Coffee is hotter than tea.", "tea.txt").document
    >>> [chunk.text for chunk in Recursive(max_tokens=8, tokenizer="estimate").chunk(document)]
    ['Tea is hot. ', 'Coffee is hotter than tea.']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .chunkers import *  # noqa: F403
    from .documents import Document, Parsed, Receipt, Skipped, UnreadableDocumentError
    from .parsing import ParseLimits, ParserPool
    from .readers import Reader, ReadOptions, read
    from .tokenizers import Tokenizer, get_tokenizer

__all__ = [
    "Document",
    "ParseLimits",
    "Parsed",
    "ParserPool",
    "ReadOptions",
    "Reader",
    "Receipt",
    "Skipped",
    "Tokenizer",
    "UnreadableDocumentError",
    "get_tokenizer",
    "read",
]

_ROOMS = {
    "Document": "documents",
    "ParseLimits": "parsing",
    "Parsed": "documents",
    "ParserPool": "parsing",
    "ReadOptions": "readers",
    "Reader": "readers",
    "Receipt": "documents",
    "Skipped": "documents",
    "Tokenizer": "tokenizers",
    "UnreadableDocumentError": "documents",
    "get_tokenizer": "tokenizers",
    "read": "readers",
}
_CHUNKERS = f"{__name__}.chunkers"


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    room = import_module(f"{__name__}.{_ROOMS[name]}" if name in _ROOMS else _CHUNKERS)
    if name not in room.__all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(room, name)


def __dir__() -> list[str]:
    return sorted({*__all__, *import_module(_CHUNKERS).__all__})

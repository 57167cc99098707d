"""Pages of a list, by opaque cursors that stay right when entries are added."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TypeVar

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, PaginatedRequestParams

__all__ = ["PAGE_SIZE", "cursor_of", "paginate"]

PAGE_SIZE = 100

T = TypeVar("T")


def cursor_of(params: PaginatedRequestParams | None) -> str | None:
    """Return the cursor that a request asks for, if one."""
    return None if params is None else params.cursor


def paginate(
    items: Sequence[T], cursor: str | None, *, key: Callable[[T], str], size: int = PAGE_SIZE
) -> tuple[Sequence[T], str | None]:
    """Return one page and the cursor of the next, None on the last.

    A cursor names the last entry of the page before it, so entries added or removed elsewhere shift nothing.

    Args:
        items: The whole list as its reader may see it, in its order.
        cursor: As it was handed out; None for the first page.
        key: An entry's unique name.
        size: The most entries on a page.

    Raises:
        MCPError: No such cursor was handed out for this list.
    """
    start = 0
    if cursor is not None:
        last = _decode(cursor)
        start = next((at + 1 for at, item in enumerate(items) if key(item) == last), 0)
        if start == 0:
            raise MCPError(INVALID_PARAMS, f"The cursor {cursor[:80]!r} is not one of this list's; start again.")
    page = items[start : start + size]
    if start + size >= len(items):
        return page, None
    return page, _encode(key(page[-1]))


def _encode(name: str) -> str:
    return base64.urlsafe_b64encode(b"after:" + name.encode()).decode("ascii").rstrip("=")


def _decode(cursor: str) -> str | None:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError):
        return None
    return text.removeprefix("after:") if text.startswith("after:") else None

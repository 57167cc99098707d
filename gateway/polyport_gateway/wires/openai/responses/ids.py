"""Ids of responses and of their items; an item's id tells which response it belongs to."""

from __future__ import annotations

import re
from secrets import token_hex

__all__ = ["ItemIds", "new_response_id", "response_of_item"]

_ITEM = re.compile(r"[a-z]+_([0-9a-f]{24})[0-9a-f]{4,}")
_FIRST_INPUT = 0x8000


def new_response_id() -> str:
    """Return a fresh response id."""
    return f"resp_{token_hex(12)}"


def response_of_item(item_id: str) -> str | None:
    """Return the id of the response that an item belongs to; None for an id that isn't one of ours."""
    match = _ITEM.fullmatch(item_id)
    return f"resp_{match[1]}" if match else None


class ItemIds:
    """Gives the items of one response their ids.

    Args:
        response_id: The response.
        inputs: Whether the items went in; their ids never meet those of what comes out.
    """

    def __init__(self, response_id: str, *, inputs: bool = False) -> None:
        self._stem = response_id.removeprefix("resp_")
        self._next = _FIRST_INPUT if inputs else 0

    def new(self, prefix: str) -> str:
        """Return the next id, such as ``msg_…``."""
        id_ = f"{prefix}_{self._stem}{self._next:04x}"
        self._next += 1
        return id_

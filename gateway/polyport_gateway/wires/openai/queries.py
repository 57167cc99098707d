"""The query of a request: flags, numbers, and pages of a list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import parse_qsl

from polyport.errors import BadRequestError
from polyport_gateway.wires.http import Scope

__all__ = ["cut_page", "read_each", "read_flag", "read_number", "read_order", "read_query"]

T = TypeVar("T")


def read_query(scope: Scope) -> dict[str, str]:
    """Return the query's members; of one that comes twice, the last."""
    return dict(_pairs(scope))


def read_each(scope: Scope, name: str) -> list[str]:
    """Return every value of a member that may come more than once: as ``name``, as ``name[]``, or with commas."""
    values = [value for key, value in _pairs(scope) if key in (name, f"{name}[]")]
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def _pairs(scope: Scope) -> list[tuple[str, str]]:
    return parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)


def read_flag(query: Mapping[str, str], name: str) -> bool:
    """Return a flag; false where it is left out.

    Raises:
        BadRequestError: It is none.
    """
    value = query.get(name, "false")
    if value not in ("true", "false", "True", "False", "1", "0"):
        raise BadRequestError(f"{name} is {value!r}; it must be true or false.", param=name)
    return value in ("true", "True", "1")


def read_number(query: Mapping[str, str], name: str, default: int, *, least: int, most: int | None = None) -> int:
    """Return a whole number.

    Raises:
        BadRequestError: It is none, or out of range.
    """
    text = query.get(name)
    if text is None:
        return default
    try:
        value = int(text)
    except ValueError:
        raise BadRequestError(f"{name} is {text!r}; it must be a whole number.", param=name) from None
    if value < least or (most is not None and value > most):
        limits = f"at least {least}" if most is None else f"between {least} and {most}"
        raise BadRequestError(f"{name} is {value}; it must be {limits}.", param=name)
    return value


def read_order(query: Mapping[str, str]) -> bool:
    """Whether the newest come first, as they do unless asked otherwise.

    Raises:
        BadRequestError: The order is neither.
    """
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise BadRequestError(f"order is {order!r}; it must be asc or desc.", param="order")
    return order == "desc"


def cut_page(
    items: Sequence[T],
    limit: int,
    *,
    after: str | None,
    before: str | None = None,
    id_of: Callable[[T], str],
    of: str,
) -> tuple[Sequence[T], bool]:
    """Return one page of a list, and whether there is more.

    Args:
        items: All of it, in the order asked for.
        limit: The most items of a page.
        after: The id after which it begins.
        before: The id before which it ends.
        id_of: Gives an item's id.
        of: What an unknown id is not, for the message: ``an item of this response``.

    Raises:
        BadRequestError: There is no such id.
    """
    ids = [id_of(item) for item in items]
    for name, cursor in (("after", after), ("before", before)):
        if cursor is not None and cursor not in ids:
            raise BadRequestError(f"{name} is {cursor!r}, which is not {of}.", param=name)
    start = ids.index(after) + 1 if after is not None else 0
    stop = ids.index(before) if before is not None else len(ids)
    chosen = items[start:stop]
    if before is not None and after is None:
        return chosen[-limit:], len(chosen) > limit
    return chosen[:limit], len(chosen) > limit

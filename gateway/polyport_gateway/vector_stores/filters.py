"""OpenAI's filters on attributes, checked before a knowledge base reads them."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping
from typing import Any

from polyport.errors import BadRequestError

__all__ = ["check_filter"]

_COMPARISONS = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin")
_JOINING = ("and", "or")
_DEEPEST = 8
_MOST_PARTS = 200
_LONGEST_KEY = 64


def check_filter(given: Mapping[str, Any], where: str = "filters") -> None:
    """Refuse what is no comparison and no combination of them; a knowledge base would read other things into it.

    Args:
        given: As it came.
        where: Its place in the request.

    Raises:
        BadRequestError: It names the place within, and what may stand there.
    """
    if _check(given, where, 0) > _MOST_PARTS:
        raise BadRequestError(f"{where} has more than {_MOST_PARTS} comparisons.", param=where)


def _check(given: object, where: str, depth: int) -> int:
    if not isinstance(given, Mapping):
        raise BadRequestError(f"{where} must be an object, not {reprlib.repr(given)}.", param=where)
    if depth > _DEEPEST:
        raise BadRequestError(f"{where}: filters are nested more than {_DEEPEST} deep.", param=where)
    kind = given.get("type")
    if kind in _JOINING:
        _check_members(given, ("type", "filters"), where)
        parts = given.get("filters")
        if not isinstance(parts, list) or not parts:
            raise BadRequestError(f"{where}.filters must be a list of filters.", param=f"{where}.filters")
        return sum(_check(part, f"{where}.filters.{place}", depth + 1) for place, part in enumerate(parts))
    if kind not in _COMPARISONS:
        known = ", ".join((*_COMPARISONS, *_JOINING))
        raise BadRequestError(
            f"{where}.type is {reprlib.repr(kind)}; it must be one of {known}.", param=f"{where}.type"
        )
    _check_members(given, ("type", "key", "value"), where)
    key = given.get("key")
    if not isinstance(key, str) or not 0 < len(key) <= _LONGEST_KEY:
        raise BadRequestError(
            f"{where}.key must be the name of an attribute, of at most {_LONGEST_KEY} characters.",
            param=f"{where}.key",
        )
    _check_value(str(kind), given.get("value"), f"{where}.value")
    return 1


def _check_members(given: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for name in given:
        if name not in known:
            raise BadRequestError(
                f"{where} has the member {name[:_LONGEST_KEY]!r}; it may have {', '.join(known)}.", param=where
            )


def _check_value(kind: str, value: object, where: str) -> None:
    if kind in ("in", "nin"):
        fits = isinstance(value, list) and bool(value) and all(_is_plain(one) for one in value)
        needed = "a list of strings, numbers or truth values"
    elif kind in ("eq", "ne"):
        fits, needed = _is_plain(value), "a string, a number or a truth value"
    else:
        fits = _is_plain(value) and not isinstance(value, bool)
        needed = "a number, or a time as ISO 8601 has it"
    if not fits:
        raise BadRequestError(f"{where} is {reprlib.repr(value)}; {kind} needs {needed}.", param=where)


def _is_plain(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str | int)

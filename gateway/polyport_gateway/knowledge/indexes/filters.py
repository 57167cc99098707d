"""Which documents a search may find: a small language of conditions on metadata, the same for every engine.

::

    {"year": 2025}                                    equal; several fields in one filter must all hold
    {"year": {"gte": 2020, "lt": 2025}}               eq ne gt gte lt lte in nin contains exists
    {"and": [...]}   {"or": [...]}   {"not": {...}}

What holds, so that every engine gives the same answer:

* A field with a list holds a condition when one of its values does. ``contains`` takes one value or several, all of
  which the field must have.
* A field that is missing, null or an empty list does not exist: only ``ne``, ``nin``, ``not`` and ``{"exists": False}``
  hold for it. ``ne`` is ``not`` ``eq``, ``nin`` is ``not`` ``in``.
* Numbers equal numbers (2025 is 2025.0), and truth values only truth values. gt, gte, lt and lte compare numbers, or,
  where they are given a string, moments of time (ISO 8601; without a zone, UTC).
* A dot leads into an object: ``author.name``. ``document`` is the document's id.

OpenAI's vector-store filters (``{"type": "eq", "key": …, "value": …}``, ``{"type": "and", "filters": […]}``) are read
likewise. A field that the index's schema does not know is an error, not an empty answer.
"""

from __future__ import annotations

import difflib
import math
import reprlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import ge, gt, le, lt
from typing import Any

from polyport.errors import BadRequestError

__all__ = ["All", "Any_", "Equal", "Exists", "Filter", "Not", "Range", "Scalar", "fields_of", "matches", "parse"]

Scalar = str | int | float | bool
"""A value that metadata can have, by itself or in a list."""

_DEEPEST = 16
_MOST = 10_000
_COMPARES: dict[str, Callable[[Any, Any], bool]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le}
_OPERATORS = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "contains", "exists")
_JOINING = ("and", "or", "not")


@dataclass(frozen=True, slots=True)
class Equal:
    """A field has one of some values."""

    field: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """A field has a value between bounds, which are all numbers or all moments of time."""

    field: str
    bounds: tuple[tuple[str, float | datetime], ...]


@dataclass(frozen=True, slots=True)
class Exists:
    """A field has a value."""

    field: str


@dataclass(frozen=True, slots=True)
class Not:
    """A filter does not hold."""

    inner: Filter


@dataclass(frozen=True, slots=True)
class All:
    """All of some filters hold."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Any_:  # noqa: N801  # `Any` is taken
    """At least one of some filters holds."""

    parts: tuple[Filter, ...]


Filter = Equal | Range | Exists | Not | All | Any_


def parse(given: Mapping[str, Any], known: Collection[str] | None = None) -> Filter:
    """Read a filter.

    Args:
        given: As a user writes it, or as OpenAI's vector stores have it.
        known: The fields there are; None where that is not known.

    Raises:
        BadRequestError: It is no filter, or names a field that is not known.
    """
    found = _parse(given, 0)
    if known is not None:
        for field in sorted(fields_of(found)):
            if field != "document" and field not in known:
                near = difflib.get_close_matches(field, known, 1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                names = ", ".join(sorted(known)) or "none"
                raise BadRequestError(
                    f"The filter names the field {field!r}; known are: {names}.{hint}", param="filter"
                )
    return found


def fields_of(given: Filter) -> set[str]:
    """Return the fields that a filter names."""
    match given:
        case Equal(field) | Range(field) | Exists(field):
            return {field}
        case Not(inner):
            return fields_of(inner)
        case All(parts) | Any_(parts):
            return set().union(*map(fields_of, parts))


def _wrong(message: str) -> BadRequestError:
    return BadRequestError(f"The filter is wrong: {message}", param="filter")


def _parse(given: object, depth: int) -> Filter:
    if not isinstance(given, Mapping):
        raise _wrong(f"an object of conditions is needed, not {reprlib.repr(given)}.")
    if depth > _DEEPEST:
        raise _wrong(f"it is nested more than {_DEEPEST} deep.")
    if isinstance(given.get("type"), str) and ({"key", "value"} <= given.keys() or "filters" in given):
        return _openai(given, depth)
    parts = [_entry(str(key), value, depth) for key, value in given.items()]
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _entry(key: str, value: object, depth: int) -> Filter:
    if key == "not":
        return Not(_parse(value, depth + 1))
    if key in _JOINING:
        return _joined(key, value, depth)
    if not isinstance(value, Mapping):
        if isinstance(value, list | tuple):
            raise _wrong(f'{key!r} has a list; write {{"in": […]}} or {{"contains": […]}}.')
        return _condition(key, "eq", value)
    if not value:
        raise _wrong(f"{key!r} has no condition; there are: {', '.join(_OPERATORS)}.")
    parts = [_condition(key, str(name), wanted) for name, wanted in value.items()]
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _joined(kind: str, value: object, depth: int) -> Filter:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence) or not value:
        raise _wrong(f"{kind!r} needs a list of filters.")
    parts = tuple(_parse(part, depth + 1) for part in value)
    return All(parts) if kind == "and" else Any_(parts)


def _openai(given: Mapping[str, Any], depth: int) -> Filter:
    kind = given["type"]
    if kind in ("and", "or"):
        return _joined(kind, given.get("filters"), depth)
    return _condition(str(given.get("key")), kind, given.get("value"))


def _condition(field: str, name: str, value: object) -> Filter:
    if name == "exists":
        if not isinstance(value, bool):
            raise _wrong(f"'exists' of {field!r} takes true or false.")
        return Exists(field) if value else Not(Exists(field))
    if name in ("eq", "ne"):
        equal: Filter = Not(Exists(field)) if value is None else Equal(field, (_scalar(field, value),))
        return equal if name == "eq" else Not(equal)
    if name in ("in", "nin"):
        equal = Equal(field, _scalars(field, name, value))
        return equal if name == "in" else Not(equal)
    if name == "contains":
        values = _scalars(field, name, value) if isinstance(value, list | tuple) else (_scalar(field, value),)
        return All(tuple(Equal(field, (one,)) for one in values))
    if name in _COMPARES:
        return Range(field, ((name, _bound(field, name, value)),))
    raise _wrong(f"{name!r} of {field!r} is no condition; there are: {', '.join(_OPERATORS)}.")


def _scalars(field: str, name: str, value: object) -> tuple[Scalar, ...]:
    if not isinstance(value, list | tuple) or not 0 < len(value) <= _MOST:
        raise _wrong(f"{name!r} of {field!r} needs a list of 1 to {_MOST} values.")
    return tuple(_scalar(field, one) for one in value)


def _scalar(field: str, value: object) -> Scalar:
    if isinstance(value, str | bool):
        return value
    if isinstance(value, int | float) and math.isfinite(value) and abs(value) < 2**63:
        return value
    raise _wrong(f"{field!r} is compared with {reprlib.repr(value)}; a string, number or truth value is needed.")


def _bound(field: str, name: str, value: object) -> float | datetime:
    scalar = _scalar(field, value)
    if isinstance(scalar, str):
        moment = moment_of(scalar)
        if moment is not None:
            return moment
    elif not isinstance(scalar, bool):
        return float(scalar)
    raise _wrong(f"{name!r} of {field!r} needs a number or a time as ISO 8601 has it, not {scalar!r}.")


def moment_of(text: str) -> datetime | None:
    """Return the moment that a text names; None where it names none."""
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):  # the latter: beyond the years 1 to 9999, once its zone is counted
        return None


def matches(given: Filter, document: str, metadata: Mapping[str, Any]) -> bool:
    """Tell whether a filter holds for a document's metadata."""
    match given:
        case Equal(field, values):
            return any(_same(have, want) for have in _values(field, document, metadata) for want in values)
        case Range(field, bounds):
            return any(_within(have, bounds) for have in _values(field, document, metadata))
        case Exists(field):
            return bool(_values(field, document, metadata))
        case Not(inner):
            return not matches(inner, document, metadata)
        case All(parts):
            return all(matches(part, document, metadata) for part in parts)
        case Any_(parts):
            return any(matches(part, document, metadata) for part in parts)


def _values(field: str, document: str, metadata: Mapping[str, Any]) -> list[Any]:
    if field == "document":
        return [document]
    found: Any = metadata
    for part in field.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if found is None:
        return []
    return list(found) if isinstance(found, list | tuple) else [found]


def _same(have: Any, want: Scalar) -> bool:
    if isinstance(have, bool) or isinstance(want, bool):
        return isinstance(have, bool) and isinstance(want, bool) and have is want
    if isinstance(have, str) or isinstance(want, str):
        return isinstance(have, str) and have == want
    return isinstance(have, int | float) and have == want


def _within(have: Any, bounds: tuple[tuple[str, float | datetime], ...]) -> bool:
    for name, bound in bounds:
        value: Any = None
        if isinstance(bound, datetime):
            value = moment_of(have) if isinstance(have, str) else None
        elif isinstance(have, int | float) and not isinstance(have, bool):
            value = have
        if value is None or not _COMPARES[name](value, bound):
            return False
    return True

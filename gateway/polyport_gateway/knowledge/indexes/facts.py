"""Metadata in memory, in columns: a filter is a few operations on arrays, whatever it says.

A chunk has a *slot*, a place that is only ever used once: one that is replaced gets another, and its former slot is
dead. Each field has its different values, numbered, and two arrays, a number of a value and a slot for each value of
each chunk. A condition is first decided for the different values, then looked up for the chunks: 200,000 take a
fraction of a millisecond.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from operator import ge, gt, le, lt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import Growing
from .filters import All, Any_, Equal, Exists, Filter, Not, Range, moment_of

__all__ = ["Facts", "field_values"]

Mask = NDArray[np.bool_]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NEVER = np.iinfo(np.int64).min
_EXACT = 2**53
"""Whole numbers up to here are exact as floats."""
_SPARE = 4096
"""Dead slots that are not worth making all arrays anew for."""


class _Field:
    """One field's values."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, Any], int] = {}
        self._large: dict[int, int] = {}
        self._floats: Growing[np.float64] = Growing(np.float64)
        self._moments: Growing[np.int64] = Growing(np.int64)
        self.values: Growing[np.int32] = Growing(np.int32)
        self.slots: Growing[np.int32] = Growing(np.int32)

    def add(self, slots: Iterable[int], values: Iterable[Any]) -> None:
        self.values.extend([self._number(value) for value in values])
        self.slots.extend(list(slots))

    def _number(self, value: Any) -> int:
        key = _key(value)
        known = self._numbers.get(key)
        if known is not None:
            return known
        number = self._numbers[key] = len(self._numbers)
        is_number = key[0] == "n"
        if is_number and isinstance(value, int) and abs(value) > _EXACT:
            self._large[number] = value
        moment = moment_of(value) if isinstance(value, str) else None
        self._floats.extend([_float(value) if is_number else np.nan])
        self._moments.extend([_NEVER if moment is None else (moment - _EPOCH) // _MICROSECOND])
        return number

    def equal(self, values: Iterable[Any]) -> Mask:
        """Return which of the different values are among some."""
        chosen = np.zeros(len(self._numbers), np.bool_)
        known = [self._numbers[key] for key in map(_key, values) if key in self._numbers]
        chosen[known] = True
        return chosen

    def within(self, given: Range) -> Mask:
        """Return which of the different values are between bounds."""
        chosen = np.ones(len(self._numbers), np.bool_)
        floats, moments = self._floats.rows, self._moments.rows
        for name, bound in given.bounds:
            compare = _COMPARES[name]
            if isinstance(bound, datetime):
                chosen &= (moments != _NEVER) & compare(moments, (bound - _EPOCH) // _MICROSECOND)
            else:
                chosen &= compare(floats, bound)  # nothing compares with NaN
        for number, value in self._large.items():
            chosen[number] = all(
                not isinstance(bound, datetime) and _COMPARES[name](value, bound) for name, bound in given.bounds
            )
        return chosen


_COMPARES: dict[str, Callable[[Any, Any], Any]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le}


def _key(value: Any) -> tuple[str, Any]:
    """Return what equal values have in common: 1 is 1.0, but neither true nor "1"."""
    if isinstance(value, bool):
        return "b", value
    if isinstance(value, str):
        return "s", value
    if isinstance(value, int | float) and value == value:  # which NaN is not
        return "n", value
    return "o", repr(value)


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf


class Facts:
    """The documents and metadata of chunks.

    Args:
        fields: Those that are filtered by; None for all.
    """

    def __init__(self, fields: Collection[str] | None) -> None:
        self._names = fields
        self._fields: dict[str, _Field] = {"document": _Field()}
        self._ids: Growing[np.int64] = Growing(np.int64)
        self._alive: Growing[np.bool_] = Growing(np.bool_)
        self.slots: dict[int, int] = {}

    @property
    def ids(self) -> NDArray[np.int64]:
        """The chunk of each slot."""
        return self._ids.rows

    @property
    def alive(self) -> Mask:
        """Whether each slot's chunk is there."""
        return self._alive.rows

    @property
    def crowded(self) -> bool:
        """Whether most slots are dead, so that all should be made anew."""
        return len(self._ids) > 2 * len(self.slots) + _SPARE

    def put(self, rows: Iterable[tuple[int, str, Mapping[str, Any]]]) -> list[int]:
        """Add chunks, none of which is there; return their slots.

        Args:
            rows: Of each chunk its number, document and metadata.
        """
        found: dict[str, tuple[list[int], list[Any]]] = {}
        slots: list[int] = []
        ids: list[int] = []
        for slot, (chunk, document, metadata) in enumerate(rows, len(self._ids)):
            self.slots[chunk] = slot
            slots.append(slot)
            ids.append(chunk)
            for name, value in (("document", document), *field_values(metadata, self._names)):
                at, values = found.setdefault(name, ([], []))
                at.append(slot)
                values.append(value)
        self._ids.extend(ids)
        self._alive.extend(np.ones(len(ids), np.bool_))
        for name, (at, values) in found.items():
            self._fields.setdefault(name, _Field()).add(at, values)
        return slots

    def drop(self, chunk: int) -> int | None:
        """Remove a chunk; return its slot, None where there is none."""
        slot = self.slots.pop(chunk, None)
        if slot is not None:
            self._alive.rows[slot] = False
        return slot

    def meeting(self, where: Filter | None) -> Mask:
        """Return which slots' chunks are there and meet a filter."""
        return self.alive.copy() if where is None else self._mask(where) & self.alive

    def _mask(self, where: Filter) -> Mask:
        match where:
            case Equal(name, values):
                field = self._fields.get(name)
                return self._none() if field is None else self._having(field, field.equal(values))
            case Range(name):
                field = self._fields.get(name)
                return self._none() if field is None else self._having(field, field.within(where))
            case Exists(name):
                found = self._none()
                if name in self._fields:
                    found[self._fields[name].slots.rows] = True
                return found
            case Not(inner):
                return ~self._mask(inner)
            case All(parts):
                return np.logical_and.reduce([self._mask(part) for part in parts]) if parts else ~self._none()
            case Any_(parts):
                return np.logical_or.reduce([self._mask(part) for part in parts]) if parts else self._none()

    def _none(self) -> Mask:
        return np.zeros(len(self._ids), np.bool_)

    def _having(self, field: _Field, chosen: Mask) -> Mask:
        found = self._none()
        if chosen.any():
            found[field.slots.rows[chosen[field.values.rows]]] = True
        return found


def field_values(metadata: Mapping[str, Any], fields: Collection[str] | None) -> Iterator[tuple[str, Any]]:
    """Return the values of fields, each of a list by itself; of all that a filter can name where none are given."""
    if fields is None:
        yield from _flat(metadata, "")
        return
    for name in fields:
        value: Any = metadata
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if name != "document":
            yield from ((name, one) for one in _listed(value))


def _flat(metadata: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Return the values of all fields, by the path that leads to each; an object is a value, too."""
    for key, value in metadata.items():
        name = f"{prefix}{key}"
        if "." in key or name == "document":  # which no filter can mean
            continue
        if isinstance(value, Mapping):
            yield name, value
            yield from _flat(value, f"{name}.")
        else:
            yield from ((name, one) for one in _listed(value))


def _listed(value: Any) -> Iterable[Any]:
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)

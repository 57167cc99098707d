"""What Qdrant's embedded core and its server have in common: how a filter, a payload and a ranking are written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

import numpy as np

from polyport_gateway.knowledge.retrieval.ranking import Ranking

from .base import Entry, Record, Schema
from .filters import All, Any_, Equal, Exists, Filter, Not, Range, Scalar

__all__ = ["SPARSE", "Dialect", "is_whole", "key_of", "payload_of", "ranked", "record_of", "translated"]

SPARSE = "bm25"
"""The name of the sparse vectors. Those of embedders have a prefix, so that one may be called so too."""

_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_EXACT = 2**53
"""Whole numbers up to here are exact as floats."""


class Dialect(Protocol):
    """Makes the conditions of one of the two packages, whose classes are alike but not the same."""

    def whole(self, key: str) -> bool:
        """Tell whether the engine indexes a field as whole numbers, so that it finds no others by it."""
        ...

    def filter(
        self, *, must: list[Any] | None = None, should: list[Any] | None = None, must_not: list[Any] | None = None
    ) -> Any:
        """Return conditions joined."""
        ...

    def one_of(self, key: str, values: list[Any]) -> Any:
        """Return a condition: the field has one of these strings, or of these whole numbers."""
        ...

    def is_value(self, key: str, value: Scalar) -> Any:
        """Return a condition: the field has this string, whole number or truth value."""
        ...

    def between(self, key: str, bounds: Mapping[str, float]) -> Any:
        """Return a condition on a number."""
        ...

    def during(self, key: str, bounds: Mapping[str, datetime]) -> Any:
        """Return a condition on a moment."""
        ...

    def is_empty(self, key: str) -> Any:
        """Return a condition: the field is missing, null or an empty list."""
        ...


def vector_name(name: str) -> str:
    """Return what an embedder's vectors are called."""
    return f"dense-{name}"


def is_whole(schema: Schema, key: str) -> bool:
    """Tell whether a schema has a field as whole numbers, by its key in a payload."""
    return any(kind == "integer" and key_of(field) == key for field, kind in (schema.fields or {}).items())


def key_of(field: str) -> str:
    """Return the path of a field in a payload."""
    if field == "document":
        return field
    parts = (part if _PLAIN.fullmatch(part) else '"' + part.replace('"', "") + '"' for part in field.split("."))
    return ".".join(("metadata", *parts))


def translated(given: Filter, dialect: Dialect) -> Any:
    """Return a filter as the engine has it."""
    match given:
        case Equal(field, values):
            return dialect.filter(should=list(_equal(key_of(field), values, dialect)))
        case Range(field, bounds):
            return dialect.filter(must=[_range(key_of(field), bounds, dialect)])
        case Exists(field):
            return dialect.filter(must_not=[dialect.is_empty(key_of(field))])
        case Not(inner):
            return dialect.filter(must_not=[translated(inner, dialect)])
        case All(parts):
            return dialect.filter(must=[translated(part, dialect) for part in parts])
        case Any_(parts):
            return dialect.filter(should=[translated(part, dialect) for part in parts])


def _equal(key: str, values: tuple[Scalar, ...], dialect: Dialect) -> Iterable[Any]:
    strings = [value for value in values if isinstance(value, str)]
    if strings:
        yield dialect.one_of(key, list(strings))
    # One condition on a hundred numbers is looked up; a hundred ranges are walked, which took ten times as long.
    looked_up = {int(value) for value in values if _is_whole(value)} if dialect.whole(key) else set()
    if looked_up:
        yield dialect.one_of(key, sorted(looked_up))
    for value in values:
        if looked_up and _is_whole(value):
            continue
        if isinstance(value, bool):
            yield dialect.is_value(key, value)
        elif isinstance(value, int | float):
            # As a range, which whole numbers and others meet alike; except those that a float can't hold.
            exact = isinstance(value, int) and abs(value) > _EXACT
            yield dialect.is_value(key, value) if exact else dialect.between(key, {"gte": value, "lte": value})


def _is_whole(value: Scalar) -> bool:
    return not isinstance(value, bool | str) and value == int(value)


def _range(key: str, bounds: tuple[tuple[str, float | datetime], ...], dialect: Dialect) -> Any:
    moments = {name: bound for name, bound in bounds if isinstance(bound, datetime)}
    numbers = {name: bound for name, bound in bounds if not isinstance(bound, datetime)}
    return dialect.during(key, moments) if moments else dialect.between(key, numbers)


def payload_of(entry: Entry) -> dict[str, Any]:
    """Return what is kept beside vectors."""
    return {"document": entry.document, "metadata": dict(entry.metadata)}


def record_of(chunk: int, payload: Mapping[str, Any] | None) -> Record:
    """Read what `payload_of` wrote."""
    kept = payload or {}
    return Record(chunk, kept["document"], kept["metadata"])


def ranked(points: Iterable[Any], *, above: float = -np.inf) -> Ranking:
    """Return scored points as a ranking; of equal scores, the smaller number comes first."""
    found = [(point.id, point.score) for point in points if point.score > above]
    ids = np.array([chunk for chunk, _ in found], np.int64)
    scores = np.array([score for _, score in found], np.float32)
    order = np.lexsort((ids, -scores))
    return Ranking(ids[order], scores[order])

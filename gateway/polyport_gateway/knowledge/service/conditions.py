"""Which fields the documents of a base have, and conditions on them that a question states."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from polyport.declarations import FieldType
from polyport_gateway.knowledge.catalogue import DocumentRow
from polyport_gateway.knowledge.retrieval.selfquery import KnownField, SelfQuery, read_conditions

from .registry import OpenBase

__all__ = ["FIELDS", "FieldCounts", "conditions_of"]

FIELDS = "fields"
"""The member of a base's state that says which fields its documents have."""

_MOST_FIELDS = 50
_MOST_VALUES = 200
_LONGEST_VALUE = 100


class FieldCounts:
    """Counts the values of documents' metadata."""

    def __init__(self) -> None:
        self._values: dict[str, Counter[Any]] = {}

    def add(self, row: DocumentRow) -> None:
        """Count those of a document."""
        told: Mapping[str, Any] = {**row.metadata, "tags": row.tags, "format": row.format, "language": row.language}
        for name, value in told.items():
            for one in value if isinstance(value, list | tuple) else (value,):
                if isinstance(one, str | int | float) and (not isinstance(one, str) or 0 < len(one) <= _LONGEST_VALUE):
                    self._values.setdefault(name, Counter())[one] += 1

    def dump(self) -> dict[str, Any]:
        """Return the fields, their types and frequent values, as JSON."""
        frequent = sorted(self._values.items(), key=lambda item: (-item[1].total(), item[0]))[:_MOST_FIELDS]
        return {
            name: {"type": _type_of(counts), "values": [value for value, _ in counts.most_common(_MOST_VALUES)]}
            for name, counts in frequent
        }


def _type_of(values: Iterable[Any]) -> FieldType:
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return "bool"
    if kinds == {int}:
        return "integer"
    if kinds <= {int, float}:
        return "float"
    return "keyword"


def conditions_of(query: str, bases: Sequence[OpenBase]) -> SelfQuery:
    """Read the conditions that a question states on fields that all of some bases have."""
    common: dict[str, KnownField] | None = None
    for base in bases:
        declared = base.config.fields or {}
        own = {
            name: KnownField(name, cast(FieldType, declared.get(name, found["type"])), found["values"])
            for name, found in (base.state(FIELDS) or {}).items()
        }
        if common is None:
            common = own
        else:
            common = {
                name: KnownField(name, field.type, [*field.values, *own[name].values])
                for name, field in common.items()
                if name in own and own[name].type == field.type
            }
    return read_conditions(query, (common or {}).values())

"""Whether a search's filter can hold for any document of the bases that it is put to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from polyport_gateway.knowledge.bases.generation import SYSTEM_FIELDS
from polyport_gateway.knowledge.indexes.filters import parse

from .registry import OpenBase

__all__ = ["check_filter"]

_ALWAYS = frozenset({*SYSTEM_FIELDS, "document"})


def check_filter(where: Mapping[str, Any] | None, bases: Sequence[OpenBase]) -> None:
    """Refuse a filter that is none, or on a field that none of the bases has.

    A base that declares no fields may have any.

    Raises:
        BadRequestError: It is; the message says which fields there are.
    """
    if not where:
        return
    declared = [base.config.fields for base in bases]
    if any(fields is None for fields in declared):
        parse(where)
        return
    parse(where, _ALWAYS.union(*(fields for fields in declared if fields is not None)))

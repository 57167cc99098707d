"""Metadata as Milvus can filter by it: every condition of `filters`, decided by Milvus itself.

Milvus knows the types of values, but not that a list meets a condition when one of its values does. So a chunk has,
beside its metadata, a JSON object of *facts*: of each field its values as tokens (a letter for the type, then the
value), and its least and greatest number and moment, for which alone a range need be compared. What could be read as
part of an expression is replaced by its hash.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from .base import PART
from .facts import field_values
from .filters import All, Any_, Equal, Exists, Filter, Not, Range, moment_of

__all__ = ["HAS_TERMS", "expression", "facts_of", "token"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PLAIN = re.compile(r"[\w .,:@/+-]{1,64}")
_EXACT = 2**53
HAS_TERMS = 'json_contains(facts["*"], "terms")'
NOTHING, ANYTHING = "id < 0", "id >= 0"


def _safe(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else f"#{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def token(value: Any) -> str:
    """Return what equal values have in common: 1 is 1.0, but neither true nor "1"."""
    if isinstance(value, bool):
        return f"b{value}"
    if isinstance(value, str):
        return f"s{_safe(value)}"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"n{_safe(repr(value))}"


def facts_of(document: str, metadata: Mapping[str, Any], *, terms: bool) -> dict[str, Any]:
    """Return the facts of a chunk.

    Args:
        document: The id of its document.
        metadata: Of the chunk.
        terms: Whether it has terms.
    """
    found: dict[str, Any] = {"*": ["terms"] if terms else []}
    tokens: dict[str, set[str]] = {}
    numbers: dict[str, list[float]] = {}
    for name, value in (("document", document), *field_values(metadata, None)):
        key = _safe(name)
        tokens.setdefault(f"is {key}", set()).add(token(value))
        if isinstance(value, str):
            moment = moment_of(value)
            if moment is not None:
                numbers.setdefault(f"moment {key}", []).append((moment - _EPOCH) // _MICROSECOND)
        elif isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value):
            numbers.setdefault(f"number {key}", []).append(_bounded(value))
    found |= {name: sorted(values) for name, values in tokens.items()}
    for name, values in numbers.items():
        found["*"].append(name)
        found[f"least {name}"], found[f"most {name}"] = min(values), max(values)
    found["*"].extend(name for name in tokens)
    return found


def _bounded(value: float) -> float:
    """Return a number that JSON and 64 bits have room for."""
    if isinstance(value, int) and abs(value) <= _EXACT:
        return value
    return max(-1e300, min(1e300, value)) if abs(value) > 2**62 else float(value)


def expression(where: Filter) -> str:
    """Return a filter as Milvus has it."""
    match where:
        case Equal(name, values):
            if name == PART and all(isinstance(value, int) and not isinstance(value, bool) for value in values):
                return f"{PART} in {json.dumps(list(values))}"
            tokens = sorted({token(value) for value in values})
            if name == "document":
                return f"document in {json.dumps(tokens, ensure_ascii=False)}"
            return f'json_contains_any(facts["is {_safe(name)}"], {json.dumps(tokens, ensure_ascii=False)})'
        case Range(name, bounds):
            return _joined(" and ", (_compared(name, operator, bound) for operator, bound in bounds))
        case Exists(name):
            return f'json_contains(facts["*"], "is {_safe(name)}")'
        case Not(inner):
            return f"not ({expression(inner)})"
        case All(parts):
            return _joined(" and ", map(expression, parts)) or ANYTHING
        case Any_(parts):
            return _joined(" or ", map(expression, parts)) or NOTHING


def _joined(by: str, parts: Iterable[str]) -> str:
    return by.join(f"({part})" for part in parts)


def _compared(name: str, operator: str, bound: float | datetime) -> str:
    """Return a bound's condition, by the value that meets it if any does; false where there is none to compare."""
    kind = "moment" if isinstance(bound, datetime) else "number"
    fact = f"{kind} {_safe(name)}"
    value = (bound - _EPOCH) // _MICROSECOND if isinstance(bound, datetime) else bound
    sign = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}[operator]
    end = "most" if operator in ("gt", "gte") else "least"
    return f'json_contains(facts["*"], "{fact}") and facts["{end} {fact}"] {sign} {value!r}'

"""JSON in and out: bodies that would cost more than they are worth are refused before they are parsed."""

from __future__ import annotations

import json
import re
import reprlib
from typing import Any

import orjson
from pydantic_core import PydanticSerializationError, to_jsonable_python

from polyport.errors import BadRequestError

__all__ = ["as_plain", "check_shape", "parse_exactly", "to_json"]

_MOST_CONTAINERS = 1_000_000
_MOST_STRINGS = 4_000_000
_SMALL = 256 * 1024

_STRINGS = re.compile(rb'"[^"]*"', re.DOTALL)
_AS_SQUARE = bytes.maketrans(b"{}", b"[]")
_LONG_NUMBER = re.compile(rb"[0-9]{19}")
_NOT_STRUCTURE = bytes(set(range(256)) - set(b'[]{}"'))


def check_shape(body: bytes, max_depth: int) -> None:
    """Refuse JSON that nests deeper than `max_depth`, or holds so many values that parsing it would fill the memory.

    A malformed body may pass; the parser says what is wrong with it.

    Raises:
        BadRequestError: It does.
    """
    containers = body.count(b"[") + body.count(b"{")
    if containers <= max_depth and len(body) <= _SMALL:
        return
    structure = body.replace(b"\\\\", b"").replace(b'\\"', b"").translate(_AS_SQUARE, _NOT_STRUCTURE)
    if structure.count(b'"') > 2 * _MOST_STRINGS:
        raise BadRequestError(f"The request body has more than {_MOST_STRINGS:,} strings.")
    brackets = _STRINGS.sub(b"", structure.replace(b'""', b""))
    if brackets.count(b"[") > _MOST_CONTAINERS:
        raise BadRequestError(f"The request body has more than {_MOST_CONTAINERS:,} arrays and objects.")
    if _deeper_than(brackets, max_depth):
        raise BadRequestError(f"The request body nests deeper than {max_depth} levels (max_json_depth).")


def _deeper_than(brackets: bytes, limit: int) -> bool:
    """Whether square brackets nest deeper than `limit`.

    Works by passes that each remove the innermost pairs, so that it runs at the speed of `bytes.replace`.
    """
    too_many = b"[" * (limit + 1)
    for _ in range(limit):
        if not brackets:
            return False
        if too_many in brackets:
            return True
        shorter = brackets.replace(b"[]", b"")
        if len(shorter) == len(brackets):
            return False
        brackets = shorter
    return bool(brackets)


def parse_exactly(body: bytes) -> Any:
    """Parse JSON; whole numbers keep every digit, where orjson makes floats of those beyond 64 bits.

    Raises:
        ValueError: It is not JSON.
    """
    value = orjson.loads(body)
    return json.loads(body) if _LONG_NUMBER.search(body) else value


def as_plain(value: Any) -> Any:
    """Return what a function reports as plain data that JSON can carry; what JSON has no form for becomes text."""
    try:
        return to_jsonable_python(value, fallback=str, bytes_mode="base64", inf_nan_mode="strings")
    except (PydanticSerializationError, ValueError, RecursionError):
        return reprlib.repr(value)


def to_json(value: Any) -> bytes:
    """Return plain data as JSON, with whole numbers of any length; a lone surrogate goes out escaped."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")

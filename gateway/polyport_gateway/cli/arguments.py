"""Turn ``key=value`` words into what a schema asks for."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from polyport.errors import ConfigurationError

__all__ = ["convert", "parse_arguments"]

_WORD = re.compile(r"([A-Za-z_][\w.-]*)(:=|=)(.*)", re.DOTALL)
_JSON_TYPES: Mapping[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
    type(None): "null",
}


def parse_arguments(words: Sequence[str], whole: str | None, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that a command line gives.

    Args:
        words: ``key=value``, ``key=@file``, ``key=-`` (standard input), ``key:=json``; or a bare value for a
            function with one parameter.
        whole: A JSON object with arguments, ``@file`` or ``-``; words override it.
        schema: The function's input schema.

    Raises:
        ConfigurationError: A word, a file or the JSON can't be read.
    """
    values = _whole(whole)
    properties: Mapping[str, Any] = schema.get("properties") or {}
    for word in words:
        key, mark, text = _split(word, schema)
        if mark == ":=":
            try:
                values[key] = json.loads(text)
            except ValueError as error:
                raise ConfigurationError(f"{word!r}: after := comes JSON, and this is none ({error})") from None
            continue
        from_file = text == "-" or text.startswith("@")
        text = _read(text) if from_file else text
        values[key] = convert(text, properties.get(key), schema)
    return values


def _whole(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        values = json.loads(_read(text) if text == "-" or text.startswith("@") else text)
    except ValueError as error:
        raise ConfigurationError(f"--json takes a JSON object: {error}") from None
    if not isinstance(values, dict):
        raise ConfigurationError(f"--json takes a JSON object of arguments, not {type(values).__name__}")
    return values


def _split(word: str, schema: Mapping[str, Any]) -> tuple[str, str, str]:
    properties: Mapping[str, Any] = schema.get("properties") or {}
    required: Sequence[str] = schema.get("required") or []
    found = _WORD.fullmatch(word)
    if found is not None:
        return found[1], found[2], found[3]
    only = list(required) if len(required) == 1 else list(properties)[:1] if "prompt" in properties else []
    only = only or (list(properties) if len(properties) == 1 else [])
    if len(only) == 1:
        return only[0], "=", word
    names = ", ".join(properties) or "none"
    raise ConfigurationError(f"{word!r} is no argument: write key=value; the parameters are: {names}")


def _read(text: str) -> str:
    if text == "-":
        return sys.stdin.read()
    try:
        return Path(text[1:]).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{text[1:]} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{text[1:]} is not UTF-8 text: {error.reason}") from error


def convert(text: str, schema: Mapping[str, Any] | None, root: Mapping[str, Any]) -> Any:
    """Return what a schema takes for a text: the text itself where it takes strings alone, else its JSON value.

    >>> convert("7", {"type": "integer"}, {}), convert("7", {"type": "string"}, {})
    (7, '7')
    """
    types, choices = _accepted(schema or {}, root, 0)
    for choice in choices:
        if not isinstance(choice, str) and json.dumps(choice) == text:
            return choice
    if "string" in types and not types - {"string", "null"}:
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    kind = _JSON_TYPES[type(value)]
    fits = not types or kind in types or (kind == "integer" and "number" in types)
    return value if fits or "string" not in types else text


def _accepted(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> tuple[set[str], list[Any]]:
    """Return the JSON types a schema takes, and its fixed choices."""
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/") and depth < 16:
        found: Any = root
        for part in reference[2:].split("/"):
            found = found.get(part, {}) if isinstance(found, Mapping) else {}
        return _accepted(found, root, depth + 1)
    kinds = schema.get("type")
    types = {kinds} if isinstance(kinds, str) else set(kinds or ())
    choices = [*(schema.get("enum") or []), *([schema["const"]] if "const" in schema else [])]
    types |= {_JSON_TYPES[type(choice)] for choice in choices}
    for key in ("anyOf", "oneOf", "allOf"):
        for part in schema.get(key) or []:
            more, further = _accepted(part, root, depth + 1)
            types |= more
            choices += further
    return types, choices

"""JSON schemas (2020-12) as Polyport's wires show them: no generated titles, the root never a reference."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind

__all__ = ["schema_of"]

_MAPS = ("properties", "$defs", "patternProperties", "dependentSchemas")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SCHEMAS = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")


class _Generator(GenerateJsonSchema):
    """Leaves out a default that JSON can't carry without a word: the parameter stays optional all the same."""

    ignored_warning_kinds: ClassVar[set[JsonSchemaWarningKind]] = {  # type: ignore[misc]
        "skipped-choice",
        "non-serializable-default",
    }


def schema_of(
    adapter: TypeAdapter[Any], *, mode: Literal["validation", "serialization"], item: int | None = None
) -> dict[str, Any]:
    """Return an adapter's schema.

    Args:
        adapter: What to describe.
        mode: Whether as it is taken or as it is given.
        item: Describe only this item of a tuple.
    """
    schema = adapter.json_schema(by_alias=True, mode=mode, schema_generator=_Generator)
    definitions = schema.get("$defs", {})
    if item is not None:
        schema = dict(schema["prefixItems"][item])
    schema = _inlined(schema, definitions)
    used = _reachable(schema, definitions)
    schema.pop("$defs", None)
    if used:
        schema["$defs"] = {name: definitions[name] for name in definitions if name in used}
    result: dict[str, Any] = _untitled(schema)
    return result


def _inlined(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Replace a root that is a reference by what it refers to: clients look for ``type`` there."""
    while isinstance(reference := schema.get("$ref"), str):
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        schema = {**definitions[reference.removeprefix("#/$defs/")], **rest}
    return schema


def _reachable(schema: Any, definitions: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    waiting = [{key: value for key, value in schema.items() if key != "$defs"}]
    while waiting:
        value: Any = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            reference = value.get("$ref")
            name = reference.removeprefix("#/$defs/") if isinstance(reference, str) else None
            if name in definitions and name not in found:
                found.add(name)
                waiting.append(definitions[name])
            waiting.extend(value.values())
    return found


def _untitled(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    result = {key: value for key, value in schema.items() if key != "title"}
    for key in _MAPS:
        if isinstance(result.get(key), dict):
            result[key] = {name: _untitled(value) for name, value in result[key].items()}
    for key in _LISTS:
        if isinstance(result.get(key), list):
            result[key] = [_untitled(value) for value in result[key]]
    for key in _SCHEMAS:
        if isinstance(result.get(key), dict):
            result[key] = _untitled(result[key])
    return result

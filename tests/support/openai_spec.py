"""OpenAI's own description of its API, and the Open Responses specification, as validators."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

__all__ = ["Description", "load_open_responses", "load_openai", "streaming_events"]


class Description:
    """The schemas of an OpenAPI 3.1 document.

    They are JSON Schema 2020-12, but for two habits of OpenAPI: ``nullable`` (kept from 3.0), and ``oneOf`` with a
    discriminator, where the discriminator picks the branch and so is what counts.

    Args:
        file: The document.
    """

    def __init__(self, file: Path) -> None:
        self.uri = f"urn:{file.name}"
        self.document: dict[str, Any] = json.loads(file.read_bytes())
        self.schemas: dict[str, Any] = self.document["components"]["schemas"]
        self._prepared = {"components": {"schemas": _prepare(self.schemas, self)}}
        resource = Resource.from_contents(self._prepared, default_specification=DRAFT202012)
        self._registry: Registry[Any] = Registry().with_resource(self.uri, resource)

    def problems(self, name: str, value: object) -> list[ValidationError]:
        """Return what the schema of that name finds wrong with a value."""
        if name not in self.schemas:
            raise KeyError(f"{self.uri} describes no {name}")
        validator = Draft202012Validator({"$ref": f"{self.uri}#/components/schemas/{name}"}, registry=self._registry)
        return list(validator.iter_errors(value))

    def check(self, name: str, value: object) -> None:
        """Fail with the nearest cause if a value is not as the schema of that name says."""
        problems = self.problems(name, value)
        if problems:
            cause = best_match(problems)
            assert cause is not None
            shown = json.dumps(cause.instance, ensure_ascii=False, default=str)[:400]
            raise AssertionError(f"not a {name}: at {cause.json_path}: {cause.message[:400]}\nin {shown}")

    def constants(self, name: str, member: str) -> list[Any]:
        """Return the values that a member of a schema may have."""
        return list(self.schemas[name].get("properties", {}).get(member, {}).get("enum", ()))


def _prepare(node: Any, description: Description) -> Any:
    if isinstance(node, list):
        return [_prepare(item, description) for item in node]
    if not isinstance(node, Mapping):
        return node
    prepared = {key: _prepare(value, description) for key, value in node.items()}
    reference = prepared.get("$ref")
    if isinstance(reference, str) and reference.startswith("#"):
        prepared["$ref"] = description.uri + reference
    if isinstance(prepared.get("discriminator"), Mapping) and isinstance(prepared.get("oneOf"), list):
        prepared["anyOf"] = _by_discriminator(node, prepared, description)
        del prepared["oneOf"]
    if prepared.get("nullable") is True:
        del prepared["nullable"]
        return {"anyOf": [prepared, {"type": "null"}]}
    return prepared


def _by_discriminator(
    node: Mapping[str, Any], prepared: Mapping[str, Any], description: Description
) -> list[dict[str, Any]]:
    """Tie each branch to the values that its discriminating member may have, so that no other branch excuses it."""
    member = node["discriminator"]["propertyName"]
    branches = []
    for raw, branch in zip(node["oneOf"], prepared["oneOf"], strict=True):
        target = description.schemas.get(str(raw.get("$ref", "")).rpartition("/")[2], raw)
        values = target.get("properties", {}).get(member, {}).get("enum")
        condition = {"properties": {member: {"enum": values}}} if values else {}
        branches.append({"allOf": [condition, branch]})
    return branches


@cache
def load_openai(folder: Path) -> Description:
    """Read OpenAI's description."""
    return Description(folder / "openai" / "openapi.json")


@cache
def load_open_responses(folder: Path) -> Description:
    """Read the Open Responses specification."""
    return Description(folder / "openai" / "openresponses.json")


def streaming_events(description: Description) -> Iterator[tuple[str, str]]:
    """Give each event's type with its schema's name."""
    for name in description.schemas:
        if name.endswith("StreamingEvent"):
            for value in description.constants(name, "type"):
                yield value, name

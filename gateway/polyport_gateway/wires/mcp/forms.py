"""Forms for a person to fill in: from a model, dataclass or schema to MCP's flat form schema, and the answer back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jsonschema  # type: ignore[import-untyped, unused-ignore]
from pydantic import BaseModel, PydanticUserError, TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from polyport.errors import BadRequestError, FunctionError
from polyport_gateway.errors import describe_validation

__all__ = ["Form"]

_INLINED = frozenset({"$defs", "title", "description"})


class Form:
    """What a person is asked to fill in.

    Args:
        schema: A JSON schema object, a pydantic model, or a dataclass or TypedDict.

    Attributes:
        schema: The JSON schema that clients draw the form from.

    Raises:
        FunctionError: It isn't one of these, or has members that a form can't show.
    """

    def __init__(self, schema: Any) -> None:
        self._adapter: TypeAdapter[Any] | None = None
        if isinstance(schema, Mapping):
            self.schema: dict[str, Any] = dict(schema)
        else:
            try:
                self._adapter = TypeAdapter(schema)
                self.schema = _flat(self._adapter.json_schema(schema_generator=_FormSchema))
            except (TypeError, ValueError, PydanticUserError) as error:
                raise FunctionError(f"{schema!r} can't be asked as a form: {error}") from error
        if self.schema.get("type") != "object":
            raise FunctionError("a form's schema must be an object, with one property for each field")

    def read(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Check an answer and return its fields.

        Raises:
            BadRequestError: It doesn't match the schema.
        """
        if self._adapter is None:
            return self._checked(content)
        try:
            value = self._adapter.validate_python(dict(content))
        except ValidationError as error:
            raise _mismatch(describe_validation(error)[0]) from error
        dumped: dict[str, Any] = (
            value.model_dump() if isinstance(value, BaseModel) else self._adapter.dump_python(value)
        )
        return dumped

    def _checked(self, content: Mapping[str, Any]) -> dict[str, Any]:
        try:
            jsonschema.validate(dict(content), self.schema, cls=jsonschema.Draft202012Validator)
        except jsonschema.ValidationError as error:
            raise _mismatch(f"{error.json_path}: {error.message}") from error
        except jsonschema.SchemaError as error:
            raise FunctionError(f"a form's schema is not a JSON schema: {error.message}") from error
        return dict(content)


def _mismatch(message: str) -> BadRequestError:
    return BadRequestError(f"The client's answer doesn't match the form: {message}", code="invalid_answer")


class _FormSchema(GenerateJsonSchema):
    """Forms know neither null nor unions: an optional field is one that isn't required."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        result = super().default_schema(schema)
        if result.get("default") is None:
            result.pop("default", None)
        return result


def _flat(schema: dict[str, Any]) -> dict[str, Any]:
    """Put what a schema defines apart (an Enum, say) where it is used; clients don't follow references."""
    definitions: Mapping[str, Any] = schema.get("$defs", {})
    properties = {name: _inlined(member, definitions) for name, member in schema.get("properties", {}).items()}
    flat = {key: value for key, value in schema.items() if key not in _INLINED}
    return {**flat, "properties": properties}


def _inlined(member: dict[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    reference = member.get("$ref")
    if not isinstance(reference, str):
        return member
    target: Mapping[str, Any] = definitions[reference.rpartition("/")[2]]
    return {**target, **{key: value for key, value in member.items() if key != "$ref"}}

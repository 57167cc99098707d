"""What an author adds to a function's input schema beyond what its signature says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polyport.errors import DeclarationError, InvalidArgumentsError

__all__ = ["ExtraSchema"]

_MERGED = ("properties", "$defs")


class ExtraSchema:
    """A signature's schema and what is added to it.

    >>> ExtraSchema("f", {"type": "object"}, {"minProperties": 1}).schema
    {'type': 'object', 'minProperties': 1}

    Args:
        name: The function's name.
        schema: From its signature.
        extra: JSON schema members to add; None for none, and then nothing is checked here.

    Attributes:
        schema: Both together.

    Raises:
        DeclarationError: Together they are no JSON schema.
    """

    def __init__(self, name: str, schema: Mapping[str, Any], extra: Mapping[str, Any] | None) -> None:
        self._name = name
        self._validator: Any = None
        self.schema: Mapping[str, Any] = schema
        if extra:
            merged = {key: {**schema.get(key, {}), **extra[key]} for key in _MERGED if key in extra}
            self.schema = {**schema, **extra, **merged}
            self._validator = _validator(name, self.schema)

    def check(self, arguments: Mapping[str, Any]) -> None:
        """Check arguments against what was added.

        Raises:
            InvalidArgumentsError: They don't match.
        """
        if self._validator is None:
            return
        problem = next(self._validator.iter_errors(dict(arguments)), None)
        if problem is not None:
            where = ".".join(str(part) for part in problem.absolute_path)
            message = f"{where}: {problem.message}" if where else problem.message
            raise InvalidArgumentsError(f"Invalid arguments for {self._name!r}: {message}", param=where or None)


def _validator(name: str, schema: Mapping[str, Any]) -> Any:
    # Comes with the MCP SDK; only functions that need it pay for its import.
    from jsonschema import Draft202012Validator, SchemaError  # type: ignore[import-untyped, unused-ignore]

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise DeclarationError(f"the schema_extra of {name!r} is no JSON schema: {error.message}") from error
    return Draft202012Validator(schema)

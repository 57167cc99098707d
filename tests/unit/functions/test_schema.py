from __future__ import annotations

import pytest

from polyport.errors import DeclarationError, InvalidArgumentsError
from polyport_gateway.functions.schema import ExtraSchema

BASE = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}


def test_without_extras_nothing_is_added_or_checked() -> None:
    plain = ExtraSchema("f", BASE, None)
    assert plain.schema is BASE
    plain.check({"c": 1})


def test_extras_are_added_by_name_and_checked() -> None:
    either = ExtraSchema("f", BASE, {"anyOf": [{"required": ["a"]}, {"required": ["b"]}], "properties": {"c": {}}})
    assert set(either.schema["properties"]) == {"a", "b", "c"}
    either.check({"a": "x"})
    with pytest.raises(InvalidArgumentsError, match="Invalid arguments for 'f'"):
        either.check({"c": 1})


def test_what_is_no_schema_is_refused_at_registration() -> None:
    with pytest.raises(DeclarationError, match="'f' is no JSON schema"):
        ExtraSchema("f", BASE, {"allOf": "nothing"})

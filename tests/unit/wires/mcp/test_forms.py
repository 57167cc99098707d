from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import pytest
from pydantic import BaseModel, Field

from polyport.errors import BadRequestError, FunctionError
from polyport_gateway.wires.mcp.forms import Form


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Order(BaseModel):
    size: int = Field(ge=1, description="How many")
    colour: Colour = Colour.RED
    note: str | None = None


@dataclass
class Contact:
    name: str


def test_a_model_becomes_a_flat_schema_without_references() -> None:
    schema = Form(Order).schema
    assert schema["required"] == ["size"]
    assert schema["properties"]["colour"]["enum"] == ["red", "blue"]
    assert schema["properties"]["note"] == {"title": "Note", "type": "string"}
    assert "$defs" not in schema


def test_answers_become_typed_values() -> None:
    assert Form(Order).read({"size": 2, "colour": "blue"}) == {"size": 2, "colour": Colour.BLUE, "note": None}
    assert Form(Contact).read({"name": "Ada"}) == {"name": "Ada"}


def test_a_schema_is_sent_as_it_is_and_checked() -> None:
    given = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    assert Form(given).schema == given
    assert Form(given).read({"ok": True}) == {"ok": True}


@pytest.mark.parametrize(
    ("schema", "answer"),
    [
        (Order, {}),
        (Order, {"size": 0}),
        (Order, {"size": 1, "colour": "green"}),
        (Contact, {"name": 7}),
        ({"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}, {"ok": "yes"}),
    ],
)
def test_answers_that_do_not_match_are_refused(schema: Any, answer: dict[str, Any]) -> None:
    with pytest.raises(BadRequestError, match="doesn't match the form"):
        Form(schema).read(answer)


@pytest.mark.parametrize("schema", [int, 7, {"type": "string"}, list[int]])
def test_what_is_no_form_is_refused(schema: Any) -> None:
    with pytest.raises(FunctionError):
        Form(schema)

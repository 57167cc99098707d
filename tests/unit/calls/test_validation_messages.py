"""What an answer says of a value that its schema forbids."""

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from polyport_gateway.errors import describe_validation


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    password: str = ""

    @model_validator(mode="after")
    def _never(self):
        raise ValueError("no such pair")


@pytest.mark.parametrize(
    "body",
    [
        {"name": "a", "password": ["sesame"]},
        {"name": "a", "Password": "sesame"},
        {"name": "a", "password": "sesame"},
        {"name": {"password": "sesame"}},
    ],
)
def test_a_password_is_in_no_message(body):
    with pytest.raises(ValidationError) as raised:
        Body.model_validate(body)
    message, _ = describe_validation(raised.value)
    assert message
    assert "sesame" not in message


def test_another_value_is_shown():
    with pytest.raises(ValidationError) as raised:
        Body.model_validate({"name": 7})
    assert describe_validation(raised.value)[0] == "name: Input should be a valid string (got 7)"

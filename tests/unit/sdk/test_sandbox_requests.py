from __future__ import annotations

import json
from typing import Any

import pytest

from polyport import BadRequestError
from polyport.client import sandbox_requests as asks


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"code": 5}, "code is int; give text or bytes"),
        ({"code": "1", "stdin": 5}, "stdin is int"),
        ({"code": "1", "files": {"a": 5}}, "the content of file 'a' is int"),
        ({"code": "1", "files": ["a"]}, "files is list; give a dict"),
        ({"code": "1", "limits": 5}, "limits is int; give a dict"),
    ],
)
def test_what_has_another_type_is_refused_before_it_is_sent(given: dict[str, Any], message: str):
    with pytest.raises(BadRequestError, match=message):
        asks.run(**given)


def test_a_number_is_no_content_of_a_file():
    content: Any = 5
    with pytest.raises(BadRequestError, match="content of file 'a' is int"):
        asks.upload("cntr_1", "a", content)


@pytest.mark.parametrize("code", ["print(1)", b"print(1)", bytearray(b"print(1)")])
def test_code_as_text_and_as_bytes(code: Any):
    body = asks.run(code, files={"a": bytearray(b"x"), "b": "y"}).body
    assert body is not None
    assert json.loads(body) == {"language": "python", "code": "print(1)", "files": {"a": "eA==", "b": "eQ=="}}

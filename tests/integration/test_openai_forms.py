"""What engines give as events has OpenAI's form on the wire, with nothing that was asked for left out."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any

import httpx
import pytest

from polyport import App
from polyport.events import Finish, TextDelta
from polyport.testing import ScriptedEngine, gateway

VECTORS = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.25]}],
    "model": "m",
    "usage": {"prompt_tokens": 1, "total_tokens": 1},
}
PACKED = base64.b64encode(struct.pack("<2f", 0.5, -0.25)).decode()
PIECES = [
    TextDelta(
        "Hi", 0, [{"tokens": ["Hi"], "token_logprobs": [-0.5], "top_logprobs": [{"Hi": -0.5}], "text_offset": [0]}]
    ),
    TextDelta(" you", 0, [{"tokens": [" ", "you"], "token_logprobs": [-1.0, -2.0]}]),
    TextDelta("!", 0),
    Finish("stop"),
]


def ask(tmp_path: Path, turn: Any, path: str, body: dict[str, Any]) -> httpx.Response:
    app = App("forms")
    app.model("m", engine=ScriptedEngine(turn))
    app.model("echo", engine="echo")
    with gateway(app, data_dir=tmp_path) as running:
        return httpx.post(f"{running.url}{path}", json={"model": "m", **body})


def test_a_completion_carries_its_log_probabilities(tmp_path: Path) -> None:
    answer = ask(tmp_path, PIECES, "/v1/completions", {"prompt": "x", "logprobs": 1}).json()
    choice = answer["choices"][0]
    assert choice["text"] == "Hi you!"
    assert choice["logprobs"] == {
        "tokens": ["Hi", " ", "you"],
        "token_logprobs": [-0.5, -1.0, -2.0],
        "top_logprobs": [{"Hi": -0.5}, None, None],
    }


def test_a_streamed_completion_carries_them_piece_by_piece(tmp_path: Path) -> None:
    answer = ask(tmp_path, PIECES, "/v1/completions", {"prompt": "x", "logprobs": 1, "stream": True})
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    assert lines.pop() == "[DONE]"
    choices = [json.loads(line)["choices"][0] for line in lines]
    assert [choice["logprobs"] and choice["logprobs"]["tokens"] for choice in choices] == [
        ["Hi"],
        [" ", "you"],
        None,
        None,
    ]


def test_log_probabilities_of_another_form_are_not_passed_off_as_these(tmp_path: Path) -> None:
    turn = [TextDelta("Hi", 0, [{"token": "Hi", "logprob": -0.5}])]
    answer = ask(tmp_path, turn, "/v1/completions", {"prompt": "x", "logprobs": 1})
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_error")


@pytest.mark.parametrize("logprobs", [0, 1])
def test_log_probabilities_are_refused_by_what_has_none(tmp_path: Path, logprobs: int) -> None:
    body = {"model": "echo", "prompt": "x", "logprobs": logprobs}
    error = ask(tmp_path, "unused", "/v1/completions", body).json()["error"]
    assert (error["code"], error["param"]) == ("unsupported_parameter", "logprobs")


@pytest.mark.parametrize(("encoding", "expected"), [(None, [0.5, -0.25]), ("float", [0.5, -0.25]), ("base64", PACKED)])
def test_an_engine_that_knows_floats_alone_answers_in_base64_too(
    tmp_path: Path, encoding: str | None, expected: object
) -> None:
    answer = ask(tmp_path, VECTORS, "/v1/embeddings", {"input": "x", "encoding_format": encoding}).json()
    assert answer == {**VECTORS, "data": [{**VECTORS["data"][0], "embedding": expected}]}

import io
import json
import logging

import pytest

from polyport_gateway.telemetry import configure_logging, new_request_id, parse_traceparent, redact


@pytest.fixture(autouse=True)
def _restore():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ***"),
        ("key pp_a1b2c3d4e5f6_ABCdef0123456789 used", "key pp_a1b2c3d4e5f6_*** used"),
        ("sk-proj-0123456789abcdef", "sk-***"),
        ("?api_key=hunter2&x=1", "?api_key=***&x=1"),
        ('{"api_key": "hunter2", "n": 1}', '{"api_key": "***", "n": 1}'),
        ("OPENAI_API_KEY=hunter2", "OPENAI_API_KEY=***"),
        ("postgresql://user:hunter2@host/db", "postgresql://user:***@host/db"),
        ("password: hunter2", "password: ***"),
        ("client_secret=hunter2", "client_secret=***"),
    ],
)
def test_secrets_are_masked(text, shown):
    assert redact(text) == shown
    assert redact(shown) == shown


@pytest.mark.parametrize(
    "text", ["prompt_tokens=5", "api_key_env=OPENAI_KEY", "http://127.0.0.1:8400/v1", "the token is wrong", "sk-8"]
)
def test_other_text_stays(text):
    assert redact(text) == text


def test_json_lines_carry_extras_and_hide_secrets():
    stream = io.StringIO()
    configure_logging("info", "auto", stream=stream)
    try:
        raise ValueError("with Bearer abcdef123")
    except ValueError:
        logging.getLogger("polyport.x").exception(
            "failed for %s", "sk-0123456789", extra={"request_id": "req_1", "n": 2}
        )
    entry = json.loads(stream.getvalue())
    assert (entry["level"], entry["logger"], entry["request_id"], entry["n"]) == ("error", "polyport.x", "req_1", 2)
    assert entry["message"] == "failed for sk-***"
    assert "ValueError: with Bearer ***" in entry["error"]


def test_text_names_the_request():
    stream = io.StringIO()
    configure_logging("warning", "text", stream=stream)
    logging.getLogger("polyport.x").info("unseen")
    logging.getLogger("polyport.x").warning("slow", extra={"request_id": "req_1"})
    assert stream.getvalue().rstrip().endswith("WARNING polyport.x: slow [req_1]")
    assert "unseen" not in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_uvicorn_writes_to_the_same_log():
    stream = io.StringIO()
    configure_logging("info", "json", stream=stream)
    logging.getLogger("uvicorn.access").info("GET /")
    logging.getLogger("uvicorn.error").warning("odd")
    assert [json.loads(line)["logger"] for line in stream.getvalue().splitlines()] == [
        "uvicorn.access",
        "uvicorn.error",
    ]


def test_request_ids_differ():
    assert len({new_request_id() for _ in range(100)}) == 100


def test_traceparent():
    found = parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    assert (found.trace_id, found.parent_id, found.sampled) == (
        "0af7651916cd43dd8448eb211c80319c",
        "b7ad6b7169203331",
        True,
    )


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00-xyz-1-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
    ],
)
def test_a_bad_traceparent_is_ignored(header):
    assert parse_traceparent(header) is None

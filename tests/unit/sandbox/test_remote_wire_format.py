"""The JSON form of requests, results and events: what is written is read back the same, and nonsense is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyport_sandbox import (
    LANGUAGES,
    CodeError,
    Display,
    DisplayEvent,
    EndEvent,
    ErrorEvent,
    FileInfo,
    InvalidRunError,
    Limits,
    OutputEvent,
    RunRequest,
    RunResult,
    SandboxError,
    SessionRequest,
    SkippedFile,
    Usage,
)
from polyport_sandbox import wire_format as wire

RESULT = RunResult(
    status="error",
    exit_code=-9,
    stdout=b"a\xff",
    stderr=b"",
    files={"d/x": b"\0\1"},
    skipped_files=(SkippedFile("l", "a link"),),
    stdout_truncated=True,
    usage=Usage(0.1, 3.5, 0.2, 0.3),
    detail="new kernel",
    displays=(Display({"text/plain": "1", "application/json": {"a": [1]}}, {"image/png": {"width": 3}}, True),),
    error=CodeError("ValueError", "no", "Traceback"),
)


def through(value: Any) -> Any:
    return json.loads(json.dumps(value))


@given(st.binary(), st.binary(), st.dictionaries(st.text(min_size=1), st.binary(), max_size=3), st.booleans())
def test_a_run_is_read_as_it_was_written(code: bytes, stdin: bytes, files: dict[str, bytes], in_session: bool):
    limits = Limits(wall_s=3, pids=7)
    hosts = () if in_session else ("a.example",)
    request = RunRequest(code, LANGUAGES["bash"], files, stdin, limits, hosts, context="k" if in_session else "default")
    body = wire.run_to_json(request, session_limits=Limits() if in_session else None)
    read = wire.run_from_json(through(body), in_session=in_session)
    assert read == wire.RunFields(code, "bash", files, stdin, limits, hosts, request.context, False)


def test_a_session_is_read_as_it_was_written():
    request = SessionRequest(Limits(memory_mb=99), {"a": b"\xff"}, ("x.example:81",), None, 77.0)
    read = wire.session_from_json(through(wire.session_to_json(request, idle_s=5, name="mine")))
    assert read == wire.SessionFields(request.limits, {"a": b"\xff"}, ("x.example:81",), 5.0, 77.0, "mine")
    assert wire.session_from_json({}) == wire.SessionFields()


def test_a_result_is_read_as_it_was_written():
    written = through(wire.result_to_json(RESULT))
    assert wire.result_from_json(written) == RESULT
    assert written["stdout"] == "a\ufffd"
    assert wire.result_from_json({**written, "of_a_newer_gateway": 1}) == RESULT


@pytest.mark.parametrize(
    "event",
    [
        OutputEvent("stdout", b"\xff\0"),
        OutputEvent("stderr", b"e"),
        DisplayEvent("result", RESULT.displays[0]),
        DisplayEvent("display", replace(RESULT.displays[0], is_result=False)),
        ErrorEvent(CodeError("A", "b", "c")),
        EndEvent(RESULT),
    ],
)
def test_an_event_is_read_as_it_was_written(event: Any):
    name, value = wire.event_to_json(event)
    assert wire.event_from_json(name, through(value)) == event
    assert not wire.is_failure(name, value)


def test_a_failed_stream_is_no_error_of_the_code():
    assert wire.is_failure("error", {"error": {"message": "m", "code": "sandbox_busy"}})
    assert wire.event_from_json("of_a_newer_gateway", {}) is None


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ([], None),
        ({}, "code"),
        ({"code": "", "code_base64": ""}, "code"),
        ({"code": 1}, "code"),
        ({"code": "\ud800"}, "code"),
        ({"code_base64": "ä"}, "code_base64"),
        ({"code": "", "stdin": "a"}, "stdin"),
        ({"code": "", "stdin": None}, "stdin"),
        ({"code": "", "files": []}, "files"),
        ({"code": "", "files": {"a": "?"}}, "files"),
        ({"code": "", "files": {"a": 1}}, "files"),
        ({"code": "", "language": None}, "language"),
        ({"code": "", "stream": 1}, "stream"),
        ({"code": "", "allow_hosts": "a"}, "allow_hosts"),
        ({"code": "", "allow_hosts": [1]}, "allow_hosts"),
        ({"code": "", "limits": {"wall": 1}}, "limits.wall"),
        ({"code": "", "limits": {"wall_s": "1"}}, "wall_s"),
        ({"code": "", "limits": {"wall_s": 1e9}}, "wall_s"),
        ({"code": "", "limits": []}, None),
        ({"code": "", "timeout": 1}, "timeout"),
        ({"code": "", "context": "a"}, "context"),
    ],
)
def test_a_bad_run_is_refused_by_its_member(body: Any, param: str | None):
    with pytest.raises(InvalidRunError) as caught:
        wire.run_from_json(body)
    assert caught.value.param == param
    assert caught.value.status == 400


@pytest.mark.parametrize("body", [{"idle_s": 0}, {"lifetime_s": "1"}, {"lifetime_s": True}, {"name": 1}, {"code": ""}])
def test_a_bad_session_is_refused(body: Any):
    with pytest.raises(InvalidRunError):
        wire.session_from_json(body)


@pytest.mark.parametrize(
    "change",
    [
        {"status": "fine"},
        {"status": None},
        {"status": []},
        {"exit_code": "0"},
        {"stdout_base64": "?"},
        {"stdout_base64": None},
        {"files": []},
        {"files": {"a": 1}},
        {"displays": [1]},
        {"error": "x"},
        {"usage": {"cpu_s": "1"}},
        {"detail": 1},
    ],
)
def test_a_result_that_is_none_is_a_failure_of_the_sandbox(change: dict[str, Any]):
    with pytest.raises(SandboxError, match="result can't be read"):
        wire.result_from_json({**wire.result_to_json(RESULT), **change})


@pytest.mark.parametrize("value", [None, [], "x", {}])
@pytest.mark.parametrize("name", ["stdout", "display", "error", "end"])
def test_an_event_that_is_none_is_a_failure_of_the_sandbox(name: str, value: Any):
    with pytest.raises(SandboxError, match="can't be read"):
        wire.event_from_json(name, value)


def test_names_that_leave_their_folder_do_not_come_out():
    read = wire.result_from_json({**wire.result_to_json(RESULT), "files": {"../x": "", "/y": "", "z": ""}})
    assert list(read.files) == ["z"]
    assert [skipped.name for skipped in read.skipped_files] == ["l", "../x", "/y"]
    info = FileInfo("a/b", 3, 1.5)
    assert wire.file_info_from_json(through(wire.file_info_to_json(info))) == info
    for bad in ({"name": "../x", "size": 1, "modified": 1}, {"name": "x"}, [], {"name": 1, "size": 1, "modified": 1}):
        with pytest.raises(SandboxError):
            wire.file_info_from_json(bad)

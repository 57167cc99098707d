from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyport_sandbox import Limits
from polyport_sandbox.docker.collector import Collector
from polyport_sandbox.docker.protocol import DockerStreams, Frame, FrameReader, ProtocolError

NONCE = b"n" * 16
DONE = {
    "status": "ok",
    "exit_code": 0,
    "truncated": [],
    "skipped": [["link", "not a regular file"]],
    "usage": {"cpu_s": 0.1, "wall_s": 0.2, "peak_memory_bytes": 3 << 20},
}


def frame(kind: bytes, payload: object = b"", nonce: bytes = NONCE) -> Frame:
    return Frame(kind, nonce, payload if isinstance(payload, bytes) else json.dumps(payload).encode())


def collected(*frames: Frame, **limits: int) -> Collector:
    collector = Collector(NONCE, Limits(**limits))
    for one in frames:
        collector.add(one)
    return collector


def wire(one: Frame) -> bytes:
    return struct.pack(">Ic16s", len(one.payload), one.kind, one.nonce) + one.payload


def docker(stream: int, payload: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + struct.pack(">I", len(payload)) + payload


@given(st.lists(st.binary(max_size=300), max_size=8), st.integers(1, 40))
def test_frames_come_out_whole_however_the_bytes_are_cut(payloads: list[bytes], step: int):
    sent = [Frame(b"O", NONCE, payload) for payload in payloads]
    stream = b"".join(docker(1, wire(one)) + docker(2, b"noise") for one in sent)
    streams, reader, got = DockerStreams(), FrameReader(), []
    for start in range(0, len(stream), step):
        got += reader.feed(streams.feed(stream[start : start + step]))
    assert got == sent
    assert bytes(streams.stderr) == (b"noise" * len(sent))[-2000:]


def test_a_reader_that_stops_at_one_frame_does_not_see_it_again():
    reader = FrameReader()
    assert next(reader.feed(wire(frame(b"R")))) == frame(b"R")
    assert list(reader.feed(b"")) == []


def test_a_run_is_put_together():
    result = collected(
        frame(b"S"), frame(b"O", b"out"), frame(b"E", b"err"), frame(b"F", ["a", 3]), frame(b"B", b"ab"),
        frame(b"B", b"c"),
        frame(b"F", ["empty", 0]), frame(b"D", DONE),
    ).result(0.5)  # fmt: skip
    assert (result.status, result.exit_code, result.stdout, result.stderr) == ("ok", 0, b"out", b"err")
    assert dict(result.files) == {"a": b"abc", "empty": b""}
    assert [skipped.name for skipped in result.skipped_files] == ["link"]
    assert (result.usage.queued_s, result.usage.peak_memory_mb) == (0.5, 3.0)


@pytest.mark.parametrize("name", ["../x", "/etc/cron.d/x", "a/../../b", "a\\b"])
def test_a_name_that_would_escape_never_reaches_the_caller(name: str):
    result = collected(frame(b"S"), frame(b"F", [name, 1]), frame(b"B", b"x"), frame(b"D", DONE)).result(0)
    assert result.files == {}
    assert result.skipped_files[-1].name == name


S = frame(b"S")


@pytest.mark.parametrize(
    "frames",
    [
        [frame(b"S", nonce=bytes(16))],
        [frame(b"O", b"early")],
        [S, S],
        [S, frame(b"?")],
        [S, frame(b"O", b"x" * 11)],
        [S, frame(b"O", b"x" * 6), frame(b"O", b"x" * 6)],
        [S, frame(b"B", b"x")],
        [S, frame(b"F", ["a", 1]), frame(b"B", b"xx")],
        [S, frame(b"F", ["a", 2]), frame(b"B", b"x"), frame(b"D", DONE)],
        [S, frame(b"F", ["a", 0]), frame(b"F", ["a", 0])],
        [S, frame(b"F", ["a", -1])],
        [S, frame(b"F", ["a", True])],
        [S, frame(b"F", ["a", 11])],
        [S, frame(b"F", ["a", 0]), frame(b"F", ["b", 0]), frame(b"F", ["c", 0])],
        [S, frame(b"F", b"not json")],
        [S, frame(b"F", b"[" * 100_000)],
        [S, frame(b"D", DONE), frame(b"O", b"late")],
        [frame(b"X", "work: No space left on device")],
    ],
)
def test_what_our_supervisor_would_not_send_is_not_believed(frames: list[Frame]):
    with pytest.raises(ProtocolError):
        collected(*frames, output_bytes=10, output_files=2, output_file_bytes=10)


@pytest.mark.parametrize(
    "wrong", [{"status": "sandbox_error"}, {"status": None}, {"exit_code": "x"}, {"usage": {}}, {"skipped": 5}]
)
def test_a_report_of_another_shape_is_not_believed(wrong: dict[str, object]):
    with pytest.raises(ProtocolError):
        collected(S, frame(b"D", DONE | wrong)).result(0)


def test_a_frame_that_claims_gigabytes_is_not_waited_for():
    with pytest.raises(ProtocolError, match="claims"):
        list(FrameReader().feed(struct.pack(">Ic16s", 1 << 31, b"O", NONCE)))


def part(value: object, *, last: bool = True) -> bytes:
    return (b"\0" if last else b"\1") + (value if isinstance(value, bytes) else json.dumps(value).encode())


def test_displays_and_the_error_are_put_together_from_their_parts():
    whole = json.dumps({"data": {"text/plain": "x", "application/json": {"a": [1]}}, "is_result": True}).encode()
    told = {"name": "E", "value": "v", "traceback": "t"}
    result = collected(
        S, frame(b"V", part(whole[:9], last=False)), frame(b"O", b"out"), frame(b"V", part(whole[9:])),
        frame(b"T", part(told)), frame(b"D", DONE),
    ).result(0)  # fmt: skip
    (display,) = result.displays
    assert (display.text, display.json, display.is_result) == ("x", {"a": [1]}, True)
    assert result.error is not None
    assert (result.error.name, result.error.value, result.error.traceback) == ("E", "v", "t")


@pytest.mark.parametrize(
    "said",
    [
        b"not json",
        [1],
        {},
        {"data": 5},
        {"data": {"no mime": "x"}},
        {"data": {"text/plain": 5}},
        {"data": {"text/html": {"a": 1}}},
        b'{"data": {"application/json": ' + b"[" * 50 + b"]" * 50 + b"}}",
    ],
)
def test_a_display_of_no_sense_is_none(said: object):
    assert collected(S, frame(b"V", part(said)), frame(b"D", DONE)).result(0).displays == ()


def test_what_could_not_be_written_down_again_is_replaced():
    said = b'{"data": {"text/plain": "\\ud800", "application/json": [NaN, "\\udfff"]}}'
    (display,) = collected(S, frame(b"V", part(said)), frame(b"D", DONE)).result(0).displays
    assert (display.text, display.json) == ("?", [None, "?"])


@pytest.mark.parametrize(
    "frames",
    [
        [frame(b"V", b"")],
        [frame(b"V", b"\2{}")],
        [frame(b"V", part(b"x" * 101))],
        [frame(b"V", part(b"x", last=False)), frame(b"V", part(b"x" * 100))],
        [frame(b"V", part({"data": {}}))] * 3,
        [frame(b"T", part({"name": "", "value": "", "traceback": ""}))] * 2,
        [frame(b"T", part(b"x" * (1 << 19), last=False))],
    ],
)
def test_more_displays_or_errors_than_the_limits_are_not_believed(frames: list[Frame]):
    with pytest.raises(ProtocolError):
        collected(S, *frames, displays=2, display_bytes=100)

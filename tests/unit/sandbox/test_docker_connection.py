"""What stands between the host and a container: a connection that may end at any moment, and turns that hold."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from polyport_sandbox import Limits, OutputEvent, SandboxError, SandboxFileNotFoundError
from polyport_sandbox.docker.attachment import Attachment, RefusedError, attach
from polyport_sandbox.docker.collector import Collector
from polyport_sandbox.docker.engine import Engine, EngineError
from polyport_sandbox.docker.image_ids import ImageIds
from polyport_sandbox.docker.link import Answer, Exchange, Link
from polyport_sandbox.docker.pool import Pool
from polyport_sandbox.docker.protocol import ProtocolError
from polyport_sandbox.docker.session import DockerSession
from polyport_sandbox.errors import SandboxUnavailableError
from polyport_sandbox.types import LANGUAGES, RunRequest
from tests.support.fake_docker import FakeDocker

pytestmark = pytest.mark.anyio

NONCE = b"n" * 16
UPGRADED = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
DONE = {"status": "ok", "exit_code": 0, "truncated": [], "skipped": [],
        "usage": {"cpu_s": 0, "wall_s": 0, "peak_memory_bytes": None}}  # fmt: skip

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def daemon(folder: Path, serve: Serve) -> AsyncIterator[str]:
    """A socket behind which one test's Docker sits."""
    path = str(folder / "docker.sock")
    server = await asyncio.start_unix_server(serve, path)
    async with server:
        yield path


def up(kind: bytes, payload: Any = b"") -> bytes:
    """A frame, as Docker passes it on."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    frame = struct.pack(">Ic16s", len(body), kind, NONCE) + body
    return b"\1\0\0\0" + struct.pack(">I", len(frame)) + frame


class Wire:
    """A container's end, played by the test."""

    def __init__(self) -> None:
        self.sent: list[tuple[dict[str, Any], bytes]] = []
        self.arrived = asyncio.Event()
        self._up: asyncio.Queue[bytes] = asyncio.Queue()

    def say(self, *parts: bytes) -> None:
        self._up.put_nowait(b"".join(parts))

    async def read(self, max_bytes: int) -> bytes:
        return await self._up.get()

    async def write(self, data: bytes, within_s: float) -> None:
        size = int.from_bytes(data[:4], "big")
        self.sent.append((json.loads(data[4 : 4 + size]), data[4 + size :]))
        self.arrived.set()

    def close(self) -> None:
        self.say(b"")

    @property
    def operations(self) -> list[str]:
        return [header["op"] for header, _ in self.sent]


class Lost:
    """The container of a session that was lost."""

    def __init__(self, link: Link) -> None:
        self.link = link

    async def ended_early(self, collector: Collector, queued_s: float) -> Any:
        return collector.partial("sandbox_error", "gone")


@asynccontextmanager
async def session() -> AsyncIterator[tuple[DockerSession, Wire]]:
    wire = Wire()
    link = Link(wire)  # type: ignore[arg-type]
    link.start()
    yield DockerSession(Lost(link), NONCE, lambda: None), wire  # type: ignore[arg-type]
    await link.aclose()


def cell(code: bytes = b"1") -> RunRequest:
    return RunRequest(code, LANGUAGES["python"])


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def drained(place: DockerSession, request: RunRequest) -> list[Any]:
    return [event async for event in place.stream(request)]


# The connection


async def test_a_read_cancelled_as_the_container_goes_breaks_nothing(tmp_path: Path):
    """Where the socket was read by anyio, this set a cancelled future's result."""
    heard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
    writers: list[asyncio.StreamWriter] = []
    docker_noise = b"\2\0\0\0\0\0\0\1x"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(UPGRADED)
        writers.append(writer)

    async with daemon(tmp_path, serve) as socket:
        for _ in range(50):
            engine = Engine(socket)
            link = Link(await engine.attach("c"))
            link.start()
            await asyncio.sleep(0.001)
            closing = asyncio.create_task(link.aclose())
            writers[-1].write(docker_noise)  # at once, so that both meet in the same turn of the loop
            await closing
            await engine.aclose()
            writers[-1].close()
    await asyncio.sleep(0)
    assert heard == []


async def test_an_answer_that_comes_as_its_reader_is_cancelled_breaks_nothing(tmp_path: Path):
    heard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writers.append(writer)

    async with daemon(tmp_path, serve) as socket:
        engine = Engine(socket)
        asking = [asyncio.create_task(engine.info()) for _ in range(20)]
        await asyncio.sleep(0.1)
        for writer in writers:  # at once, so that both meet in the same turn of the loop
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        for task in asking:
            asyncio.get_running_loop().call_soon(task.cancel)
        assert all(
            isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*asking, return_exceptions=True)
        )
        await engine.aclose()
        for writer in writers:
            writer.close()
    assert heard == []


@pytest.mark.parametrize(
    ("answer", "status"),
    [(b'HTTP/1.1 404 Not Found\r\nContent-Length: 16\r\n\r\n{"message":"no"}', 404), (b"HTTP/1.1 500 No\r\n\r\n", 500)],
)  # fmt: skip
async def test_a_refusal_to_attach_is_told(tmp_path: Path, answer: bytes, status: int):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with daemon(tmp_path, serve) as socket:
        with pytest.raises(RefusedError):
            await attach(socket, "/x")
        engine = Engine(socket)
        with pytest.raises(EngineError, match="would not attach") as caught:
            await engine.attach("c")
        assert caught.value.status == status
        await engine.aclose()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 101", b"no HTTP at all\r\n\r\n"])
async def test_an_answer_that_is_none_is_docker_s_fault(tmp_path: Path, answer: bytes):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with daemon(tmp_path, serve) as socket:
        engine = Engine(socket)
        with pytest.raises(SandboxUnavailableError, match="does not answer"):
            await engine.attach("c")
        await engine.aclose()


async def test_what_nobody_takes_is_given_up_in_time(tmp_path: Path):
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(UPGRADED)
        await over.wait()
        writer.transport.abort()

    async with daemon(tmp_path, serve) as socket:
        attachment: Attachment = await attach(socket, "/x")
        with pytest.raises(ConnectionError, match="nothing was taken"):
            await attachment.write(bytes(8 << 20), 0.2)
        attachment.close()
        over.set()


async def test_output_that_waits_is_put_together():
    link = Link(Wire())  # type: ignore[arg-type]
    exchange = Exchange(link, Collector(NONCE, Limits()))
    wire = link._connection
    assert isinstance(wire, Wire)
    link.start()
    wire.say(up(b"S"), *([up(b"O", b"a")] * 50_000), up(b"E", b"e"), up(b"O", b"b"), up(b"D", DONE))
    await until(lambda: exchange.collector.done)
    assert len(exchange._events) == 3
    events = []
    while (event := await exchange.next(asyncio.get_running_loop().time() + 5)) is not None:
        events.append(event)
    assert events == [
        OutputEvent("stdout", b"a" * 50_000), OutputEvent("stderr", b"e"), OutputEvent("stdout", b"b")
    ]  # fmt: skip
    await link.aclose()


@pytest.mark.parametrize(
    ("kind", "payload"),
    [(b"F", b"[]"), (b"F", b'["x", 1e999]'), (b"L", b'[["x", Infinity, 0, false]]'), (b"L", b"[1]"), (b"Q", b"")],
)
async def test_an_answer_of_the_wrong_shape_ends_the_link_and_is_told(kind: bytes, payload: bytes):
    wire = Wire()
    link = Link(wire)  # type: ignore[arg-type]
    link.start()
    answer = Answer(link, NONCE, 10)
    wire.say(up(kind, payload))
    with pytest.raises(ProtocolError):
        await answer.end("x", 5)
    assert link.ended
    await link.aclose()


def test_a_report_with_a_number_too_large_is_no_report():
    collector = Collector(NONCE, Limits())
    collector.done = json.loads(json.dumps({**DONE, "exit_code": 0}).replace('"exit_code": 0', '"exit_code": 1e999'))
    with pytest.raises(ProtocolError):
        collector.result(0.0)


# Turns


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_cell_s_turn_lasts_until_it_has_ended_however_often_it_is_cancelled(times: int):
    async with session() as (place, wire):
        task = asyncio.create_task(drained(place, cell()))
        await until(lambda: wire.operations == ["cell"])
        wire.say(up(b"S"))
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0.01)
        following = asyncio.create_task(drained(place, cell(b"2")))
        await asyncio.sleep(0.05)
        assert wire.operations == ["cell", "interrupt"]
        wire.say(up(b"D", {**DONE, "status": "error"}))
        await until(lambda: wire.operations == ["cell", "interrupt", "cell"])
        wire.say(up(b"S"), up(b"O", b"next"), up(b"D", DONE))
        assert (await following)[-1].result.stdout == b"next"
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_an_answer_nobody_waits_for_is_not_the_next_one_s():
    async with session() as (place, wire):
        task = asyncio.create_task(place.list())
        await until(lambda: wire.operations == ["list"])
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0.01)
        following = asyncio.create_task(place.delete("x"))
        await asyncio.sleep(0.05)
        assert wire.operations == ["list"]
        wire.say(up(b"L", [["a", 1, 0, False]]), up(b"D", {}))
        await until(lambda: wire.operations == ["list", "delete"])
        wire.say(up(b"D", {"failed": "not_found"}))
        with pytest.raises(SandboxFileNotFoundError):
            await following
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_an_interrupt_on_request_gives_a_cell_time_and_a_second_one_less():
    async with session() as (place, wire):
        await place.interrupt()  # nothing runs
        task = asyncio.create_task(drained(place, cell()))
        await place.interrupt()  # also of one that is only just beginning
        await place.interrupt()
        assert [(header["op"], header.get("grace_s")) for header, _ in wire.sent] == [
            ("cell", None), ("interrupt", 5.0), ("interrupt", 0.5)
        ]  # fmt: skip
        wire.say(up(b"S"), up(b"D", {**DONE, "status": "error", "exit_code": 1}))
        assert (await task)[-1].result.status == "error"
        await place.interrupt()
        assert len(wire.sent) == 3


async def test_the_nonce_travels_once():
    async with session() as (place, wire):
        task = asyncio.create_task(drained(place, cell()))
        await until(lambda: wire.sent)
        wire.say(up(b"S"), up(b"D", DONE))
        await task
        asking = [asyncio.create_task(place.list()), asyncio.create_task(place.upload({"x": b"1"}))]
        for count in (2, 3):
            await until(lambda count=count: len(wire.sent) == count)
            wire.say(up(b"D", {}))
        await asyncio.gather(*asking)
        assert not [1 for header, data in wire.sent if NONCE.hex() in json.dumps(header) or NONCE in data]


# The pool


async def test_whatever_goes_wrong_in_making_a_container_is_told_to_who_waits():
    async def make() -> Any:
        raise ValueError("of a kind that nobody thought of")

    pool = Pool(make, size=1)
    with pytest.raises(SandboxError, match="nobody thought of"):
        async with asyncio.timeout(5):
            await pool.take()
    await pool.aclose()


# Names of images


async def test_a_name_is_looked_up_once_and_its_moving_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    docker = FakeDocker(
        {"/images/some:tag/json": {"Id": "sha256:one"}, "/images/sha256:one/json": {"Id": "sha256:one"}}
    )
    async with daemon(tmp_path, docker.serve) as socket:
        engine = Engine(socket)
        images = ImageIds(engine)
        assert [await images.identity("some:tag") for _ in range(3)] == ["sha256:one"] * 3
        assert len(docker.asked) == 1
        docker.answers["/images/some:tag/json"] = {"Id": "sha256:two"}
        watching = ImageIds(engine, look_again_s=0)
        watching._known, watching._looked = images._known, images._looked
        assert [await watching.identity("some:tag") for _ in range(3)] == ["sha256:one"] * 3
        assert caplog.text.count("names another image now, sha256:two") == 1
        del docker.answers["/images/sha256:one/json"]
        assert await watching.identity("some:tag") == "sha256:two"
        assert "was removed" in caplog.text
        docker.answers.clear()
        with pytest.raises(SandboxUnavailableError, match="build --tag some:tag"):
            await watching.identity("some:tag")
        await engine.aclose()

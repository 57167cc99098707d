"""Both clients against the real gateway: remote and embedded give the same, in every respect."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import enum
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

import polyport
from polyport import Answer, App, AsyncClient, Citation, Client, Context, FunctionError, Image, Message
from polyport.client.streams import ChatStream
from polyport.events import CitationAdded, Log, Progress, TextDelta
from polyport.testing import gateway
from polyport.testing.plugin import StartGateway, polyport_gateway

__all__ = ["polyport_gateway"]  # a fixture; users name the plugin in their conftest.py instead


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: float = 0.0


class Witness:
    """Sees from outside what becomes of a call."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.cancelled = threading.Event()


WITNESS = Witness()
app = App("clients")


@app.function
def add(a: int, b: int = 1) -> int:
    """Add two integers."""
    if a == 13:
        raise FunctionError("13 is unlucky")
    if a == 14:
        raise ValueError("secret")
    return a + b


@app.function
def shapes(
    point: Point, when: dt.datetime, raw: bytes, colour: Colour = Colour.RED, kind: Literal["a", "b"] = "a"
) -> dict[str, Any]:
    return {"point": asdict(point), "when": when, "raw": raw, "colour": colour.value, "kind": kind}


@app.function
def move(point: Point, by: int = 1) -> Point:
    return Point(point.x + by, point.y)


@app.function
def flip(raw: bytes) -> bytes:
    return raw[::-1]


@app.function
def picture() -> Image:
    return Image(b"\x89PNG", "image/png")


@app.function
async def steps(count: int, ctx: Context) -> int:
    for step in range(count):
        await ctx.progress(step + 1, count, f"step {step}")
        await ctx.log({"step": step}, level="warning")
    return count


@app.function
async def hang(ctx: Context) -> int:
    WITNESS.begun.set()
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        WITNESS.cancelled.set()
        raise
    return 1


@app.function(timeout=0.2)
async def late() -> int:
    await asyncio.sleep(60)
    return 1


@app.pipeline
async def shout(question: str):
    for word in question.split():
        if word == "fail":
            raise FunctionError("told to")
        yield word.upper() + " "


@app.pipeline
def cite(messages: list[Message]) -> Answer:
    return Answer(f"{len(messages)} messages", [Citation("Guide", url="https://example.org/guide")])


@app.pipeline
async def endless(question: str):
    WITNESS.begun.set()
    try:
        while True:
            yield "again "
            await asyncio.sleep(0.01)
    finally:
        WITNESS.cancelled.set()


app.model("echo", engine="echo")


class FromThread:
    """An `AsyncClient` used from plain code: each call runs on one loop in a thread."""

    def __init__(self, client: AsyncClient, run: Callable[[Any], Any], path: str = "") -> None:
        self._client, self._run = client, run

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._client, name)
        if not callable(value):
            return FromThread(value, self._run)
        return lambda *args, **kwargs: self._run(value(*args, **kwargs))

    def events(self, *args: Any, **kwargs: Any) -> list[Any]:
        async def work() -> list[Any]:
            async with await self._client.chat(*args, stream=True, **kwargs) as stream:
                return [event async for event in stream]

        return self._run(work())


@contextmanager
def on_a_loop(make: Callable[[], AsyncClient]) -> Iterator[FromThread]:
    with asyncio.Runner() as runner:

        async def made() -> AsyncClient:
            return make()

        client = runner.run(made())
        yield FromThread(client, runner.run)
        runner.run(client.close())


@dataclass
class House:
    url: str
    data_dir: Path
    clients: dict[str, Any] = field(default_factory=dict)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("clients")
    with (
        gateway(app) as running,
        Client(running.url, timeout=30) as remote,
        Client(app, timeout=30, data_dir=folder / "sync") as embedded,
        on_a_loop(lambda: AsyncClient(running.url, timeout=30)) as remote_async,
        on_a_loop(lambda: AsyncClient(app, timeout=30, data_dir=folder / "async")) as embedded_async,
    ):
        clients = {
            "remote": remote,
            "embedded": embedded,
            "remote async": remote_async,
            "embedded async": embedded_async,
        }
        yield House(running.url, folder, clients)


def outcome(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except polyport.CallError as error:
        return type(error), error.status, error.code, error.param, error.message, bool(error.request_id)


def same(house: House, work: Callable[[Any], Any]) -> Any:
    """Do it on every client; all must agree."""
    found = {name: outcome(lambda client=client: work(client)) for name, client in house.clients.items()}
    first = found["remote"]
    assert all(value == first for value in found.values()), found
    return first


def test_lists(house: House) -> None:
    functions = same(house, lambda c: [f.model_dump() for f in c.functions.list()])
    assert functions[0]["function"]["name"] == "add"
    described = same(house, lambda c: {f.name: f.description for f in c.functions.list()})
    assert described["add"] == "Add two integers."
    assert functions[0]["function"]["parameters"]["required"] == ["a"]
    names = same(house, lambda c: [(m.id, m.kind) for m in c.models.list()])
    assert ("shout", "pipeline") in names
    assert same(house, lambda c: c.functions.get("add").function.description) == "Add two integers."
    assert same(house, lambda c: c.models.get("nope"))[0] is polyport.NotFoundError


def test_calls(house: House) -> None:
    assert same(house, lambda c: c.functions.call("add", a=1, b=2)) == 3
    assert same(house, lambda c: c.functions.call("add", a=1)) == 2
    point = {"x": 1}
    when = dt.datetime(2026, 11, 20, 10, tzinfo=dt.UTC)
    found = same(house, lambda c: c.functions.call("shapes", point=point, when=when, raw=b"\xff\xfe"))
    assert found == {
        "point": {"x": 1, "y": 0.0},
        "when": "2026-11-20T10:00:00Z",
        "raw": "__4=",
        "colour": "red",
        "kind": "a",
    }
    moved = same(house, lambda c: c.functions.invoke("move", {"point": Point(1), "by": 2}, returns=Point))
    assert moved == Point(3)
    assert same(house, lambda c: c.functions.invoke("flip", {"raw": b"\xff\x00"}, returns=bytes)) == b"\x00\xff"
    assert same(house, lambda c: c.functions.call("picture")) == Image(b"\x89PNG", "image/png")


def test_failures(house: House) -> None:
    for arguments, kind in (
        ({"a": 13}, polyport.FunctionError),
        ({"a": 14}, polyport.InternalServerError),
        ({"a": "x"}, polyport.InvalidArgumentsError),
        ({"b": 1}, polyport.InvalidArgumentsError),
        ({"a": 1, "c": 1}, polyport.InvalidArgumentsError),
    ):
        found = same(house, lambda c, arguments=arguments: c.functions.call("add", **arguments))
        assert issubclass(found[0], kind), found
        assert "secret" not in found[4]
        assert found[5]
    assert same(house, lambda c: c.functions.call("nope"))[0] is polyport.NotFoundError
    assert same(house, lambda c: c.functions.call("late"))[0] is polyport.DeadlineExceededError


def test_progress_and_logs(house: House) -> None:
    def work(client: Any) -> Any:
        seen: list[Any] = []
        result = client.functions.invoke("steps", {"count": 3}, on_progress=seen.append, on_log=seen.append)
        progress = [event for event in seen if isinstance(event, Progress)]
        return result, progress, [event for event in seen if isinstance(event, Log)]

    result, progress, logs = same(house, work)
    assert result == 3
    assert progress[-1] == Progress(3, 3, "step 2")
    assert logs[0] == Log("warning", {"step": 0})
    failed = same(house, lambda c: c.functions.invoke("add", {"a": 13}, on_progress=print))
    assert failed[0] is polyport.FunctionError


def test_chats(house: House) -> None:
    assert same(house, lambda c: c.chat("shout", "hello you").text) == "HELLO YOU "
    assert same(house, lambda c: c.chat("add", '{"a": 1, "b": 2}').text) == "3"
    assert same(house, lambda c: c.chat("echo", "你好 there").text) == "你好 there"
    conversation = [Message("system", "x"), {"role": "user", "content": "y"}]
    assert same(house, lambda c: c.chat("cite", conversation).text) == "2 messages"
    assert same(house, lambda c: c.chat("nope", "x"))[0] is polyport.NotFoundError
    assert same(house, lambda c: c.chat("shout", "fail"))[0] is polyport.FunctionError
    assert same(house, lambda c: c.chat("shout", []))[0] is polyport.BadRequestError


def events_of(client: Any, *args: Any) -> list[Any]:
    if isinstance(client, FromThread):
        return client.events(*args)
    with client.chat(*args, stream=True) as stream:
        assert isinstance(stream, ChatStream)
        return list(stream)


def test_streams(house: House) -> None:
    events = same(house, lambda c: events_of(c, "shout", "hello you"))
    assert events[:2] == [TextDelta("HELLO "), TextDelta("YOU ")]
    events = same(house, lambda c: events_of(c, "cite", "x"))
    assert CitationAdded(Citation("Guide", url="https://example.org/guide", start=0, end=10)) in events
    assert same(house, lambda c: events_of(c, "shout", "one fail"))[0] is polyport.FunctionError
    assert same(house, lambda c: events_of(c, "nope", "x"))[0] is polyport.NotFoundError
    assert (
        "".join(e.text for e in same(house, lambda c: events_of(c, "echo", "a b")) if isinstance(e, TextDelta)) == "a b"
    )


def test_a_stream_collected_is_the_answer(house: House) -> None:
    for name in ("remote", "embedded"):
        client = house.clients[name]
        whole = client.chat("cite", "x").model_dump(exclude={"id", "created", "usage"})
        collected = client.chat("cite", "x", stream=True).collect().model_dump(exclude={"id", "created", "usage"})
        assert collected["choices"][0]["message"]["content"] == whole["choices"][0]["message"]["content"]
        assert collected["choices"][0]["message"]["annotations"] == whole["choices"][0]["message"]["annotations"]
        assert collected["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]


def test_vectors(house: House) -> None:
    one = same(house, lambda c: c.embed("echo", ["a", "b"]).vectors)
    other = same(house, lambda c: c.embed("echo", ["a", "b"], encoding_format="float").vectors)
    assert len(one) == 2
    for mine, theirs in zip(one, other, strict=True):
        assert mine == pytest.approx(theirs, abs=1e-6)
    assert same(house, lambda c: c.embed("add", "x"))[0] is polyport.UnsupportedOperationError


def test_responses(house: House) -> None:
    def work(client: Any) -> Any:
        made = client.responses.create("shout", "hello you")
        again = client.responses.retrieve(made.id)
        assert again == made
        items = client.responses.input_items(made.id)
        client.responses.delete(made.id)
        gone = outcome(lambda: client.responses.retrieve(made.id))
        return made.output_text, made.status, [item["role"] for item in items], gone[0]

    assert same(house, work) == ("HELLO YOU ", "completed", ["user"], polyport.NotFoundError)
    assert same(house, lambda c: c.responses.create("nope", "x"))[0] is polyport.NotFoundError
    for name in ("remote", "embedded"):
        client = house.clients[name]
        with client.responses.create("shout", "hello you", stream=True) as stream:
            events = list(stream)
        assert events[0].type == "response.created"
        assert [event.text for event in events if event.text] == ["HELLO ", "YOU "]
        assert client.responses.create("shout", "a b", stream=True).text() == "A B "
        assert client.responses.create("shout", "a b", stream=True).collect().output_text == "A B "


@pytest.mark.parametrize("name", ["remote", "embedded"])
def test_a_closed_stream_ends_the_pipeline(house: House, name: str) -> None:
    WITNESS.__init__()
    with house.clients[name].chat("endless", "x", stream=True) as stream:
        assert next(stream) == TextDelta("again ")
    assert WITNESS.cancelled.wait(2)


@pytest.mark.parametrize("name", ["remote", "embedded"])
def test_a_timeout_of_the_client_cancels_the_function(house: House, name: str) -> None:
    WITNESS.__init__()
    started = time.monotonic()
    with pytest.raises(polyport.DeadlineExceededError) as caught:
        house.clients[name].functions.invoke("hang", timeout=0.5)
    assert caught.value.request_id
    assert time.monotonic() - started < 5
    assert WITNESS.cancelled.wait(2)


@pytest.mark.parametrize("embedded", [False, True])
def test_a_cancelled_task_cancels_the_function(house: House, embedded: bool, tmp_path: Path) -> None:
    WITNESS.__init__()

    async def work() -> None:
        made = AsyncClient(app, data_dir=tmp_path) if embedded else AsyncClient(house.url)
        async with made as client:
            task = asyncio.ensure_future(client.functions.call("hang"))
            while not WITNESS.begun.is_set():
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(WITNESS.cancelled.wait, 2)

    asyncio.run(work())


def test_threads_share_a_client(house: House) -> None:
    for name in ("remote", "embedded"):
        client = house.clients[name]
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda n, client=client: client.functions.call("add", a=n + 100, b=1), range(50)))
        assert found == [n + 101 for n in range(50)]


def test_keys_rule_embedded_calls_that_bring_one(tmp_path: Path) -> None:
    with Client(app, api_key="pp_wrong", data_dir=tmp_path) as client, pytest.raises(polyport.AuthenticationError):
        client.functions.list()


def test_nothing_listens(house: House) -> None:
    with (
        Client("http://127.0.0.1:9", max_retries=0) as client,
        pytest.raises(polyport.APIConnectionError, match="could not be reached") as caught,
    ):
        client.functions.list()
    assert caught.value.request_id


def test_a_program_that_forgets_to_close_ends_well(tmp_path: Path) -> None:
    program = (
        "from polyport import App, Client\n"
        "app = App('forgetful')\n"
        "@app.function\n"
        "def add(a: int, b: int) -> int:\n"
        "    return a + b\n"
        f"client = Client(app, data_dir={str(tmp_path)!r})\n"
        "print(client.functions.call('add', a=1, b=2))\n"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "3\n", "")
    with contextlib.closing(sqlite3.connect(tmp_path / "polyport.sqlite3")) as database:
        assert database.execute("select count(*) from usage").fetchone() == (1,)


def test_the_fixture_for_users(polyport_gateway: StartGateway) -> None:
    running = polyport_gateway(app)
    with Client(running.url) as client:
        assert client.functions.call("add", a=1, b=2) == 3

"""The in-process transport, on its own loop and from a background thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

import polyport
from polyport import App, AsyncClient, Client
from polyport.client.portal import PortalTransport
from polyport.client.transport import ASGITransport

START = {"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"1")]}


class Recorder:
    """An ASGI application that streams, and notes what happens to it; also a gateway."""

    def __init__(self, *, pieces: int = 3, size: int = 10, pause: float = 0.0) -> None:
        self.pieces, self.size, self.pause = pieces, size, pause
        self.sent = 0
        self.ended = threading.Event()
        self.how = ""
        self.scopes: list[dict[str, Any]] = []
        self.started = self.stopped = 0

    @property
    def asgi(self) -> Any:
        return self

    async def start(self) -> None:
        self.started += 1

    async def stop(self) -> None:
        self.stopped += 1

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        message = await receive()
        watcher = asyncio.ensure_future(receive())
        try:
            await send(START)
            for _ in range(self.pieces):
                await send({"type": "http.response.body", "body": message["body"] * self.size, "more_body": True})
                self.sent += 1
                if self.pause:
                    await asyncio.wait({watcher}, timeout=self.pause)
                if watcher.done():
                    self.how = (await watcher)["type"]
                    return
            await send({"type": "http.response.body", "body": b""})
            self.how = "whole"
        except OSError:
            self.how = "refused"
        except asyncio.CancelledError:
            self.how = "cancelled"
            raise
        finally:
            watcher.cancel()
            self.ended.set()


def post(size: int = 1) -> dict[str, Any]:
    return {"method": "POST", "url": "http://127.0.0.1/a%20b?c=d", "content": b"x" * size}


def run_async(app: Any, work: Callable[[httpx.AsyncClient], Any], **transport: Any) -> Any:
    async def main() -> Any:
        async with httpx.AsyncClient(transport=ASGITransport(app, **transport)) as client:
            return await work(client)

    return asyncio.run(main())


def test_a_whole_answer() -> None:
    app = Recorder()

    async def work(client: httpx.AsyncClient) -> httpx.Response:
        return await client.request(**post())

    response = run_async(app, work, local=True)
    assert (response.status_code, response.headers["x-a"], response.content) == (200, "1", b"x" * 30)
    scope = app.scopes[0]
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/a b", b"/a%20b", b"c=d")
    assert scope["polyport.local"] is True
    assert app.how == "whole"


def test_nobody_is_trusted_unasked() -> None:
    app = Recorder()

    async def work(client: httpx.AsyncClient) -> None:
        await client.request(**post())

    run_async(app, work)
    assert "polyport.local" not in app.scopes[0]


def test_pieces_arrive_before_the_end_and_a_close_disconnects() -> None:
    app = Recorder(pieces=1000, pause=5)

    async def work(client: httpx.AsyncClient) -> None:
        async with client.stream(**post()) as response:
            async for piece in response.aiter_bytes():
                assert piece == b"x" * 10
                break

    started = time.monotonic()
    run_async(app, work)
    assert (app.sent, app.how) == (1, "http.disconnect")
    assert time.monotonic() - started < 2


def test_an_application_that_ignores_a_disconnect_is_cancelled() -> None:
    ended = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async def work(client: httpx.AsyncClient) -> None:
        async with client.stream(**post()):
            pass
        await asyncio.wait_for(ended.wait(), 5)

    run_async(app, work)


def test_a_cancelled_caller_disconnects_before_the_answer_began() -> None:
    noticed = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        assert (await receive())["type"] == "http.disconnect"
        noticed.set()

    async def work(client: httpx.AsyncClient) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.request(**post())
        await asyncio.wait_for(noticed.wait(), 5)

    run_async(app, work)


def test_a_slow_reader_holds_the_application_up() -> None:
    app = Recorder(pieces=100, size=1000)

    async def work(client: httpx.AsyncClient) -> int:
        async with client.stream(**post(100)) as response:
            await asyncio.sleep(0.05)
            held = app.sent
            total = 0
            async for piece in response.aiter_bytes():
                total += len(piece)
        assert total == 100 * 100_000
        return held

    assert run_async(app, work) < 10
    assert app.how == "whole"


def test_an_application_that_fails() -> None:
    async def early(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("broken")

    async def late(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"x", "more_body": True})

    async def work(client: httpx.AsyncClient) -> None:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.request(**post())

    run_async(early, work)
    run_async(late, work)


def test_silence_is_a_timeout() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(60)

    async def work(client: httpx.AsyncClient) -> None:
        with pytest.raises(httpx.ReadTimeout):
            await client.request(**post(), timeout=0.05)

    run_async(app, work)


def portal(app: Recorder) -> httpx.Client:
    return httpx.Client(transport=PortalTransport(lambda: app, local=True))


def test_the_sync_transport_streams_and_disconnects() -> None:
    app = Recorder(pieces=1000, pause=5)
    with portal(app) as client, client.stream(**post()) as response:
        assert next(response.iter_bytes()) == b"x" * 10
        response.close()
        assert app.ended.wait(2)
        assert app.how == "http.disconnect"


def test_many_threads_share_one_gateway() -> None:
    app = Recorder(pieces=20, pause=0.001)
    before = set(threading.enumerate())
    with portal(app) as client:
        assert app.started == 0
        with ThreadPoolExecutor(8) as pool:
            bodies = list(pool.map(lambda _: client.request(**post()).content, range(64)))
    assert set(bodies) == {b"x" * 200}
    assert (app.started, app.stopped) == (1, 1)
    assert not set(threading.enumerate()) - before


def test_a_gateway_that_cannot_start_says_why_and_leaves_no_thread() -> None:
    def build() -> Any:
        raise polyport.DeclarationError("no")

    before = set(threading.enumerate())
    with httpx.Client(transport=PortalTransport(build, local=True)) as client:
        for _ in range(2):
            with pytest.raises(polyport.DeclarationError):
                client.request(**post())
    assert not set(threading.enumerate()) - before


def test_closing_ends_calls_under_way() -> None:
    app = Recorder(pieces=1000, pause=5)
    client = portal(app)
    response = client.send(client.build_request(**post()), stream=True)
    client.close()
    assert app.ended.wait(2)
    response.close()
    assert app.stopped == 1


def test_a_forgotten_client_stops_its_gateway() -> None:
    app = Recorder()
    transport = PortalTransport(lambda: app, local=True)
    transport.handle_request(httpx.Request(**post())).close()
    del transport
    deadline = time.monotonic() + 5
    while not app.stopped and time.monotonic() < deadline:
        time.sleep(0.01)
    assert app.stopped == 1


class Factory:
    """Stands in for the installed gateway."""

    def __init__(self) -> None:
        self.gateway = Recorder()
        self.settings: dict[str, Any] = {}

    def embed(self, app: App, **settings: Any) -> Recorder:
        self.settings = settings
        return self.gateway


@pytest.fixture
def factory(monkeypatch: pytest.MonkeyPatch) -> Factory:
    made = Factory()
    monkeypatch.setattr("polyport.client.base.load_gateway", lambda: made)
    return made


def test_clients_of_an_app_are_trusted_unless_they_bring_a_key(
    factory: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLYPORT_API_KEY", "pp_for_remote_ones")
    for key in (None, "pp_x"):
        with Client(App("a"), api_key=key, port=1) as client:
            client._http.post("http://127.0.0.1/", content=b"x")
        scope = factory.gateway.scopes[-1]
        assert scope.get("polyport.local") is (True if key is None else None)
    assert factory.settings == {"port": 1}


def test_the_async_client_starts_once_and_stops(factory: Factory) -> None:
    async def main() -> None:
        async with AsyncClient(App("a")) as client:
            assert factory.gateway.started == 0
            await asyncio.gather(*(client._http.post("http://127.0.0.1/", content=b"x") for _ in range(20)))
        assert (factory.gateway.started, factory.gateway.stopped) == (1, 1)

    asyncio.run(main())

"""What the SDK reaches through its entry point: serving an app, in this process or over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from polyport.app import App
from polyport.errors import ConfigurationError
from polyport_gateway.server import Gateway, create_gateway
from polyport_gateway.settings import Settings, load_settings

__all__ = ["Factory", "RunningGateway", "bind", "check_exposure", "factory", "serve_until_stopped", "settle_memory"]


@dataclass(frozen=True, slots=True)
class RunningGateway:
    """A gateway that answers over HTTP in another thread of this process.

    Attributes:
        url: Where, without a trailing slash.
        gateway: What answers.
        loop: The event loop it runs on.
    """

    url: str
    gateway: Gateway
    loop: asyncio.AbstractEventLoop


def bind(settings: Settings) -> socket.socket:
    """Listen on the configured address.

    Raises:
        ConfigurationError: The port is in use, or the address isn't this machine's.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        reason = "it is in use; choose another with --port" if error.errno == 98 else str(error.strerror or error)
        raise ConfigurationError(f"can't listen on {settings.host} port {settings.port}: {reason}") from error
    listener.listen(2048)
    listener.setblocking(False)
    return listener


def check_exposure(gateway: Gateway) -> None:
    """Refuse to serve other machines without a key.

    Raises:
        ConfigurationError: The address can be reached from other machines and no key exists.
    """
    if not gateway.settings.loopback_only and not gateway.keys.any_keys:
        raise ConfigurationError(
            f"{gateway.settings.host} can be reached from other machines, and no key exists yet. Create one with "
            "`polyport keys create NAME`, or serve 127.0.0.1."
        )


async def serve_until_stopped(
    gateway: Gateway,
    listener: socket.socket,
    *,
    on_ready: Callable[[str], None] | None = None,
    stop: asyncio.Event | None = None,
) -> int | None:
    """Serve on an open listener until a signal (in the main thread) or `stop`.

    Args:
        gateway: What to serve.
        listener: From `bind`.
        on_ready: Called with the URL once requests are answered.
        stop: Ends serving when set.

    Returns:
        The signal that ended it, if one did.

    Raises:
        ConfigurationError: The gateway can't start, or must not on this address.
    """
    settings = gateway.settings
    with _graceful_signals() as signals:
        await gateway.start()
        try:
            check_exposure(gateway)
            await _serve(gateway, listener, settings, on_ready, stop)
        finally:
            await gateway.stop()
    return signals[0] if signals else None


async def _serve(
    gateway: Gateway,
    listener: socket.socket,
    settings: Settings,
    on_ready: Callable[[str], None] | None,
    stop: asyncio.Event | None,
) -> None:
    import uvicorn

    from polyport_gateway.wires.connections import PatientProtocol, close_stalled

    config = uvicorn.Config(
        gateway.asgi,
        http=PatientProtocol,
        proxy_headers=False,
        lifespan="off",
        log_config=None,
        access_log=settings.access_log,
        server_header=False,
        timeout_graceful_shutdown=max(1, round(settings.shutdown_grace_s)),
        timeout_keep_alive=75,
        backlog=2048,
    )

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            gateway.mcp.end_streams()
            await super().shutdown(sockets)

    server = Server(config)
    watching = asyncio.ensure_future(_announce(server, listener, on_ready, stop))
    sweeping = asyncio.ensure_future(close_stalled(server, settings.request_timeout_s))
    try:
        await server.serve(sockets=[listener])
    finally:
        watching.cancel()
        sweeping.cancel()


@contextmanager
def _graceful_signals() -> Iterator[list[int]]:
    """Keep a signal from ending the process before the gateway has stopped; give the signals that came.

    uvicorn raises the signals that stopped it again once it is done, which would end the process there
    and then, with usage rows still unwritten.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in kept:
        signal.signal(number, lambda number, _frame: received.append(number))
    try:
        yield received
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


async def _announce(
    server: Any, listener: socket.socket, on_ready: Callable[[str], None] | None, stop: asyncio.Event | None
) -> None:
    while not server.started:  # noqa: ASYNC110 - uvicorn offers no event to wait for
        await asyncio.sleep(0.005)
    if on_ready is not None:
        on_ready(_url(listener))
    if stop is not None:
        await stop.wait()
        server.should_exit = True


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def settle_memory() -> None:
    """Take what has been imported out of the garbage collector's sight, and let it look less often.

    For a process that does nothing but serve; a request leaves few cycles behind.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a loop of the fastest kind installed."""
    try:
        import uvloop
    except ModuleNotFoundError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class Factory:
    """The gateway, as `polyport.embedded.GatewayFactory` describes it."""

    def serve(self, app: App, *, host: str | None = None, port: int | None = None, **settings: Any) -> None:
        """Serve over HTTP until interrupted."""
        chosen = load_settings(host=host, port=port, **settings)
        gateway = create_gateway(app, chosen)
        listener = bind(chosen)
        settle_memory()
        interrupted = contextlib.suppress(KeyboardInterrupt)
        with interrupted, listener, asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(serve_until_stopped(gateway, listener, on_ready=lambda url: print(f"{app.name}: {url}")))  # noqa: T201

    def embed(self, app: App, **settings: Any) -> Gateway:
        """Build a gateway for use in this process."""
        return create_gateway(app, load_settings(**settings))

    @contextmanager
    def run_in_thread(self, app: App, **settings: Any) -> Iterator[RunningGateway]:
        """Serve over HTTP from a thread, on a free loopback port unless told otherwise, while inside."""
        _finish_imports()
        chosen = load_settings(**{"port": 0, **settings})
        gateway = create_gateway(app, chosen)
        listener = bind(chosen)
        stop = asyncio.Event()
        ready: threading.Event = threading.Event()
        failure: list[BaseException] = []
        loops: list[asyncio.AbstractEventLoop] = []

        def work() -> None:
            try:
                with listener, asyncio.Runner(loop_factory=new_event_loop) as runner:
                    loops.append(runner.get_loop())
                    runner.run(serve_until_stopped(gateway, listener, on_ready=lambda _: ready.set(), stop=stop))
            except BaseException as error:  # noqa: BLE001 - raised again where the thread was started
                failure.append(error)
            finally:
                ready.set()

        url = _url(listener)
        thread = threading.Thread(target=work, name="polyport-gateway", daemon=True)
        thread.start()
        ready.wait()
        if failure:
            thread.join()
            raise failure[0]
        try:
            yield RunningGateway(url, gateway, loops[0])
        finally:
            with contextlib.suppress(RuntimeError):
                loops[0].call_soon_threadsafe(stop.set)
            thread.join(timeout=chosen.shutdown_grace_s + 10)


def _finish_imports() -> None:
    """Load httpx2 here where OpenAI's client is loaded, rather than in the gateway's thread when MCP first needs it.

    The client takes what it finds in `sys.modules`, and would find it half-made there.
    """
    if "openai" in sys.modules:
        with contextlib.suppress(ImportError):
            importlib.import_module("httpx2")


factory = Factory()

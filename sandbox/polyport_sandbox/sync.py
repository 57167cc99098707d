"""The doors for code without an event loop: `SyncSandbox` and `SyncSession`."""

from __future__ import annotations

import asyncio
import builtins
import concurrent.futures
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from .base import Provider
from .errors import SandboxUnavailableError
from .metrics import Snapshot
from .sandbox import Sandbox
from .session import Session
from .streams import Pump
from .toolbox import ToolLimits
from .types import FileInfo, Limits, RunEvent, RunResult, ToolHost

__all__ = ["SyncSandbox", "SyncSession"]

STOP_S = 10.0
Value = TypeVar("Value")


class _Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._changing = threading.RLock()  # so that nothing is given to a loop that has begun to stop

    def start(self) -> None:
        with self._changing:
            if self._loop is not None:
                mend = "use the one that is, or make another"
                raise SandboxUnavailableError("The sandbox is open already.", mend=mend)
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="polyport-sandbox", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        with self._changing:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        try:
            asyncio.run_coroutine_threadsafe(_finish(loop), loop).result(STOP_S)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(STOP_S)
            if not thread.is_alive():
                loop.close()

    def wait(self, coroutine: Coroutine[Any, Any, Value]) -> Value:
        """Run a coroutine on the loop; Ctrl-C while waiting cancels it."""
        future = self._submit(coroutine)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            if self._loop is None:  # another thread closed the sandbox
                raise SandboxUnavailableError("The sandbox was closed meanwhile.", mend="open a new one") from None
            raise
        except BaseException:
            if not future.done():
                future.cancel()
            raise

    def call(self, function: Callable[[], Value]) -> Value:
        """Call a function on the loop's thread."""

        async def called() -> Value:
            return function()

        return self.wait(called())

    def iterate(self, make: Callable[[], AsyncGenerator[RunEvent]]) -> Generator[RunEvent, None, None]:
        """Give a run's events; leaving early, by whatever way, ends the run before it returns."""
        pump = self.call(lambda: Pump(make()))
        try:
            while (event := self.wait(pump.next())) is not None:
                yield event
        finally:
            self._end(pump)

    def _end(self, pump: Pump) -> None:
        loop = self._loop
        if loop is None:
            return  # the run ended with the loop
        if threading.current_thread() is self._thread:
            pump.task.cancel()  # a generator that nobody has is closed wherever that is noticed
        else:
            self.wait(pump.stop())

    def _submit(self, coroutine: Coroutine[Any, Any, Value]) -> concurrent.futures.Future[Value]:
        with self._changing:
            loop = self._loop
            if loop is not None and threading.current_thread() is not self._thread:
                return asyncio.run_coroutine_threadsafe(coroutine, loop)
        coroutine.close()
        if loop is None:
            raise SandboxUnavailableError("The sandbox is not open.", mend="with SyncSandbox() as box: …")
        raise RuntimeError("This would wait for itself: on the sandbox's own thread (in a tool, say) use `Sandbox`.")


async def _finish(loop: asyncio.AbstractEventLoop) -> None:
    """End what is left, so that nothing is destroyed while it waits."""
    tasks = asyncio.all_tasks(loop) - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await loop.shutdown_asyncgens()
    await loop.shutdown_default_executor()


class SyncSession:
    """`Session` for code without an event loop. Safe to share by threads.

    Example:
        ::

            with SyncSandbox() as box, box.session() as session:
                session.run("x = 1")
                print(session.run("x + 1").displays[-1].text)
    """

    def __init__(self, session: Session, loop: _Loop) -> None:
        self._session = session
        self._loop = loop

    @property
    def id(self) -> str:
        """Its id."""
        return self._session.id

    @property
    def name(self) -> str | None:
        """What its owner calls it."""
        return self._session.name

    @property
    def caller(self) -> str:
        """Whose it is."""
        return self._session.caller

    @property
    def limits(self) -> Limits:
        """What it may use."""
        return self._session.limits

    @property
    def idle_s(self) -> float:
        """Seconds without use after which it ends."""
        return self._session.idle_s

    @property
    def created_at(self) -> float:
        """When it was opened, in seconds since the epoch."""
        return self._session.created_at

    @property
    def last_active_at(self) -> float:
        """When it was last used."""
        return self._session.last_active_at

    @property
    def expires_at(self) -> float:
        """When it will end unless it is used before then."""
        return self._session.expires_at

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._session.closed

    def run(
        self,
        code: str | bytes,
        *,
        language: str = "python",
        stdin: bytes = b"",
        limits: Limits | None = None,
        context: str = "default",
    ) -> RunResult:
        """Run one cell; see `Session.run`."""
        return self._loop.wait(self._session.run(code, language=language, stdin=stdin, limits=limits, context=context))

    def stream(
        self,
        code: str | bytes,
        *,
        language: str = "python",
        stdin: bytes = b"",
        limits: Limits | None = None,
        context: str = "default",
    ) -> Generator[RunEvent, None, None]:
        """Give a cell's events; see `Session.stream`. Closing the generator interrupts the cell."""
        return self._loop.iterate(
            lambda: self._session.stream(code, language=language, stdin=stdin, limits=limits, context=context)
        )

    def upload(self, files: Mapping[str, bytes]) -> None:
        """Write files; see `Session.upload`."""
        self._loop.wait(self._session.upload(files))

    def download(self, name: str, *, max_bytes: int | None = None) -> bytes:
        """Read a file; see `Session.download`."""
        return self._loop.wait(self._session.download(name, max_bytes=max_bytes))

    def list(self, folder: str = "") -> builtins.list[FileInfo]:
        """What a folder holds; see `Session.list`."""
        return self._loop.wait(self._session.list(folder))

    def delete(self, name: str) -> None:
        """Delete a file or folder; see `Session.delete`."""
        self._loop.wait(self._session.delete(name))

    def restart(self, context: str | None = None) -> None:
        """Start a kernel anew, or all; see `Session.restart`."""
        self._loop.wait(self._session.restart(context))

    def interrupt(self) -> bool:
        """End the cell that runs now; see `Session.interrupt`."""
        return self._loop.wait(self._session.interrupt())

    def close(self) -> None:
        """End it, with all that runs in it."""
        self._loop.wait(self._session.aclose())

    def __enter__(self) -> SyncSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SyncSandbox:
    """`Sandbox` for code without an event loop: the same arguments, results and errors. Safe to share by threads.

    Ctrl-C while a run is waited for kills the run.

    Example:
        ::

            with SyncSandbox() as box:
                print(box.run("print(6*7)").stdout_text)
    """

    def __init__(
        self,
        provider: str | Provider = "docker",
        *,
        max_sessions: int = 64,
        max_sessions_per_caller: int = 16,
        tool_limits: ToolLimits | None = None,
        log_code: bool = False,
        **provider_options: Any,
    ) -> None:
        self._sandbox = Sandbox(
            provider,
            max_sessions=max_sessions,
            max_sessions_per_caller=max_sessions_per_caller,
            tool_limits=tool_limits,
            log_code=log_code,
            **provider_options,
        )
        self._loop = _Loop()

    def __enter__(self) -> SyncSandbox:
        self._loop.start()
        try:
            self._loop.wait(self._sandbox.__aenter__())
        except BaseException:
            self._loop.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._loop.wait(self._sandbox.__aexit__())
        finally:
            self._loop.stop()

    @property
    def provider(self) -> Provider:
        """Where the code runs."""
        return self._sandbox.provider

    def run(
        self,
        code: str | bytes,
        *,
        language: str = "python",
        files: Mapping[str, bytes] | None = None,
        stdin: bytes = b"",
        limits: Limits | None = None,
        allow_hosts: Sequence[str] = (),
        tools: ToolHost | None = None,
        caller: str = "",
    ) -> RunResult:
        """Run `code` once; see `Sandbox.run`."""
        return self._loop.wait(
            self._sandbox.run(
                code,
                language=language,
                files=files,
                stdin=stdin,
                limits=limits,
                allow_hosts=allow_hosts,
                tools=tools,
                caller=caller,
            )
        )

    def stream(
        self,
        code: str | bytes,
        *,
        language: str = "python",
        files: Mapping[str, bytes] | None = None,
        stdin: bytes = b"",
        limits: Limits | None = None,
        allow_hosts: Sequence[str] = (),
        tools: ToolHost | None = None,
        caller: str = "",
    ) -> Generator[RunEvent, None, None]:
        """Give a run's events; see `Sandbox.stream`. Closing the generator kills the run."""
        return self._loop.iterate(
            lambda: self._sandbox.stream(
                code,
                language=language,
                files=files,
                stdin=stdin,
                limits=limits,
                allow_hosts=allow_hosts,
                tools=tools,
                caller=caller,
            )
        )

    @contextlib.contextmanager
    def session(
        self,
        *,
        limits: Limits | None = None,
        files: Mapping[str, bytes] | None = None,
        allow_hosts: Sequence[str] = (),
        tools: ToolHost | None = None,
        idle_s: float = 1200.0,
        lifetime_s: float = 3600.0,
        name: str | None = None,
        caller: str = "",
    ) -> Iterator[SyncSession]:
        """Open a session for a block; see `Sandbox.open_session`."""
        with self.open_session(
            limits=limits,
            files=files,
            allow_hosts=allow_hosts,
            tools=tools,
            idle_s=idle_s,
            lifetime_s=lifetime_s,
            name=name,
            caller=caller,
        ) as session:
            yield session

    def open_session(
        self,
        *,
        limits: Limits | None = None,
        files: Mapping[str, bytes] | None = None,
        allow_hosts: Sequence[str] = (),
        tools: ToolHost | None = None,
        idle_s: float = 1200.0,
        lifetime_s: float = 3600.0,
        name: str | None = None,
        caller: str = "",
    ) -> SyncSession:
        """Open a session; see `Sandbox.open_session`. Close it with `SyncSession.close`."""
        session = self._loop.wait(
            self._sandbox.open_session(
                limits=limits,
                files=files,
                allow_hosts=allow_hosts,
                tools=tools,
                idle_s=idle_s,
                lifetime_s=lifetime_s,
                name=name,
                caller=caller,
            )
        )
        return SyncSession(session, self._loop)

    def get_session(self, identity: str, *, caller: str = "") -> SyncSession:
        """Find a session by its id; see `Sandbox.get_session`."""
        return SyncSession(self._loop.call(lambda: self._sandbox.get_session(identity, caller=caller)), self._loop)

    def sessions(self, *, caller: str = "") -> list[SyncSession]:
        """A caller's sessions, oldest first."""
        return [
            SyncSession(session, self._loop)
            for session in self._loop.call(lambda: self._sandbox.sessions(caller=caller))
        ]

    def metrics(self) -> Snapshot:
        """What was run so far, and what there is now."""
        return self._loop.call(self._sandbox.metrics)

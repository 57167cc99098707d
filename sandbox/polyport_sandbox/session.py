"""A place where variables, files and the working folder live on from run to run."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, NoReturn, TypeVar

from .base import Interruptible, ProviderSession
from .errors import InvalidRunError, SessionClosedError
from .files import check_context, check_limits, check_name, check_upload, encode_code
from .metrics import Metrics
from .streams import Collector, Pump, last_result
from .toolbox import BoundedToolHost
from .types import EndEvent, FileInfo, Language, Limits, RunEvent, RunRequest, RunResult, SessionRequest

__all__ = ["Session", "SessionOpening"]

_log = logging.getLogger(__name__)

CLOSE_S = 10.0
GIVE_WAY_S = 8.0
Value = TypeVar("Value")


class Session:
    """A persistent sandbox, made by `Sandbox.open_session` or ``async with box.session() as session``.

    One thing is done in it at a time: whatever else is asked for waits for its turn, in order. Every use puts its idle
    expiry off, and it never expires for idleness while something runs; the end of its lifetime ends what runs.

    A run that is ended from outside, by `aclose` or the end of the lifetime, has a result all the same: ``killed``,
    with the output so far and a `RunResult.detail` that says why. What still waits for its turn when the session ends
    raises `SessionClosedError`.

    Args:
        identity: Its id.
        place: The provider's end.
        request: How it was asked for.
        languages: How a language is run.
        idle_s: Seconds without use after which it ends.
        name: What its owner calls it.
        caller: Whose it is.
        on_idle: Called when a use ends and no other waits.
        on_end: Called once, when it ends.
        metrics: What counts its runs.
    """

    def __init__(
        self,
        identity: str,
        place: ProviderSession,
        request: SessionRequest,
        *,
        languages: Callable[[str], Language],
        idle_s: float,
        name: str | None = None,
        caller: str = "",
        on_idle: Callable[[Session], None] = lambda _: None,
        on_end: Callable[[Session], None] = lambda _: None,
        metrics: Metrics | None = None,
    ) -> None:
        self.id = identity
        self.name = name
        self.caller = caller
        self.limits = request.limits
        self.idle_s = idle_s
        self.lifetime_s = request.lifetime_s
        self.allow_hosts = request.allow_hosts
        self._place = place
        self._tools = request.tools
        self._languages = languages
        self._on_idle = on_idle
        self._on_end = on_end
        self._metrics = metrics or Metrics()
        self._turn = asyncio.Lock()
        self._uses = 0
        self._task: asyncio.Task[Any] | None = None
        self._cell: asyncio.Task[Any] | None = None
        self._interrupted: asyncio.Task[Any] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._ended_why: str | None = None
        self._began = self._used = time.monotonic()
        self._epoch = time.time() - self._began

    @property
    def created_at(self) -> float:
        """When it was opened, in seconds since the epoch."""
        return self._epoch + self._began

    @property
    def last_active_at(self) -> float:
        """When it was last used; now, while it is."""
        return self._epoch + (time.monotonic() if self._uses else self._used)

    @property
    def expires_at(self) -> float:
        """When it will end unless it is used before then."""
        return self._epoch + self.due

    @property
    def lifetime_ends(self) -> float:
        """When it ends however much it is used, by the monotonic clock."""
        return self._began + self.lifetime_s

    @property
    def due(self) -> float:
        """`expires_at` by the monotonic clock."""
        return self.lifetime_ends if self._uses else min(self.lifetime_ends, self._used + self.idle_s)

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._ended_why is not None

    async def run(
        self,
        code: str | bytes,
        *,
        language: str = "python",
        stdin: bytes = b"",
        limits: Limits | None = None,
        context: str = "default",
    ) -> RunResult:
        """Run one cell and return its result; see `stream`."""
        return await last_result(self.stream(code, language=language, stdin=stdin, limits=limits, context=context))

    async def stream(
        self,
        code: str | bytes,
        *,
        language: str = "python",
        stdin: bytes = b"",
        limits: Limits | None = None,
        context: str = "default",
    ) -> AsyncGenerator[RunEvent]:
        """Run one cell and give its events as they happen. Closing the generator interrupts the cell.

        Args:
            code: The cell.
            language: What it is written in. Variables live on in Python; other languages see the same files.
            stdin: What it can read from its standard input.
            limits: Only `wall_s` and those on output count; the rest are the session's.
            context: Which of the session's kernels runs it; each has variables of its own.

        Raises:
            InvalidRunError: For bad input; nothing was started.
            SessionClosedError: If the session has ended.
        """
        with self._metrics.refusals():
            request = self._request(code, language, stdin, limits, context)
        record = self._metrics.begin(request, caller=self.caller, session=self.id)
        async with contextlib.aclosing(record.follow(self._cell_events(request))) as events:
            async for event in events:
                yield event

    async def _cell_events(self, request: RunRequest) -> AsyncGenerator[RunEvent]:
        asked = time.monotonic()
        await self._await_turn()
        if isinstance(self._tools, BoundedToolHost):
            self._tools.renew()
        began = time.monotonic()
        pump = Pump(self._place.stream(request))
        self._hold(pump.task)
        self._cell = pump.task
        told = Collector()
        try:
            while True:
                event = await self._noticing_loss(pump.next())
                if event is None:
                    why = self._why_stopped(pump.task)
                    if why is None:
                        return
                    event = EndEvent(told.killed(why, wall_s=time.monotonic() - began))
                if isinstance(event, EndEvent):
                    yield _queued(event, began - asked)
                    return
                told.add(event)
                yield event
        finally:
            await pump.stop()

    async def upload(self, files: Mapping[str, bytes]) -> None:
        """Write files by relative name, replacing those of the same name.

        Raises:
            InvalidRunError: For names that could leave the working folder, and for files too many or too large.
        """
        checked = check_upload(files, self.limits)
        await self._do(lambda: self._place.upload(checked))

    async def download(self, name: str, *, max_bytes: int | None = None) -> bytes:
        """Read one regular file.

        Args:
            name: Relative to the working folder.
            max_bytes: The most it may have; the session's `Limits.output_file_bytes` when None.

        Raises:
            SandboxFileNotFoundError: If there is no such regular file; a link is none.
            InvalidRunError: If it is larger.
        """
        check_name(name)
        if max_bytes is not None and (isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 0):
            raise InvalidRunError(f"max_bytes is {max_bytes!r}; it must be a number of bytes", param="max_bytes")
        most = self.limits.output_file_bytes if max_bytes is None else max_bytes
        return await self._do(lambda: self._place.download(name, max_bytes=most))

    async def list(self, folder: str = "") -> builtins.list[FileInfo]:
        """What a folder holds, its folders' contents too; links and devices are left out.

        Raises:
            SandboxFileNotFoundError: If there is no such folder.
        """
        if folder:
            check_name(folder, param="folder")
        return await self._do(lambda: self._place.list(folder))

    async def delete(self, name: str) -> None:
        """Delete a file, or a folder with all in it.

        Raises:
            SandboxFileNotFoundError: If there is none.
        """
        check_name(name)
        await self._do(lambda: self._place.delete(name))

    async def restart(self, context: str | None = None) -> None:
        """Start a kernel anew, or all of them: variables are gone, files stay. What runs is ended first."""
        if context is not None:
            check_context(context)
        if self._cell is not None:
            self._end_cell(self._cell)
        await self._do(lambda: self._place.restart(context))

    async def interrupt(self) -> bool:
        """Interrupt the cell that runs now, and say whether there was one. Those that wait then have their turn.

        Where the provider can, `KeyboardInterrupt` is raised in it: its result tells of that, and variables are kept.
        What does not give way within `GIVE_WAY_S`, or runs elsewhere, is ended: its result is ``killed``.
        """
        cell = self._cell
        if cell is None:
            return False
        if not isinstance(self._place, Interruptible):
            self._end_cell(cell)
            return True
        end = asyncio.get_running_loop().call_later(GIVE_WAY_S, self._end_cell, cell)
        cell.add_done_callback(lambda _: end.cancel())
        await self._noticing_loss(self._place.interrupt())
        return True

    def _end_cell(self, cell: asyncio.Task[Any]) -> None:
        self._interrupted = cell
        cell.cancel()

    async def aclose(self) -> None:
        """End it, with all that runs in it."""
        await asyncio.shield(self.end("it was closed"))

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def end(self, why: str) -> asyncio.Task[None]:
        """Start to end it, once; `why` is told to whoever uses it later."""
        if self._ending is None:
            self._ended_why = why
            self._ending = asyncio.create_task(self._close_place())
            self._on_end(self)
        return self._ending

    async def _close_place(self) -> None:
        task = self._task
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=CLOSE_S)
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._place.aclose()
        except Exception as error:  # noqa: BLE001 - nobody waits who could do better; the provider removes orphans
            _log.warning("session %s was not closed cleanly: %s", self.id, error or type(error).__name__)

    def _request(
        self, code: str | bytes, language: str, stdin: bytes, limits: Limits | None, context: str
    ) -> RunRequest:
        how = self._languages(language)
        check_context(context)
        text = encode_code(code)
        limits = self.limits if limits is None else check_limits(limits)
        if not isinstance(stdin, bytes):
            raise InvalidRunError(f"stdin is {type(stdin).__name__}, not bytes", param="stdin")
        if len(text) + len(stdin) > self.limits.input_bytes:
            raise InvalidRunError(
                f"code and stdin are {len(text) + len(stdin)} bytes together, more than the session's "
                f"{self.limits.input_bytes} allowed",
                param="code",
            )
        return RunRequest(
            text, how, stdin=stdin, limits=limits, allow_hosts=self.allow_hosts, tools=self._tools, context=context
        )

    async def _do(self, operation: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
        """Do one thing when its turn has come."""
        await self._await_turn()
        task = asyncio.create_task(operation())
        self._hold(task)
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            raise
        if task.cancelled():
            raise self._closed_error()
        return await self._noticing_loss(task)

    async def _await_turn(self) -> None:
        self._uses += 1
        try:
            if not self.closed:
                await self._turn.acquire()
                if self.closed:
                    self._turn.release()
            if self.closed:
                raise self._closed_error()
        except BaseException:
            self._done_with()
            raise

    def _hold(self, task: asyncio.Task[Any]) -> None:
        """Let the turn last as long as `task`, whatever becomes of who asked for it."""
        self._task = task
        task.add_done_callback(self._release)

    def _release(self, _: asyncio.Task[Any]) -> None:
        self._task = self._cell = None
        self._turn.release()
        self._done_with()

    def _done_with(self) -> None:
        self._uses -= 1
        self._used = time.monotonic()
        if not self._uses and not self.closed:
            self._on_idle(self)

    async def _noticing_loss(self, step: Coroutine[Any, Any, Value] | asyncio.Task[Value]) -> Value:
        try:
            return await step
        except SessionClosedError as error:
            self.end(f"it was lost: {error.message}")
            raise

    def _why_stopped(self, task: asyncio.Task[Any]) -> str | None:
        if self._ended_why is not None:
            return f"the session ended: {self._ended_why}"
        return "interrupted" if self._interrupted is task else None

    def _closed_error(self) -> SessionClosedError:
        return SessionClosedError(f"The session {self.id} has ended: {self._ended_why}. Open a new one.")


def _queued(event: EndEvent, seconds: float) -> EndEvent:
    """Count the wait for a turn too."""
    usage = replace(event.result.usage, queued_s=event.result.usage.queued_s + seconds)
    return replace(event, result=replace(event.result, usage=usage))


class SessionOpening:
    """A session that opens on entering and is closed on leaving: ``async with box.session() as session``."""

    def __init__(self, open_it: Callable[[], Coroutine[Any, Any, Session]]) -> None:
        self._open = open_it
        self._session: Session | None = None

    def __getattr__(self, name: str) -> NoReturn:
        if not name.startswith("_"):  # what copy, inspect and the like look for gets the usual answer
            raise AttributeError(
                f"the session is not open, and has no {name!r} yet: write 'async with box.session() as session', "
                "or 'session = await box.open_session()'"
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    async def __aenter__(self) -> Session:
        self._session = await self._open()
        return self._session

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.aclose()

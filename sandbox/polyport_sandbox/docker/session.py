"""A session in a container of its own: kernels that keep their variables, and files that stay."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping
from typing import Any

from polyport_sandbox.errors import InvalidRunError, SandboxError, SessionClosedError
from polyport_sandbox.files import name_problem
from polyport_sandbox.types import EndEvent, FileInfo, RunEvent, RunRequest, RunResult

from .collector import Collector
from .container import GRACE_S, Container
from .link import BROKEN, Answer, Exchange
from .protocol import ProtocolError, encode_cell, encode_request, encode_upload

__all__ = ["DockerSession"]

GIVE_WAY_S = 0.5  # for a cell that nobody waits for any more
INTERRUPT_S = 5.0  # for one that was interrupted on request: keeping its variables is worth the wait
FILES_S = 60.0


class DockerSession:
    """One container that is given cell after cell.

    A cell's result has exit code 0 where it ended well, 1 where an exception ended it, and what `sys.exit` was given.
    An exception is told by `RunResult.error` and not printed. `files` is empty: a session's files are asked for.
    What is printed while no cell runs is dropped; while one does, it counts as that cell's if it has the same kernel.

    Args:
        container: Its container, with the session begun.
        nonce: What its reports carry.
        on_close: Called once, when the container is not needed any more.
    """

    def __init__(self, container: Container, nonce: bytes, on_close: Callable[[], None]) -> None:
        self._container = container
        self._link = container.link
        self._nonce = nonce
        self._on_close = on_close
        self._turn = asyncio.Lock()
        self._closed = False
        self._sent: asyncio.Event | None = None
        self._interrupted = False

    @contextlib.asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[Callable[[Coroutine[Any, Any, None]], Coroutine[Any, Any, None]]]:
        """Have a turn, and what sees something to its end within the turn, however often its waiter is cancelled."""
        await self._turn.acquire()
        endings: set[asyncio.Task[None]] = set()

        async def see_out(ending: Coroutine[Any, Any, None]) -> None:
            task = asyncio.create_task(ending)
            endings.add(task)
            await asyncio.shield(task)

        try:
            self._check_open()
            yield see_out
        finally:
            for task in endings:
                if not task.done():
                    task.add_done_callback(lambda _: self._turn.release())
                    break
            else:
                self._turn.release()

    async def stream(self, request: RunRequest) -> AsyncGenerator[RunEvent]:
        """Run one cell. Closing the generator interrupts it, and kills what does not give way."""
        async with self._in_turn() as see_out:
            collector = Collector(self._nonce, request.limits)
            exchange = Exchange(self._link, collector)
            deadline = asyncio.get_running_loop().time() + request.limits.wall_s + GRACE_S
            sent = self._sent = asyncio.Event()
            self._interrupted = False
            try:
                await self._link.write(encode_cell(request), GRACE_S)
                sent.set()
                while (event := await exchange.next(deadline)) is not None:
                    yield event
            except (TimeoutError, *BROKEN) as error:
                self._close()
                yield EndEvent(collector.partial("sandbox_error", f"the session was lost: {error!r}"))
                return
            except (GeneratorExit, asyncio.CancelledError):
                await see_out(self._abandon(exchange))
                raise
            finally:
                self._sent = None
                sent.set()
            yield EndEvent(await self._concluded(collector))

    async def interrupt(self) -> None:
        """Raise `KeyboardInterrupt` in the running cell. It has five seconds to give way; asked again, half of one."""
        await asyncio.sleep(0)  # a cell that was asked for just now begins first
        if (sent := self._sent) is None:
            return
        await sent.wait()
        if self._sent is not sent:
            return
        grace_s = GIVE_WAY_S if self._interrupted else INTERRUPT_S
        self._interrupted = True
        await self._write(encode_request("interrupt", {"grace_s": grace_s}))

    async def _concluded(self, collector: Collector) -> RunResult:
        """The result of a cell that ended, or what is known of one that was lost with its session."""
        failed = (collector.done or {}).get("failed")
        if failed is not None:
            what, _, more = str(failed)[:300].partition(":")
            if what == "kernels":
                raise InvalidRunError(
                    f"The session has {more} kernels already, the most there may be: use one of its contexts.",
                    param="context",
                )
            return collector.partial("sandbox_error", f"the cell could not be set up: {more or what}")
        if collector.done is not None:
            try:
                return collector.result(0.0)
            except ProtocolError as error:
                self._close()
                return collector.partial("sandbox_error", f"the supervisor's report can't be trusted: {error}")
        if self._closed:
            return collector.partial("killed", "the session was closed")
        collector.started = True  # a cell is never given to another session
        broken = self._link.error
        try:
            if isinstance(broken, ProtocolError):
                return collector.partial("sandbox_error", f"the supervisor's report can't be trusted: {broken}")
            return await self._container.ended_early(collector, 0.0)
        except (SandboxError, *BROKEN) as lost:
            return collector.partial("sandbox_error", f"the session was lost: {lost!r}")
        finally:
            self._close()

    async def _abandon(self, exchange: Exchange) -> None:
        """See a cell that nobody waits for to its end, so that the next one finds the session in order."""
        try:
            await self._link.write(encode_request("interrupt", {"grace_s": GIVE_WAY_S}), GRACE_S)
            deadline = asyncio.get_running_loop().time() + GRACE_S
            if await exchange.end(deadline):
                return
        except (TimeoutError, *BROKEN):
            pass
        self._close()

    async def upload(self, files: Mapping[str, bytes]) -> None:
        """Write files by relative name, replacing those of the same name."""
        for name in files:
            _check_name(name)
        await self._ask(encode_upload(files), "")

    async def download(self, name: str, *, max_bytes: int) -> bytes:
        """Read one regular file; see `ProviderSession`."""
        _check_name(name)
        answer = await self._ask(encode_request("download", {"name": name, "max_bytes": max_bytes}), name, max_bytes)
        return bytes(answer.content)

    async def list(self, folder: str = "") -> list[FileInfo]:
        """What a folder holds, its folders' contents too."""
        if folder:
            _check_name(folder)
        answer = await self._ask(encode_request("list", {"name": folder}), folder)
        return [entry for entry in answer.entries if name_problem(entry.name) is None]

    async def delete(self, name: str) -> None:
        """Delete a file, or a folder with all in it."""
        _check_name(name)
        await self._ask(encode_request("delete", {"name": name}), name)

    async def restart(self, context: str | None = None) -> None:
        """Start a kernel anew, or all of them, which ends all other processes too: variables are gone, files stay."""
        await self._ask(encode_request("restart", {"context": context}), "")

    async def aclose(self) -> None:
        """End it, with all that runs in it."""
        self._close()

    async def _ask(self, request: bytes, name: str, max_bytes: int = 0) -> Answer:
        async with self._in_turn() as see_out:
            answer = Answer(self._link, self._nonce, max_bytes)
            try:
                await self._write(request)
                await answer.end(name, FILES_S)
            except (TimeoutError, EOFError, ProtocolError, *BROKEN) as error:
                self._close()
                raise SessionClosedError(f"The session was lost: {error!r}") from error
            except asyncio.CancelledError:
                await see_out(self._await_end(answer, name))
                raise
            return answer

    async def _await_end(self, answer: Answer, name: str) -> None:
        """See an answer that nobody waits for to its end, so that it is not taken for the next one's."""
        try:
            await answer.end(name, GRACE_S)
        except (TimeoutError, EOFError, ProtocolError, *BROKEN):
            self._close()
        except SandboxError:
            pass  # refused, which is an end too

    async def _write(self, request: bytes) -> None:
        try:
            await self._link.write(request, FILES_S)
        except BROKEN as error:
            self._close()
            raise SessionClosedError(f"The session was lost: {error!r}") from error

    def _check_open(self) -> None:
        if self._link.ended and not self._closed:
            self._close()
        if self._closed:
            raise SessionClosedError("This session has ended; open a new one.")

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            self._on_close()


def _check_name(name: str) -> None:
    problem = name_problem(name)
    if problem is not None:
        raise InvalidRunError(f"the file name {name[:80]!r} {problem}", param="files")

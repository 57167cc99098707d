"""The parent's side: warm processes, one file each at a time."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from types import TracebackType

from polyport_gateway.knowledge.documents import Parsed, ParsingLimitError, UnreadableDocumentError
from polyport_gateway.knowledge.readers import ReadOptions

from .frames import HEAD, NoAnswerError, pack, plain_options, unpack
from .limits import ParseLimits

__all__ = ["ParserPool"]

_log = logging.getLogger("polyport.knowledge.parsing")
_MEBIBYTE = 1 << 20
_START_S = 60.0
_SMALL = 256 * 1024
_PASSED_ON = ("PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LANG", "LC_ALL", "HOME", "SYSTEMROOT",
              "DOCLING_ARTIFACTS_PATH")  # fmt: skip
_SAID = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}  # a model that is missing is an error, never a download


class _Worker:
    """One child process."""

    def __init__(self, process: asyncio.subprocess.Process, folder: str) -> None:
        self._process = process
        self._folder = folder  # for its temporary files; nothing else may it write
        self._killed = False
        self.jobs = 0

    @classmethod
    async def start(cls) -> _Worker:
        folder = tempfile.mkdtemp(prefix="polyport-parsing-")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # the folder that the gateway was started in is no place for a reader to import from, or to read
            "-m",
            "polyport_gateway.knowledge.parsing.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            # Keys and passwords stand in the environment: a hostile file's reader gets none of it.
            env={key: os.environ[key] for key in _PASSED_ON if key in os.environ} | _SAID | {"TMPDIR": folder},
            start_new_session=True,
        )
        worker = cls(process, folder)
        try:
            async with asyncio.timeout(_START_S):
                await worker._frame(_MEBIBYTE)
        except BaseException as error:
            await worker.kill()
            if isinstance(error, (asyncio.IncompleteReadError, TimeoutError)):
                raise RuntimeError("A process to read files in did not start; run `python -m polyport_gateway"
                                   ".knowledge.parsing.worker </dev/null` to see why.") from None  # fmt: skip
            raise
        return worker

    async def ask(self, frame: bytes, most: int) -> tuple[bytes, bytes]:
        """Send a frame, and return the answer's two parts."""
        self.jobs += 1
        assert self._process.stdin is not None  # noqa: S101 - it was opened as a pipe
        self._process.stdin.write(frame)
        await self._process.stdin.drain()
        return await self._frame(most)

    async def _frame(self, most: int) -> tuple[bytes, bytes]:
        assert self._process.stdout is not None  # noqa: S101 - it was opened as a pipe
        header_size, body_size = HEAD.unpack(await self._process.stdout.readexactly(HEAD.size))
        if header_size + body_size > most:
            raise OverflowError
        header = await self._process.stdout.readexactly(header_size)
        return header, await self._process.stdout.readexactly(body_size)

    async def kill(self) -> int | None:
        """End the process and all it began; return how it had ended, if it had."""
        try:
            return await self._kill()
        finally:  # also where nobody waits any more
            shutil.rmtree(self._folder, ignore_errors=True)

    async def _kill(self) -> int | None:
        if not self._killed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.2):  # one that crashed is not yet known to have
                    if self._process.stdout is not None and self._process.stdout.at_eof():
                        await self._process.wait()
        ended = self._process.returncode
        if not self._killed:  # later its number may be another's
            self._killed = True
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        # Newer Pythons wait for the ends of the pipes too, and one that had more to say than was read has none. Closing
        # the whole transport would also ask for the exit status, which whoever watches the process then lacks.
        transport = self._process._transport  # type: ignore[attr-defined]  # noqa: SLF001 - there is no public way
        for number in range(3):
            if (pipe := transport.get_pipe_transport(number)) is not None:
                pipe.close()
        await self._process.wait()
        return ended


class ParserPool:
    """Reads each file in a child process with limits; a file that breaks its reader breaks nothing else.

    Args:
        workers: Files read at the same time.
        limits: For each file.
        jobs_per_worker: A process is replaced after so many files, for what libraries leak.

    Attributes:
        killed: Processes that were killed, or crashed, over a file.

    Example:
        >>> async def main():
        ...     async with ParserPool(workers=1) as pool:
        ...         return (await pool.parse(b"# Tea", "tea.md")).document.text
    """

    def __init__(self, workers: int = 2, *, limits: ParseLimits | None = None, jobs_per_worker: int = 500) -> None:
        if workers < 1 or jobs_per_worker < 1:
            raise ValueError("A pool needs at least 1 worker, and at least 1 job for each.")
        self.workers = workers
        self.limits = limits or ParseLimits()
        self.killed = 0
        self._jobs_per_worker = jobs_per_worker
        self._idle: asyncio.LifoQueue[_Worker | None] = asyncio.LifoQueue()
        self._open = False

    async def __aenter__(self) -> ParserPool:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Warm all processes."""
        if self._open:
            return
        self._open = True
        started = await asyncio.gather(*(_Worker.start() for _ in range(self.workers)), return_exceptions=True)
        for worker in started:
            self._idle.put_nowait(worker if isinstance(worker, _Worker) else None)
        failed = next((worker for worker in started if isinstance(worker, BaseException)), None)
        if failed is not None:
            await self.close()
            raise failed

    async def close(self) -> None:
        """End all processes, after the files that are being read."""
        if not self._open:
            return
        self._open = False
        for _ in range(self.workers):
            worker = await self._idle.get()
            if worker is not None:
                await worker.kill()

    async def parse(
        self,
        data: bytes,
        name: str,
        options: ReadOptions | None = None,
        *,
        limits: ParseLimits | None = None,
    ) -> Parsed:
        """Read one file.

        Args:
            data: The whole file.
            name: Its name.
            options: How; `ReadOptions.read` stays in this process and is not used.
            limits: Instead of the pool's.

        Raises:
            UnreadableDocumentError: It can't be read, or its reader crashed.
            ParsingLimitError: It took too much, and its process was killed.
        """
        if not self._open:
            raise RuntimeError("The pool is not open: use `async with pool`, or `await pool.start()`.")
        options, limits = options or ReadOptions(), limits or self.limits
        if len(data) > options.max_bytes:
            raise UnreadableDocumentError(name, f"it has {len(data):,} bytes; at most {options.max_bytes:,} are read.")
        job = secrets.token_hex(8)
        header = {
            "job": job,
            "name": name,
            "options": plain_options(options),
            "wall_s": limits.wall_s,
            "cpu_s": limits.cpu_s,
            "memory_mb": limits.memory_mb,
        }
        worker = await self._idle.get()
        kept = None
        try:
            worker = worker or await _Worker.start()
            plain, body = await self._ask(worker, pack(header, data), name, limits)
            try:
                parsed = await _unpacked(plain, body, name, job)
            except NoAnswerError:
                raise  # whoever sends such a thing is in somebody else's hands
            except UnreadableDocumentError:
                kept = worker
                raise
            kept = worker
            return parsed
        finally:
            self.killed += worker is not None and kept is None
            if kept is not None and kept.jobs >= self._jobs_per_worker:
                kept = None
            try:
                if worker is not None and kept is None:
                    await worker.kill()
            finally:
                self._idle.put_nowait(kept)

    async def _ask(self, worker: _Worker, frame: bytes, name: str, limits: ParseLimits) -> tuple[bytes, bytes]:
        try:
            async with asyncio.timeout(limits.wall_s):
                return await worker.ask(frame, limits.output_mb * _MEBIBYTE)
        except TimeoutError:
            raise ParsingLimitError(name, f"reading it took more than {limits.wall_s:g} s.") from None
        except OverflowError:
            raise ParsingLimitError(name, f"its document has more than {limits.output_mb} MiB.") from None
        except (asyncio.IncompleteReadError, OSError):
            ended = await worker.kill()
            raise _crash(name, ended, limits) from None

    async def parse_many(
        self, files: Iterable[tuple[str, bytes]], options: ReadOptions | None = None
    ) -> AsyncIterator[tuple[str, Parsed | UnreadableDocumentError]]:
        """Read files side by side; each comes when it is done, and one that fails comes as its error."""

        async def one(name: str, data: bytes) -> tuple[str, Parsed | UnreadableDocumentError]:
            try:
                return name, await self.parse(data, name, options)
            except UnreadableDocumentError as error:
                return name, error

        waiting = iter(files)
        running: set[asyncio.Task[tuple[str, Parsed | UnreadableDocumentError]]] = set()
        try:
            while True:
                # No more are taken from `files` than are read at a time: it may open each as it gives it.
                while len(running) < self.workers and (file := next(waiting, None)) is not None:
                    running.add(asyncio.ensure_future(one(*file)))
                if not running:
                    return
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    yield task.result()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


async def _unpacked(plain: bytes, body: bytes, name: str, job: str) -> Parsed:
    if len(plain) <= _SMALL:
        return unpack(plain, body, name, job)
    return await asyncio.to_thread(_unpack_large, plain, body, name, job)


def _unpack_large(plain: bytes, body: bytes, name: str, job: str) -> Parsed:
    with _collection.paused():
        return unpack(plain, body, name, job)


class _Collection:
    """The collection of garbage: a million cells made in one go would be looked through again and again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paused = 0
        self._was_enabled = True

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Pause it; several threads may at the same time."""
        with self._lock:
            if not self._paused:
                self._was_enabled = gc.isenabled()
                gc.disable()
            self._paused += 1
        try:
            yield
        finally:
            with self._lock:
                self._paused -= 1
                if not self._paused and self._was_enabled:
                    gc.enable()


_collection = _Collection()


def _crash(name: str, ended: int | None, limits: ParseLimits) -> UnreadableDocumentError:
    if ended == -signal.SIGXCPU:
        return ParsingLimitError(name, f"reading it took more than {limits.cpu_s:g} s of processor time.")
    if ended == -signal.SIGKILL:
        return ParsingLimitError(name, "its process was killed, most likely for the machine's memory.")
    how = f"signal {-ended}" if ended is not None and ended < 0 else f"exit code {ended}"
    _log.error("a reader's process ended with %s", how)
    return UnreadableDocumentError(name, f"it crashed its reader ({how}); the file is most likely damaged or hostile.")

"""`DocumentService`: the one pool of processes that reads files for a gateway's callers, opened at its first use."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeVar

from polyport.errors import BadRequestError, NotFoundError, ServiceUnavailableError, UnsupportedOperationError
from polyport_gateway.call import Caller
from polyport_gateway.reading.folders import Folders
from polyport_gateway.reading.plan import DocumentsPlan

if TYPE_CHECKING:
    from polyport_gateway.knowledge.chunkers import Chunk
    from polyport_gateway.knowledge.chunkers.base import Step
    from polyport_gateway.knowledge.documents import Parsed
    from polyport_gateway.knowledge.parsing import ParserPool
    from polyport_gateway.knowledge.readers import ReadOptions

__all__ = ["READ_DOCUMENT", "DocumentService"]

_log = logging.getLogger("polyport.documents")

Value = TypeVar("Value")

READ_DOCUMENT = "read_document"
"""The name that opens documents: who may not use it may use nothing of them."""

_MOST_CHARACTERS = 100_000_000
_CLOSING_S = 5.0


class DocumentService:
    """Reads and cuts files for callers; what it needs is loaded, and its processes are started, at the first file.

    Args:
        plan: How; None for a gateway that reads none.

    Attributes:
        plan: The same.
        enabled: Whether it reads any.
        folders: Where callers may name files.
        allows: Whether a caller may use a name, for chunkers that ask a model.
    """

    def __init__(self, plan: DocumentsPlan | None) -> None:
        self.plan = plan or DocumentsPlan()
        self.enabled = plan is not None
        self.folders = Folders(self.plan.folders, self.plan.max_bytes)
        self.allows: Callable[[str, Caller], bool] = lambda name, caller: False
        self._lock = asyncio.Lock()
        self._pool: ParserPool | None = None
        self._closed = False
        self._cutting = asyncio.Semaphore(self.plan.workers)
        self._reading = 0
        self._read = 0
        self._failed = 0
        self._limited = 0

    @property
    def state(self) -> Literal["none", "idle", "ready"]:
        """Whether files are read, and whether processes for it have been started."""
        if not self.enabled:
            return "none"
        return "idle" if self._pool is None else "ready"

    async def start(self) -> None:
        """Take files from now on; nothing is started before the first."""
        self._closed = False

    async def close(self) -> None:
        """End every process."""
        self._closed = True
        async with self._lock:
            pool, self._pool = self._pool, None
            if pool is None:
                return
            try:
                async with asyncio.timeout(_CLOSING_S):
                    await pool.close()
            except TimeoutError:
                # A call that outlived the gateway's grace; its process ends with this one.
                _log.warning("a file was still being read when the gateway stopped")

    def require(self) -> None:
        """Refuse where no files are read.

        Raises:
            UnsupportedOperationError: With how to have them read.
        """
        if not self.enabled:
            raise UnsupportedOperationError(
                "This gateway reads no documents: that is not switched on. Its operator can declare app.documents() "
                "or set POLYPORT_DOCUMENTS=true.",
                code="documents_disabled",
            )

    def check(self, caller: Caller) -> None:
        """Refuse everybody where no files are read, and a caller who may not have them read.

        Raises:
            UnsupportedOperationError: None are; with how to change it.
            NotFoundError: It looks the same as where there is no such name.
        """
        self.require()
        if not caller.may(READ_DOCUMENT):
            raise NotFoundError(
                f"The model or function {READ_DOCUMENT!r} does not exist or you do not have access to it.",
                param="model",
                code="model_not_found",
            )

    async def read(self, data: bytes, name: str, options: ReadOptions) -> Parsed:
        """Read a file in one of the processes; cancelling ends it there.

        Raises:
            UnreadableDocumentError: It can't be read.
            ServiceUnavailableError: Too many wait already, or no process starts.
        """
        self.require()
        if self._reading >= self.plan.workers + self.plan.max_waiting:
            raise ServiceUnavailableError(
                f"{self._reading} files are being read or wait for it, as many as may (documents_max_waiting); "
                "try again later.",
                code="documents_busy",
                retry_after=2,
            )
        self._reading += 1
        try:
            pool = await self._opened()
            parsed = await pool.parse(data, name, replace(options, max_bytes=self.plan.max_bytes))
        except Exception as error:
            self._count(error)
            raise
        finally:
            self._reading -= 1
        self._read += 1
        return parsed

    def _count(self, error: Exception) -> None:
        from polyport_gateway.knowledge.documents import ParsingLimitError

        self._failed += 1
        self._limited += isinstance(error, ParsingLimitError)

    async def cut(self, parsed: Parsed, step: Step) -> list[Chunk]:
        """Cut a document, in a thread; cancelling ends it between two chunks.

        Raises:
            BadRequestError: The chunks hold more than can be sent.
        """
        stopped = threading.Event()

        def work() -> list[Chunk]:
            found: list[Chunk] = []
            characters = 0
            for chunk in step.stream(parsed.document):
                if stopped.is_set():
                    break
                characters += len(chunk.text)
                if characters > _MOST_CHARACTERS:
                    raise BadRequestError(
                        f"The chunks have more than {_MOST_CHARACTERS:,} characters; cut with less overlap.",
                        param="with",
                    )
                found.append(chunk)
            return found

        async with self._cutting:
            return await self.in_thread(work, stopped)

    async def in_thread(self, work: Callable[[], Value], stopped: threading.Event | None = None) -> Value:
        """Do what would hold up the event loop; a caller who goes away sets `stopped`."""
        try:
            return await asyncio.to_thread(work)
        finally:
            if stopped is not None:
                stopped.set()

    def figures(self) -> str:
        """Write what it has done, in Prometheus' text format; nothing before the first file."""
        if self._pool is None:
            return ""
        figures = (
            ("reading", "gauge", "Files being read, or waiting for it.", self._reading),
            ("read_total", "counter", "Files read.", self._read),
            ("failed_total", "counter", "Files that could not be read.", self._failed),
            ("limited_total", "counter", "Files whose reading was stopped at a limit.", self._limited),
            ("killed_total", "counter", "Processes that were killed, or crashed, over a file.", self._pool.killed),
        )
        return "".join(
            f"# HELP polyport_documents_{name} {what}\n# TYPE polyport_documents_{name} {kind}\n"
            f"polyport_documents_{name} {value:g}\n"
            for name, kind, what, value in figures
        )

    async def _opened(self) -> ParserPool:
        if self._pool is not None:
            return self._pool
        from polyport_gateway.knowledge.parsing import ParseLimits, ParserPool

        async with self._lock:
            if self._closed:
                raise ServiceUnavailableError("The gateway is shutting down; try again in a moment.", retry_after=1)
            if self._pool is None:
                plan = self.plan
                limits = ParseLimits(wall_s=plan.timeout_s, cpu_s=plan.timeout_s, memory_mb=plan.memory_mb)
                pool = ParserPool(plan.workers, limits=limits)
                try:
                    await pool.start()
                except (RuntimeError, OSError) as error:
                    _log.exception("no process to read files in could be started")
                    raise ServiceUnavailableError(
                        "The gateway can't read files now; its log says why.", code="documents_unavailable"
                    ) from error
                self._pool = pool
            return self._pool

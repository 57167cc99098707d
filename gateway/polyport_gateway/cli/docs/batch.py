"""Read many files side by side, in their order, with a bar that shows how far it has come."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from polyport_gateway.cli.docs.inputs import Failure, Input
from polyport_gateway.cli.output import is_terminal
from polyport_gateway.knowledge.documents import Parsed, UnreadableDocumentError
from polyport_gateway.knowledge.parsing import ParseLimits, ParserPool
from polyport_gateway.knowledge.readers import ReadOptions

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["Batch", "Done", "ReadingBar"]


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a file: a document, or a failure."""

    input: Input
    parsed: Parsed | None = None
    failure: Failure | None = None


class ReadingBar:
    """A bar on standard error, on a terminal and for more than one file.

    Args:
        total: Files.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._failed = 0
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> ReadingBar:
        if self._total > 1 and is_terminal(sys.stderr):
            from rich import progress as columns
            from rich.console import Console

            self._bar = columns.Progress(
                columns.SpinnerColumn(),
                columns.BarColumn(),
                columns.MofNCompleteColumn(),
                columns.TimeElapsedColumn(),
                columns.TimeRemainingColumn(),
                columns.TextColumn("{task.description}", markup=False),
                console=Console(stderr=True),
                transient=True,
                # What is printed goes where it was meant to go, not through the bar's own stream.
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._bar.start()
            self._task = self._bar.add_task("", total=self._total)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def advance(self, done: Done) -> None:
        """Count a file that was read."""
        self._failed += done.failure is not None
        if self._bar is not None and self._task is not None:
            failed = f"{self._failed} failed  " if self._failed else ""
            self._bar.update(self._task, advance=1, description=f"{failed}{_short(done.input.label)}")

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the bar away while something is printed on the same screen."""
        if self._bar is None or not is_terminal():
            yield
            return
        self._bar.stop()
        try:
            yield
        finally:
            self._bar.start()


def _short(label: str) -> str:
    shown = "".join(character if character.isprintable() else "·" for character in label)
    return shown if len(shown) <= 40 else "…" + shown[-39:]


class Batch:
    """Files to read, each in a child process with limits.

    Args:
        inputs: The files.
        options: How.
        limits: For each.
        workers: Files at the same time; by the machine and the number of files where it is None.
    """

    def __init__(
        self, inputs: Sequence[Input], options: ReadOptions, limits: ParseLimits, workers: int | None = None
    ) -> None:
        self._inputs = inputs
        self._options = options
        self._pool = ParserPool(max(1, min(workers or os.cpu_count() or 1, len(inputs))), limits=limits)

    async def results(self, bar: ReadingBar) -> AsyncGenerator[Done, None]:
        """Give what comes of each file, in their order; a few are read ahead of a slow one."""
        waiting = iter(self._inputs)
        running: deque[asyncio.Task[Done]] = deque()
        async with self._pool:
            try:
                while True:
                    while len(running) < 2 * self._pool.workers and (given := next(waiting, None)) is not None:
                        running.append(asyncio.ensure_future(self._one(given, bar)))
                    if not running:
                        return
                    done = await running[0]
                    running.popleft()
                    yield done
            finally:
                for task in running:
                    task.cancel()
                await asyncio.gather(*running, return_exceptions=True)

    async def _one(self, given: Input, bar: ReadingBar) -> Done:
        done = await self._read(given)
        bar.advance(done)
        return done

    async def _read(self, given: Input) -> Done:
        try:
            data = await asyncio.to_thread(given.read, self._options.max_bytes)
            parsed = await self._pool.parse(data, given.name, self._options)
        except UnreadableDocumentError as error:
            return Done(given, failure=Failure(given.label, error.reason, error.code or "", error.page))
        except OSError as error:
            return Done(given, failure=Failure(given.label, f"{error.strerror or error}.", "not_found"))
        except ValueError as error:
            return Done(given, failure=Failure(given.label, str(error)))
        return Done(given, parsed)

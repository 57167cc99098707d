"""What `docs read` and `docs chunk` have in common: which files, how they are read, and what failed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import typer

from polyport.errors import CallError, ConfigurationError
from polyport_gateway.cli.docs.batch import Batch, ReadingBar
from polyport_gateway.cli.docs.inputs import Failure, Input, find_files
from polyport_gateway.cli.docs.show import show_failures
from polyport_gateway.cli.output import ExitCode, print_json
from polyport_gateway.knowledge.documents import Parsed
from polyport_gateway.knowledge.parsing import ParseLimits
from polyport_gateway.reading.options import read_options

__all__ = ["Refused", "Run", "Take"]

Take = Callable[[Input, Parsed], None]
"""Does something with a document."""


class Refused(Exception):  # noqa: N818 - it is told like a file that can't be read
    """A document of which nothing can be made, and why."""

    def __init__(self, reason: str, code: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


class Run:
    """Files to read.

    Args:
        files: As named on the command line.
        name: Of standard input.
        hidden: Whether hidden files of folders are read.
        workers: Files at a time.
        timeout: Seconds for each.
        memory_mb: MiB for each.
        max_mb: MiB that each may have.
        options: Of reading; None for what was not given.

    Raises:
        ConfigurationError: An option can't be used.
    """

    def __init__(
        self,
        files: Sequence[str],
        *,
        name: str | None,
        hidden: bool,
        workers: int | None,
        timeout: float,
        memory_mb: int,
        max_mb: int,
        options: Mapping[str, Any],
    ) -> None:
        try:
            self._options = read_options(**options, max_bytes=max_mb << 20)
        except CallError as error:
            raise ConfigurationError(str(error)) from error
        # What fails is told at the end; without a handler, the log's lines would stand among the documents.
        logging.getLogger("polyport").addHandler(logging.NullHandler())
        self._limits = ParseLimits(wall_s=timeout, cpu_s=timeout, memory_mb=memory_mb)
        self._workers = workers
        self._found = find_files(files, most=max_mb << 20, hidden=hidden, stdin_name=name)

    @property
    def alone(self) -> bool:
        """Whether there is one file only, so that nothing needs to say which."""
        return self._total == 1

    @property
    def _total(self) -> int:
        return len(self._found.inputs) + len(self._found.failures)

    def each(self, take: Take, *, as_json: bool) -> None:
        """Read every file and do something with each; then say which failed.

        Raises:
            typer.Exit: Any did.
        """
        for note in self._found.notes:
            typer.echo(note, err=True)
        if not self._total:
            typer.echo("there is no file to read", err=True)
        failures = list(self._found.failures)
        for failure in failures:
            _tell(failure, as_json=as_json)
        if self._found.inputs:
            asyncio.run(self._read(take, failures, as_json=as_json))
        show_failures(failures, self._total)
        if failures:
            raise typer.Exit(ExitCode.CALL_FAILED)

    async def _read(self, take: Take, failures: list[Failure], *, as_json: bool) -> None:
        inputs = self._found.inputs
        with ReadingBar(len(inputs)) as bar:
            batch = Batch(inputs, self._options, self._limits, self._workers)
            async with aclosing(batch.results(bar)) as results:
                async for done in results:
                    failure = done.failure
                    if done.parsed is not None:
                        with bar.aside():
                            failure = await asyncio.to_thread(_taken, take, done.input, done.parsed)
                    if failure is not None:
                        failures.append(failure)
                        with bar.aside():
                            _tell(failure, as_json=as_json)


def _taken(take: Take, given: Input, parsed: Parsed) -> Failure | None:
    try:
        take(given, parsed)
    except Refused as error:
        return Failure(given.label, error.reason, error.code)
    except CallError as error:
        return Failure(given.label, error.message, error.code or "")
    return None


def _tell(failure: Failure, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "file": failure.label,
                "error": {"code": failure.code, "message": failure.reason, "page": failure.page},
            }
        )

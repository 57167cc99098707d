"""A job while it runs, and what is said when it ends."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING

import typer

from polyport.events import Progress
from polyport_gateway.cli.answer import note
from polyport_gateway.cli.docs.show import fit, on_one_line
from polyport_gateway.cli.kb.display import amount, sizes, summary
from polyport_gateway.cli.output import ExitCode, is_terminal, print_json, style
from polyport_gateway.cli.progress import ProgressLine

if TYPE_CHECKING:
    from polyport.client import AsyncClient
    from polyport.types.knowledge import KnowledgeJob

__all__ = ["JobLine", "end_with", "follow"]

_EVERY_S = 5.0


class JobLine:
    """How far a job is: a bar on a terminal, a line every few seconds elsewhere; on standard error."""

    def __init__(self) -> None:
        self._line = ProgressLine()
        self._said_at = time.monotonic()
        self._job: KnowledgeJob | None = None

    def __enter__(self) -> JobLine:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._line.clear()
        if kind is asyncio.CancelledError and self._job is not None and not self._job.finished:
            # Ctrl-C ends the command; the job outlives it.
            note(f"The job {self._job.id} goes on; polyport kb jobs {self._job.id} follows it, --cancel ends it.")

    def sending(self, files: int, size: int) -> None:
        """Show that documents are on their way."""
        if files:
            self.say(f"sending {amount(files, 'file')}, {sizes(size)}")

    def say(self, message: str) -> None:
        """Show at a terminal what there is to wait for."""
        if is_terminal(sys.stderr):
            self._line.show(Progress(0, None, message))

    def show(self, job: KnowledgeJob) -> None:
        """Show how far it is."""
        self._job = job
        message = on_one_line(job.message or job.status)
        if is_terminal(sys.stderr):
            self._line.show(Progress(job.done, job.total, message))
        elif not job.finished and time.monotonic() - self._said_at >= _EVERY_S:
            self._said_at = time.monotonic()
            note(f"{job.kind}: {job.done}{'' if job.total is None else f' of {job.total}'}: {message}")


async def follow(client: AsyncClient, job: KnowledgeJob) -> KnowledgeJob:
    """Wait for a job and show how far it is; Ctrl-C leaves it to go on.

    Raises:
        CallError: It failed as a whole, or was cancelled.
    """
    with JobLine() as line:
        return await client.knowledge.wait(job, on_progress=line.show, timeout=None)


def end_with(job: KnowledgeJob, *, began: float, as_json: bool) -> None:
    """Say what came of a job.

    Raises:
        typer.Exit: It, or something of it, failed.
    """
    if as_json:
        print_json(job.model_dump(mode="json"))
    else:
        typer.echo(f"{on_one_line(job.knowledge)}: {summary(job)} in {time.monotonic() - began:.1f} s")
        if job.error:
            typer.echo(fit(job.error), err=True)
        _show_errors(job)
    if job.failed or job.status in ("failed", "cancelled"):
        raise typer.Exit(ExitCode.CALL_FAILED)


def _show_errors(job: KnowledgeJob) -> None:
    if not job.failed:
        return
    typer.echo(style(f"{job.failed:,} failed:", err=True, fg="red", bold=True), err=True)
    for error in job.errors:
        code = style(f"[{error.code}]", err=True, dim=True) if error.code else ""
        typer.echo(f"  {on_one_line(error.source)}: {fit(error.message)} {code}".rstrip(), err=True)
    if job.failed > len(job.errors):
        typer.echo(f"  and {job.failed - len(job.errors):,} more; polyport kb ls NAME --failed lists them", err=True)

"""Progress of a call, on a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from polyport.events import Progress
from polyport_gateway.cli.output import is_terminal

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

__all__ = ["ProgressLine"]


class ProgressLine:
    """A bar on standard error that is there only while there is something to report, and on a terminal."""

    def __init__(self) -> None:
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def show(self, event: Progress) -> None:
        """Show how far the call has come."""
        if not is_terminal(sys.stderr):
            return
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, SpinnerColumn, TaskProgressColumn, TextColumn
            from rich.progress import Progress as RichProgress

            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TaskProgressColumn(),
            )
            self._bar = RichProgress(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task("", total=event.total)
        if self._task is not None:
            self._bar.update(
                self._task, completed=event.progress, total=event.total, description=event.message or "working"
            )

    def clear(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

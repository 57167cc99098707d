"""What a run told so far, held to its limits on output."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Literal

from polyport_sandbox.files import name_problem
from polyport_sandbox.types import (
    CodeError,
    Display,
    DisplayEvent,
    EndEvent,
    ErrorEvent,
    Limits,
    OutputEvent,
    RunResult,
    SkippedFile,
    Status,
    Usage,
)

__all__ = ["Recorder"]


class Recorder:
    """Keeps what came of a run, makes the events of it, and puts the result together at the end.

    Args:
        limits: The run's.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._asked = self._started = time.monotonic()
        self._streams: dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
        self._truncated = {"stdout": False, "stderr": False}
        self._displays: list[Display] = []
        self._display_bytes = 0
        self._left_out = 0
        self._files: dict[str, bytes] = {}
        self._file_bytes = 0
        self._skipped: list[SkippedFile] = []
        self.error: CodeError | None = None

    @property
    def over(self) -> bool:
        """Whether more was written than may be kept."""
        return any(self._truncated.values())

    def start(self) -> None:
        """Say that the code starts now; what went before was waiting."""
        self._started = time.monotonic()

    def output(self, stream: Literal["stdout", "stderr"], data: bytes) -> OutputEvent | None:
        """Keep what was written, as far as there is room."""
        kept = self._streams[stream]
        room = self._limits.output_bytes - len(kept)
        if len(data) > room:
            self._truncated[stream] = True
            data = data[:room]
        kept += data
        return OutputEvent(stream, data) if data else None

    def display(self, display: Display) -> DisplayEvent | None:
        """Keep a rich result, unless there is no room; stderr says then that one is missing."""
        size = len(json.dumps(dict(display.data), ensure_ascii=False).encode("utf-8", "replace"))
        if len(self._displays) >= self._limits.displays or self._display_bytes + size > self._limits.display_bytes:
            self._left_out += 1
            return None
        self._display_bytes += size
        self._displays.append(display)
        return DisplayEvent("result" if display.is_result else "display", display)

    def left_out(self) -> OutputEvent | None:
        """Note on stderr that displays are missing, once, at the end."""
        if not self._left_out:
            return None
        note = f"{self._left_out} displays were left out: over limits.displays or limits.display_bytes\n"
        self._left_out = 0
        self._streams["stderr"] += note.encode()
        return OutputEvent("stderr", note.encode())

    def fail(self, error: CodeError) -> ErrorEvent:
        """Keep the exception that ended it."""
        self.error = error
        return ErrorEvent(error)

    def file(self, name: str, content: bytes) -> None:
        """Keep a file that it left, unless its name or the limits forbid it."""
        problem = name_problem(name) or self.no_room(len(content))
        if problem is not None:
            self.skip(name, problem)
            return
        self._files[name] = content
        self._file_bytes += len(content)

    def no_room(self, size: int) -> str | None:
        """Say why a file of this size can't come out any more, or None if it can."""
        if len(self._files) >= self._limits.output_files:
            return f"more than the {self._limits.output_files} files allowed by limits.output_files"
        if self._file_bytes + size > self._limits.output_file_bytes:
            return f"over the {self._limits.output_file_bytes} bytes allowed by limits.output_file_bytes"
        return None

    def skip(self, name: str, reason: str) -> None:
        """Note a file that stays behind."""
        self._skipped.append(SkippedFile(name, reason))

    def end(
        self,
        status: Status,
        exit_code: int | None = None,
        *,
        detail: str | None = None,
        usage: Mapping[str, float | None] | None = None,
    ) -> EndEvent:
        """Put the result together.

        Args:
            status: How the run ended; where it was to end well or by an error, too much output counts before that.
            exit_code: The main process's.
            detail: What is to be known besides.
            usage: Members of `Usage` that the service told.
        """
        if self.over and status in ("ok", "error", "killed"):
            status = "output_limit"
        now = time.monotonic()
        measured = {"wall_s": now - self._started, "queued_s": self._started - self._asked}
        told = {name: value for name, value in (usage or {}).items() if value is not None}
        return EndEvent(
            RunResult(
                status=status,
                exit_code=exit_code,
                stdout=bytes(self._streams["stdout"]),
                stderr=bytes(self._streams["stderr"]),
                files=dict(self._files),
                skipped_files=tuple(self._skipped),
                stdout_truncated=self._truncated["stdout"],
                stderr_truncated=self._truncated["stderr"],
                usage=Usage(**{**measured, **told}),
                detail=detail,
                displays=tuple(self._displays),
                error=self.error,
            )
        )

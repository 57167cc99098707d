"""Show a run's events as they happen, and keep what can't be shown as text."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TextIO

from polyport_sandbox.files import name_problem
from polyport_sandbox.types import (
    Display,
    DisplayEvent,
    EndEvent,
    ErrorEvent,
    OutputEvent,
    RunEvent,
    RunResult,
)

from .clean import Cleaner

__all__ = ["Screen"]

TAIL = 8192


class Screen:
    """Writes to standard output and standard error: byte for byte in a pipe, made harmless on a terminal.

    Args:
        folder: Where pictures and files are kept; they are only named where it is None.
        out: Standard output.
        err: Standard error.
    """

    def __init__(self, folder: Path | None = None, *, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self._folder = folder
        self._streams = {"stdout": out or sys.stdout, "stderr": err or sys.stderr}
        self._cleaners = {name: Cleaner() for name, stream in self._streams.items() if stream.isatty()}
        self._at_start = True
        self._stderr_tail = b""
        self._pictures = 0

    def show(self, event: RunEvent) -> None:
        """Show one event."""
        match event:
            case OutputEvent():
                self._write(event.type, event.data)
                if event.type == "stderr":
                    self._stderr_tail = (self._stderr_tail + event.data)[-TAIL:]
            case DisplayEvent():
                self._display(event.display)
            case ErrorEvent():
                self._error(event)
            case EndEvent():
                self._end(event.result)

    def note(self, text: str) -> None:
        """Say something of our own, on standard error."""
        self._write("stderr", f"{text}\n".encode(), own_line=True)

    def say(self, text: str) -> None:
        """Say something of our own, on standard output."""
        self._write("stdout", f"{text}\n".encode())

    def begin(self) -> None:
        """See that what follows begins a line."""
        if not self._at_start:
            self._write("stdout", b"\n")
        self._stderr_tail = b""

    def _write(self, stream: str, data: bytes, *, last: bool = False, own_line: bool = False) -> None:
        target = self._streams[stream]
        if own_line and not self._at_start and target.isatty():
            target.write("\n")
        cleaner = self._cleaners.get(stream)
        if cleaner is not None:
            target.write(cleaner.feed(data, last=last))
        else:
            target.flush()
            binary = getattr(target, "buffer", None)
            if binary is not None:
                binary.write(data)
            else:
                target.write(data.decode(errors="replace"))
        target.flush()
        if data:
            self._at_start = data.endswith(b"\n")

    def _display(self, display: Display) -> None:
        if (picture := display.png) is not None:
            self._keep_picture(picture, "png")
        elif display.svg is not None:
            self._keep_picture(display.svg.encode(), "svg")
        elif display.text is not None:
            self._write("stdout", f"{display.text}\n".encode())
        elif display.json is not None:
            self._write("stdout", f"{json.dumps(display.json, ensure_ascii=False)}\n".encode())
        else:
            self.note(f"(a display of {', '.join(sorted(display.data))})")
        if self._folder is not None and display.html is not None:
            self._keep_picture(display.html.encode(), "html")

    def _keep_picture(self, data: bytes, kind: str) -> None:
        if self._folder is None:
            self.note(f"({kind.upper()} of {len(data)} bytes; --out FOLDER keeps it)")
            return
        self._pictures += 1
        path = self._folder / f"display-{self._pictures}.{kind}"
        self._keep(path, data)

    def _error(self, event: ErrorEvent) -> None:
        # A program that ended with a traceback has written it to stderr itself; a kernel only tells of it.
        traceback = event.error.traceback.rstrip() or f"{event.error.name}: {event.error.value}"
        if traceback.splitlines()[-1].encode() not in self._stderr_tail:
            self._write("stderr", f"{traceback}\n".encode(), own_line=True)

    def _end(self, result: RunResult) -> None:
        for stream in self._cleaners:
            self._write(stream, b"", last=True)
        if result.status not in ("ok", "error"):
            self.note(f"{result.status}: {_explained(result)}")
        elif result.detail:
            self.note(result.detail)
        for name, data in result.files.items():
            self._file(name, data)
        for skipped in result.skipped_files:
            self.note(f"(left out: {_one_line(skipped.name)}: {skipped.reason})")

    def _file(self, name: str, data: bytes) -> None:
        # A name comes from where the code ran.
        if problem := name_problem(name):
            self.note(f"(left out: {_one_line(name)}: {problem})")
        elif self._folder is None:
            self.note(f"(file {_one_line(name)} of {len(data)} bytes; --out FOLDER keeps it)")
        else:
            self._keep(self._folder / name, data)

    def _keep(self, path: Path, data: bytes) -> None:
        if any(up.is_symlink() for up in (path, *path.parents) if self._folder in up.parents):
            self.note(f"(left out: {path}: a link is in its place)")
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.note(f"saved {path} ({len(data)} bytes)")


def _explained(result: RunResult) -> str:
    seconds = f"{result.usage.wall_s:.1f} s"
    said = {
        "timeout": f"it was still running after {seconds}",
        "out_of_memory": "the kernel ended it for memory",
        "output_limit": "it wrote more than is kept",
        "killed": "a signal ended it",
        "sandbox_error": "the sandbox failed; nothing is known about the code",
    }[result.status]
    return result.detail or said


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "\ufffd" for character in text)[:200]

"""Run one program from the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from polyport_sandbox.errors import InvalidRunError
from polyport_sandbox.sync import SyncSandbox
from polyport_sandbox.types import EndEvent, Limits, RunResult
from polyport_sandbox.wire_format import result_to_json

from .screen import Screen

__all__ = ["EXIT_STATUS", "Program", "exit_status", "guess_language", "read_files", "run_program"]

_LANGUAGES = {".py": "python", ".sh": "bash", ".bash": "bash", ".js": "javascript", ".mjs": "javascript"}

# As `timeout`, `docker run` and shells have it; a program's own status is passed on as it is.
EXIT_STATUS: Mapping[str, int] = {
    "ok": 0,
    "error": 1,
    "timeout": 124,
    "sandbox_error": 125,
    "output_limit": 126,
    "killed": 137,
    "out_of_memory": 137,
}


@dataclass(frozen=True)
class Program:
    """What to run.

    Args:
        code: The program.
        language: What it is written in.
        files: Put into its working folder.
        stdin: What it can read.
        limits: What it may use.
        allow_hosts: Hosts it may reach.
    """

    code: bytes
    language: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    stdin: bytes = b""
    limits: Limits = field(default_factory=Limits)
    allow_hosts: tuple[str, ...] = ()


def run_program(box: SyncSandbox, program: Program, *, out: Path | None = None, as_json: bool = False) -> int:
    """Run it, showing what it does as it does it (or the whole result as JSON); return the exit status."""
    screen = Screen(out)
    events = box.stream(
        program.code,
        language=program.language,
        files=program.files,
        stdin=program.stdin,
        limits=program.limits,
        allow_hosts=program.allow_hosts,
    )
    result = None
    with closing(events):
        for event in events:
            if not as_json:
                screen.show(event)
            if isinstance(event, EndEvent):
                result = event.result
    if result is None:  # a provider against its contract
        return EXIT_STATUS["sandbox_error"]
    if as_json:
        sys.stdout.write(json.dumps(result_to_json(result), ensure_ascii=False) + "\n")
    return exit_status(result)


def exit_status(result: RunResult) -> int:
    """The exit status that tells how a run ended."""
    if result.status == "error" and result.exit_code is not None and 0 < result.exit_code < 256:
        return result.exit_code
    if result.status == "killed" and result.exit_code is not None and -128 < result.exit_code < 0:
        return 128 - result.exit_code
    return EXIT_STATUS[result.status]


def guess_language(name: str) -> str:
    """The language by a file's ending; Python where it has none.

    Raises:
        InvalidRunError: If it has one that says nothing.
    """
    ending = Path(name).suffix.lower()
    if ending and ending not in _LANGUAGES:
        known = ", ".join(sorted(_LANGUAGES))
        raise InvalidRunError(
            f"{name}: the ending {ending!r} doesn't say what it is in (known: {known}); name it with --language",
            param="language",
        )
    return _LANGUAGES.get(ending, "python")


def read_files(words: Sequence[str]) -> dict[str, bytes]:
    """Read files given as ``name=path``, or as a path alone, whose last part is then the name.

    Raises:
        InvalidRunError: If one can't be read.
    """
    files: dict[str, bytes] = {}
    for word in words:
        name, separator, path = word.partition("=")
        if not separator:
            name, path = Path(word).name, word
        if name in files:
            raise InvalidRunError(f"two files are called {name!r}", param="files")
        files[name] = read_file(path)
    return files


def read_file(path: str) -> bytes:
    """Read a file, or standard input for ``-``.

    Raises:
        InvalidRunError: If it can't be read.
    """
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise InvalidRunError(f"{path} can't be read: {error.strerror}", param="files") from error

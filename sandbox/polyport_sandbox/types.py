"""What goes into a run and what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal

from .errors import InvalidRunError

__all__ = ["LANGUAGES", "Language", "Limits", "RunRequest", "RunResult", "SkippedFile", "Status", "Usage"]

Status = Literal["ok", "error", "timeout", "out_of_memory", "output_limit", "killed", "sandbox_error"]
"""How a run ended, exactly one of:

=================  ==============================================================================
``ok``             the code ended by itself with exit code 0
``error``          it ended by itself with another exit code
``timeout``        it was still running after ``Limits.wall_s`` and was killed
``out_of_memory``  the kernel killed it, or a part of it that it could not do without, for memory
``output_limit``   it wrote more than ``Limits.output_bytes`` to stdout or to stderr and was killed
``killed``         a signal that was not ours ended it: its own, or a crash such as a segmentation fault
``sandbox_error``  Docker or the container failed; nothing is known about the code
=================  ==============================================================================
"""

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What one run may use.

    Args:
        wall_s: Seconds from start to end.
        memory_mb: MiB for all its processes, shared memory and files together; there is no swap beyond it.
        cpus: Processors' worth of time, 0.5 being half of one.
        pids: Processes and threads at once.
        output_bytes: Bytes kept of stdout, and as many of stderr.
        input_files: Files going in.
        input_bytes: Their bytes, the code's and stdin's together.
        output_files: Files coming out.
        output_file_bytes: Their bytes together.
    """

    wall_s: float = 10.0
    memory_mb: int = 256
    cpus: float = 1.0
    pids: int = 64
    output_bytes: int = MEBIBYTE
    input_files: int = 64
    input_bytes: int = 16 * MEBIBYTE
    output_files: int = 64
    output_file_bytes: int = 16 * MEBIBYTE

    def __post_init__(self) -> None:
        for item in fields(self):
            low, high = _RANGES[item.name]
            value = getattr(self, item.name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if number and not isinstance(item.default, float) and not isinstance(value, int):
                number = False
            if not number or not low <= value <= high:
                kind = "a number" if isinstance(item.default, float) else "a whole number"
                raise InvalidRunError(
                    f"limits.{item.name} is {value!r}; it must be {kind} from {low} to {high}", param=item.name
                )


_RANGES: dict[str, tuple[float, float]] = {
    "wall_s": (0.05, 3600),
    "memory_mb": (32, 65536),
    "cpus": (0.05, 64),
    "pids": (4, 4096),
    "output_bytes": (0, 64 * MEBIBYTE),
    "input_files": (0, 4096),
    "input_bytes": (0, 32 * MEBIBYTE),
    "output_files": (0, 4096),
    "output_file_bytes": (0, 64 * MEBIBYTE),
}


@dataclass(frozen=True)
class Language:
    """How one language is run: its code becomes the file `filename`, and `command` starts it.

    Args:
        name: What `run` calls it.
        filename: The code's file in the working folder.
        command: Program and arguments, started in the working folder.
        image: The image that has the program and ``python3`` for the supervisor; the sandbox's own when None.
    """

    name: str
    filename: str
    command: tuple[str, ...]
    image: str | None = None


LANGUAGES: Mapping[str, Language] = {
    # -u: what was printed before a kill is not lost in a buffer.
    "python": Language("python", "main.py", ("python3", "-u", "main.py")),
    "bash": Language("bash", "main.sh", ("bash", "main.sh")),
}


@dataclass(frozen=True)
class RunRequest:
    """One checked run, as a provider gets it."""

    code: bytes
    language: Language
    files: Mapping[str, bytes] = field(default_factory=dict)
    stdin: bytes = b""
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Usage:
    """What a run took.

    Args:
        cpu_s: Processor seconds of all its processes.
        peak_memory_mb: MiB at the highest, the container's own few included; None where the kernel doesn't say.
        wall_s: Seconds from its start to its end.
        queued_s: Seconds it waited for its turn and for a container.
    """

    cpu_s: float = 0.0
    peak_memory_mb: float | None = None
    wall_s: float = 0.0
    queued_s: float = 0.0


@dataclass(frozen=True)
class SkippedFile:
    """A file the run left that did not come out, and why: a link, a device, over a limit."""

    name: str
    reason: str


@dataclass(frozen=True)
class RunResult:
    """What came of a run.

    Args:
        status: How it ended.
        exit_code: The main process's; minus the signal's number where one ended it; None where it is not known.
        stdout: Bytes exactly as written; `stdout_text` decodes them.
        stderr: The same for stderr.
        files: New and changed regular files of the working folder.
        skipped_files: What else it left there.
        stdout_truncated: Whether more was written than was kept.
        stderr_truncated: The same for stderr.
        usage: What it took.
        detail: For ``sandbox_error``, what failed.
    """

    status: Status
    exit_code: int | None = None
    stdout: bytes = b""
    stderr: bytes = b""
    files: Mapping[str, bytes] = field(default_factory=dict)
    skipped_files: tuple[SkippedFile, ...] = ()
    stdout_truncated: bool = False
    stderr_truncated: bool = False
    usage: Usage = field(default_factory=Usage)
    detail: str | None = None

    @property
    def stdout_text(self) -> str:
        """Stdout as text; bytes that are not UTF-8 become U+FFFD."""
        return self.stdout.decode("utf-8", "replace")

    @property
    def stderr_text(self) -> str:
        """Stderr as text; bytes that are not UTF-8 become U+FFFD."""
        return self.stderr.decode("utf-8", "replace")

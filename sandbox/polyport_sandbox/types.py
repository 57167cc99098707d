"""What goes into a run and what comes out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from .errors import InvalidRunError

__all__ = [
    "LANGUAGES",
    "CodeError",
    "Display",
    "DisplayEvent",
    "EndEvent",
    "ErrorEvent",
    "FileInfo",
    "Language",
    "Limits",
    "OutputEvent",
    "RunEvent",
    "RunRequest",
    "RunResult",
    "SessionRequest",
    "SkippedFile",
    "Status",
    "ToolDescription",
    "ToolHost",
    "Usage",
]

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
        displays: Rich results; what is over it is left out, with a note on stderr.
        display_bytes: Their bytes together.
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
    displays: int = 64
    display_bytes: int = 16 * MEBIBYTE

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
    "displays": (0, 1024),
    "display_bytes": (0, 64 * MEBIBYTE),
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
    "javascript": Language("javascript", "main.js", ("node", "main.js")),
    "bash": Language("bash", "main.sh", ("bash", "main.sh")),
}


@dataclass(frozen=True)
class ToolDescription:
    """A tool that sandboxed Python sees as a plain function.

    Args:
        name: Its name, and the function's.
        description: The function's docstring.
        input: JSON schema of its arguments, an object.
    """

    name: str
    description: str
    input: Mapping[str, Any]


@runtime_checkable
class ToolHost(Protocol):
    """The host's end of code mode: what the code may call, and how a call is made.

    Calls go one way, from the sandbox to the host; the host never calls into the sandbox.
    """

    def describe(self) -> Sequence[ToolDescription]:
        """The tools there are, asked once at the start."""
        ...

    async def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Call one and return its JSON result.

        Raises:
            PolyportError: Its message, and only that, becomes a ``ToolError`` in the sandbox.
        """
        ...


@dataclass(frozen=True)
class RunRequest:
    """One checked run, as a provider gets it.

    Args:
        code: The program.
        language: What it is written in.
        files: Put into the working folder, by relative name.
        stdin: What it can read from its standard input.
        limits: What it may use. In a session only `wall_s` and those on output count; the rest are the session's.
        allow_hosts: Hosts it may reach through the proxy: ``"example.org"``, ``"*.example.org"``, ``"example.org:81"``
            (443 and 80 where no port is named). Nothing else can be reached; with none there is no network at all.
            In a session these are the session's.
        tools: What it may call on the host. In a session these are the session's.
        context: In a session, which of its kernels runs this; each has variables of its own.
    """

    code: bytes
    language: Language
    files: Mapping[str, bytes] = field(default_factory=dict)
    stdin: bytes = b""
    limits: Limits = field(default_factory=Limits)
    allow_hosts: tuple[str, ...] = ()
    tools: ToolHost | None = None
    context: str = "default"


@dataclass(frozen=True)
class SessionRequest:
    """One checked session, as a provider gets it.

    Args:
        limits: What it may use; `wall_s` is a cell's, where a cell names none.
        files: Put into its working folder at the start.
        allow_hosts: As in `RunRequest`.
        tools: As in `RunRequest`.
        lifetime_s: Seconds after which a hosted provider may end it by itself.
    """

    limits: Limits = field(default_factory=Limits)
    files: Mapping[str, bytes] = field(default_factory=dict)
    allow_hosts: tuple[str, ...] = ()
    tools: ToolHost | None = None
    lifetime_s: float = 3600.0


@dataclass(frozen=True)
class FileInfo:
    """A file or folder of a session.

    Args:
        name: Relative to the working folder, with ``/`` between parts.
        size: Bytes; 0 for a folder.
        modified: Seconds since the epoch.
        is_folder: Whether it is a folder.
    """

    name: str
    size: int
    modified: float
    is_folder: bool = False


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
class Display:
    """One rich result, in as many forms as it has, as a notebook keeps it.

    Args:
        data: By MIME type: text as it is, ``application/json`` as a value, binary (``image/png`` …) in base64.
        metadata: By MIME type, what the object said about it.
        is_result: Whether it is the value of the last expression rather than something displayed.
    """

    data: Mapping[str, Any]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    is_result: bool = False

    @property
    def text(self) -> str | None:
        """Its plain text."""
        value = self.data.get("text/plain")
        return None if value is None else str(value)

    @property
    def html(self) -> str | None:
        """Its HTML; it comes from untrusted code."""
        value = self.data.get("text/html")
        return None if value is None else str(value)

    @property
    def svg(self) -> str | None:
        """Its SVG; it comes from untrusted code."""
        value = self.data.get("image/svg+xml")
        return None if value is None else str(value)

    @property
    def png(self) -> bytes | None:
        """Its PNG, decoded."""
        try:
            value = self.data.get("image/png")
            return None if value is None else base64.b64decode(value)
        except (binascii.Error, TypeError, ValueError):
            return None

    @property
    def json(self) -> Any:
        """Its JSON value."""
        return self.data.get("application/json")


@dataclass(frozen=True)
class CodeError:
    """An exception that the code did not catch.

    Args:
        name: The exception's class, such as ``ZeroDivisionError``.
        value: Its message.
        traceback: As the language prints it, without our own frames.
    """

    name: str
    value: str
    traceback: str


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
        detail: For ``sandbox_error``, what failed; for a session, whether its kernel had to be started anew.
        displays: Rich results in their order, the last expression's value among them.
        error: The exception that ended it, where the language has such and told.
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
    displays: tuple[Display, ...] = ()
    error: CodeError | None = None

    @property
    def stdout_text(self) -> str:
        """Stdout as text; bytes that are not UTF-8 become U+FFFD."""
        return self.stdout.decode("utf-8", "replace")

    @property
    def stderr_text(self) -> str:
        """Stderr as text; bytes that are not UTF-8 become U+FFFD."""
        return self.stderr.decode("utf-8", "replace")


@dataclass(frozen=True)
class OutputEvent:
    """Bytes that the code wrote, as they came; a character may be cut in two between events."""

    type: Literal["stdout", "stderr"]
    data: bytes


@dataclass(frozen=True)
class DisplayEvent:
    """A rich result; ``result`` is the last expression's value."""

    type: Literal["display", "result"]
    display: Display


@dataclass(frozen=True)
class ErrorEvent:
    """An exception that the code did not catch."""

    error: CodeError
    type: Literal["error"] = "error"


@dataclass(frozen=True)
class EndEvent:
    """The end, always the last and always there; its result holds all that the events before it told, once more."""

    result: RunResult
    type: Literal["end"] = "end"


RunEvent: TypeAlias = OutputEvent | DisplayEvent | ErrorEvent | EndEvent

"""The sandbox: runs, sessions and files, as REST has them, and what the tool `run_code` gives."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Literal, TypeAlias

from pydantic import Field

from polyport.types.base import RequestModel, WireModel

__all__ = [
    "CodeDisplay",
    "CodeFailure",
    "CodeLimits",
    "CodeOutcome",
    "CodeResult",
    "CodeStatus",
    "CodeUsage",
    "OutcomeDisplay",
    "OutcomeFile",
    "RunCodeRequest",
    "SandboxDeleted",
    "SandboxFile",
    "SandboxFileContent",
    "SandboxFileList",
    "SandboxInterrupted",
    "SandboxRestart",
    "SandboxRestarted",
    "SandboxSession",
    "SandboxSessionList",
    "SandboxSessionRequest",
    "SkippedCodeFile",
]

CodeStatus: TypeAlias = Literal["ok", "error", "timeout", "out_of_memory", "output_limit", "killed", "sandbox_error"]
"""How a run ended: ``ok`` (exit code 0), ``error`` (another), ``timeout``, ``out_of_memory``, ``output_limit``,
``killed`` (by a signal), ``sandbox_error`` (the sandbox failed; nothing is known about the code)."""


class CodeLimits(RequestModel):
    """What a run may use; the gateway's own where left out."""

    wall_s: float | None = Field(default=None, description="Seconds from start to end.")
    memory_mb: int | None = Field(default=None, description="MiB for processes and files together.")
    cpus: float | None = Field(default=None, description="Processors' worth of time.")
    pids: int | None = Field(default=None, description="Processes and threads at once.")
    output_bytes: int | None = Field(default=None, description="Bytes kept of stdout, and as many of stderr.")
    input_files: int | None = Field(default=None, description="Files going in.")
    input_bytes: int | None = Field(default=None, description="Their bytes, the code's and stdin's together.")
    output_files: int | None = Field(default=None, description="Files coming out.")
    output_file_bytes: int | None = Field(default=None, description="Their bytes together.")
    displays: int | None = Field(default=None, description="Rich results.")
    display_bytes: int | None = Field(default=None, description="Their bytes together.")


class RunCodeRequest(RequestModel):
    """The body of ``POST /v1/sandbox/run`` and of a session's ``…/run``."""

    code: str | None = Field(default=None, description="The program.")
    code_base64: str | None = Field(default=None, description="The program, where it is not text.")
    language: str = "python"
    files: dict[str, str] = Field(default_factory=dict, description="Base64 by relative name.")
    stdin: str | None = Field(default=None, description="Base64.")
    limits: CodeLimits | None = None
    allow_hosts: list[str] = Field(default_factory=list, description="Hosts to reach; not in a session.")
    context: str | None = Field(default=None, description="In a session: which of its kernels.")
    stream: bool = Field(default=False, description="Whether to answer with server-sent events.")


class SandboxSessionRequest(RequestModel):
    """The body of ``POST /v1/sandbox/sessions``."""

    limits: CodeLimits | None = None
    files: dict[str, str] = Field(default_factory=dict, description="Base64 by relative name.")
    allow_hosts: list[str] = Field(default_factory=list)
    idle_s: float | None = Field(default=None, description="Seconds without use after which it ends.")
    lifetime_s: float | None = Field(default=None, description="Seconds after which it ends.")
    name: str | None = None


class CodeFailure(WireModel):
    """An exception that the code did not catch."""

    name: str = Field(description="Its class, such as ZeroDivisionError.")
    value: str = Field(description="Its message.")
    traceback: str = ""


class CodeUsage(WireModel):
    """What a run took."""

    cpu_s: float = 0.0
    peak_memory_mb: float | None = None
    wall_s: float = 0.0
    queued_s: float = 0.0


class SkippedCodeFile(WireModel):
    """A file that the run left and that did not come out, and why."""

    name: str
    reason: str


class CodeDisplay(WireModel):
    """One rich result, in as many forms as it has, by MIME type; binary ones are base64.

    What is HTML or SVG comes from untrusted code.
    """

    data: dict[str, Any] = Field(default_factory=dict)
    metadata: dict[str, Any] = Field(default_factory=dict)
    is_result: bool = False

    @property
    def text(self) -> str | None:
        """Its plain text."""
        value = self.data.get("text/plain")
        return None if value is None else str(value)

    @property
    def png(self) -> bytes | None:
        """Its PNG, decoded."""
        return _bytes(self.data.get("image/png"))


class CodeResult(WireModel):
    """What came of a run."""

    status: CodeStatus
    exit_code: int | None = None
    stdout: str = ""
    stdout_base64: str = ""
    stdout_truncated: bool = False
    stderr: str = ""
    stderr_base64: str = ""
    stderr_truncated: bool = False
    files: dict[str, str] = Field(default_factory=dict, description="Base64 by relative name.")
    skipped_files: list[SkippedCodeFile] = Field(default_factory=list)
    displays: list[CodeDisplay] = Field(default_factory=list)
    error: CodeFailure | None = None
    usage: CodeUsage = Field(default_factory=CodeUsage)
    detail: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the code ended by itself with exit code 0."""
        return self.status == "ok"

    @property
    def stdout_bytes(self) -> bytes:
        """Stdout exactly as written."""
        return base64.b64decode(self.stdout_base64)

    @property
    def stderr_bytes(self) -> bytes:
        """Stderr exactly as written."""
        return base64.b64decode(self.stderr_base64)

    @property
    def result(self) -> str | None:
        """The last expression's value, as text."""
        return next((display.text for display in reversed(self.displays) if display.is_result), None)

    def file(self, name: str) -> bytes:
        """Return the content of a file that the run left.

        Raises:
            KeyError: It left none of that name.
        """
        return base64.b64decode(self.files[name])


class SandboxSession(WireModel):
    """A session, as the gateway describes it; times are seconds since the epoch."""

    id: str
    object: Literal["sandbox.session"] = "sandbox.session"
    name: str | None = None
    created_at: float
    last_active_at: float
    expires_at: float
    idle_s: float
    limits: dict[str, Any] = Field(default_factory=dict)
    closed: bool = False


class SandboxSessionList(WireModel):
    """The answer of ``GET /v1/sandbox/sessions``."""

    object: Literal["list"] = "list"
    data: list[SandboxSession]


class SandboxInterrupted(WireModel):
    """Whether there was something to interrupt."""

    interrupted: bool


class SandboxRestart(RequestModel):
    """The body of ``POST /v1/sandbox/sessions/{id}/restart``, which may be left out."""

    context: str | None = Field(default=None, description="Which kernel; all of them when left out.")


class SandboxRestarted(WireModel):
    """What says that kernels were started anew."""

    restarted: bool = True


class SandboxFile(WireModel):
    """A file or folder of a session."""

    name: str
    size: int
    modified: float = 0.0
    is_folder: bool = False


class SandboxFileList(WireModel):
    """The answer of ``GET /v1/sandbox/sessions/{id}/files``."""

    object: Literal["list"] = "list"
    data: list[SandboxFile]


class SandboxFileContent(WireModel):
    """A file of a session with its content: as text where it is UTF-8, in base64 otherwise."""

    name: str
    size: int
    text: str | None = None
    base64: str | None = None


class SandboxDeleted(WireModel):
    """What says that something is gone; `id` is a session's, or a file's name."""

    id: str
    object: Literal["sandbox.session.deleted", "sandbox.file.deleted"]
    deleted: bool = True


class OutcomeFile(WireModel):
    """A file that code left, as a tool tells of it."""

    name: str
    size: int = Field(description="Bytes.")
    text: str | None = Field(default=None, description="Its content, where it is short text.")


class OutcomeDisplay(WireModel):
    """A rich result, as a tool tells of it: pictures come as content beside it."""

    types: list[str] = Field(description="MIME types it has.")
    text: str | None = None


class CodeOutcome(WireModel):
    """What the tool `run_code` gives: as `CodeResult`, without the bytes."""

    status: CodeStatus = Field(description="How the run ended.")
    exit_code: int | None = Field(default=None, description="The main process's.")
    stdout: str = ""
    stderr: str = ""
    result: str | None = Field(default=None, description="The value of the last expression, as text.")
    error: CodeFailure | None = Field(default=None, description="The exception that ended it.")
    displays: list[OutcomeDisplay] = Field(default_factory=list)
    files: list[OutcomeFile] = Field(default_factory=list, description="New and changed files of the working folder.")
    skipped_files: list[SkippedCodeFile] = Field(default_factory=list)
    truncated: bool = Field(default=False, description="Whether more was written than is shown.")
    usage: CodeUsage = Field(default_factory=CodeUsage)
    session: str | None = Field(default=None, description="The session it ran in.")
    detail: str | None = None


def _bytes(value: Any) -> bytes | None:
    try:
        return None if value is None else base64.b64decode(value)
    except (binascii.Error, TypeError, ValueError):
        return None

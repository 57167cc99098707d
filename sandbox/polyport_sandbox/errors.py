"""What the sandbox raises, within the SDK's tree.

::

    CallError
    └── SandboxError                    500 sandbox_error: Docker or the container failed
        ├── InvalidRunError             400 invalid_run: refused before anything started
        ├── SandboxBusyError            503 sandbox_busy: the queue is full, or there are too many sessions
        ├── SandboxFileNotFoundError    404 file_not_found: a session has no such file
        ├── SessionNotFoundError        404 session_not_found: never there, expired, closed, or somebody else's
        │   └── SessionClosedError      404 session_closed: it ended while it was used
        └── SandboxUnavailableError     503 sandbox_unavailable: no Docker, no image …; carries what mends it

What the *code* does wrong raises nothing: it is the `status` of a result.
"""

from __future__ import annotations

from polyport.errors import CallError, InvalidArgumentsError, NotFoundError, ServiceUnavailableError

__all__ = [
    "InvalidRunError",
    "SandboxBusyError",
    "SandboxError",
    "SandboxFileNotFoundError",
    "SandboxUnavailableError",
    "SessionClosedError",
    "SessionNotFoundError",
]


class SandboxError(CallError):
    """The sandbox itself failed."""

    code = "sandbox_error"


class InvalidRunError(SandboxError, InvalidArgumentsError):
    """An unknown language, limits out of range, files too many, too large or badly named."""

    code = "invalid_run"


class SandboxBusyError(SandboxError, ServiceUnavailableError):
    """Too many runs are waiting; `retry_after` says when to try again."""

    code = "sandbox_busy"


class SandboxFileNotFoundError(SandboxError, NotFoundError):
    """A session has no regular file of this name."""

    code = "file_not_found"


class SessionNotFoundError(SandboxError, NotFoundError):
    """There is no such session for this caller."""

    code = "session_not_found"


class SessionClosedError(SessionNotFoundError):
    """The session has ended: closed, expired, or lost with its container."""

    code = "session_closed"


class SandboxUnavailableError(SandboxError, ServiceUnavailableError):
    """Nothing can run here yet.

    Args:
        message: What is missing.
        mend: The command or setting that mends it.
    """

    code = "sandbox_unavailable"

    def __init__(self, message: str, *, mend: str = "polyport_sandbox doctor") -> None:
        super().__init__(f"{message} To mend it: {mend}")
        self.mend = mend

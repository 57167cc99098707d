"""What the sandbox raises, within the SDK's tree.

::

    CallError
    └── SandboxError                    500 sandbox_error: Docker or the container failed
        ├── InvalidRunError             400 invalid_run: refused before anything started
        ├── SandboxBusyError            503 sandbox_busy: the queue is full
        └── SandboxUnavailableError     503 sandbox_unavailable: no Docker, no image …; carries what mends it

What the *code* does wrong raises nothing: it is the `status` of a result.
"""

from __future__ import annotations

from polyport.errors import CallError, InvalidArgumentsError, ServiceUnavailableError

__all__ = ["InvalidRunError", "SandboxBusyError", "SandboxError", "SandboxUnavailableError"]


class SandboxError(CallError):
    """The sandbox itself failed."""

    code = "sandbox_error"


class InvalidRunError(SandboxError, InvalidArgumentsError):
    """An unknown language, limits out of range, files too many, too large or badly named."""

    code = "invalid_run"


class SandboxBusyError(SandboxError, ServiceUnavailableError):
    """Too many runs are waiting; `retry_after` says when to try again."""

    code = "sandbox_busy"


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

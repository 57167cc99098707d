"""The Polyport mini sandbox: code goes in, results come out, nothing else does.

::

    async with Sandbox() as box:
        result = await box.run("print(6*7)", language="python", limits=Limits(wall_s=5, memory_mb=256))
        result.status, result.exit_code, result.stdout, result.stderr, result.files, result.usage
"""

from __future__ import annotations

from .base import Provider, load_provider
from .errors import InvalidRunError, SandboxBusyError, SandboxError, SandboxUnavailableError
from .sandbox import Sandbox, SyncSandbox
from .types import LANGUAGES, Language, Limits, RunRequest, RunResult, SkippedFile, Status, Usage

__all__ = [
    "LANGUAGES",
    "InvalidRunError",
    "Language",
    "Limits",
    "Provider",
    "RunRequest",
    "RunResult",
    "Sandbox",
    "SandboxBusyError",
    "SandboxError",
    "SandboxUnavailableError",
    "SkippedFile",
    "Status",
    "SyncSandbox",
    "Usage",
    "load_provider",
]

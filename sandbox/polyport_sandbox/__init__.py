"""The Polyport mini sandbox: code goes in, results come out, nothing else does.

::

    async with Sandbox() as box:
        result = await box.run("print(6*7)", language="python", limits=Limits(wall_s=5, memory_mb=256))
        result.status, result.exit_code, result.stdout, result.stderr, result.files, result.usage
"""

from __future__ import annotations

from .base import Channel, Provider, ProviderSession, load_provider
from .errors import (
    InvalidRunError,
    SandboxBusyError,
    SandboxError,
    SandboxFileNotFoundError,
    SandboxUnavailableError,
    SessionClosedError,
    SessionNotFoundError,
)
from .metrics import Histogram, Snapshot
from .sandbox import Sandbox
from .session import Session, SessionOpening
from .sync import SyncSandbox, SyncSession
from .toolbox import ToolLimits
from .types import (
    LANGUAGES,
    CodeError,
    Display,
    DisplayEvent,
    EndEvent,
    ErrorEvent,
    FileInfo,
    Language,
    Limits,
    OutputEvent,
    RunEvent,
    RunRequest,
    RunResult,
    SessionRequest,
    SkippedFile,
    Status,
    ToolDescription,
    ToolHost,
    Usage,
)

__all__ = [
    "LANGUAGES",
    "Channel",
    "CodeError",
    "Display",
    "DisplayEvent",
    "EndEvent",
    "ErrorEvent",
    "FileInfo",
    "Histogram",
    "InvalidRunError",
    "Language",
    "Limits",
    "OutputEvent",
    "Provider",
    "ProviderSession",
    "RunEvent",
    "RunRequest",
    "RunResult",
    "Sandbox",
    "SandboxBusyError",
    "SandboxError",
    "SandboxFileNotFoundError",
    "SandboxUnavailableError",
    "Session",
    "SessionClosedError",
    "SessionNotFoundError",
    "SessionOpening",
    "SessionRequest",
    "SkippedFile",
    "Snapshot",
    "Status",
    "SyncSandbox",
    "SyncSession",
    "ToolDescription",
    "ToolHost",
    "ToolLimits",
    "Usage",
    "load_provider",
]

"""What the app declared of its documents, and what the operator's settings make of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polyport.declarations import DocumentsDeclaration
from polyport.errors import ConfigurationError
from polyport_gateway.settings import Settings

__all__ = ["DocumentsPlan", "make_plan"]

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class DocumentsPlan:
    """How files are read for callers.

    Attributes:
        tools: Whether tools are shown to callers.
        folders: Folders whose files they may name by their paths.
        workers: Files read at a time.
        timeout_s: Seconds that a file may take.
        memory_mb: MiB that it may take.
        max_bytes: Bytes that it may have.
        max_waiting: Files that may wait for their turn.
    """

    tools: bool = True
    folders: tuple[Path, ...] = field(default=())
    workers: int = 2
    timeout_s: float = 120.0
    memory_mb: int = 2048
    max_bytes: int = 64 * _MIB
    max_waiting: int = 32


def make_plan(declared: DocumentsDeclaration | None, settings: Settings) -> DocumentsPlan | None:
    """Lay the settings over the declaration; None where callers are to have nothing read.

    A setting that was given wins; what neither says is the setting's default.

    Raises:
        ConfigurationError: A folder isn't there.
    """
    if settings.documents is False or (settings.documents is None and declared is None):
        return None
    found = declared or DocumentsDeclaration()
    return DocumentsPlan(
        tools=_chosen(settings, "documents_tools", found.tools),
        folders=tuple(_folder(name) for name in _chosen(settings, "documents_folders", found.folders)),
        workers=_chosen(settings, "documents_workers", found.workers),
        timeout_s=_chosen(settings, "documents_timeout_s", found.timeout_s),
        memory_mb=_chosen(settings, "documents_memory_mb", found.memory_mb),
        max_bytes=_chosen(settings, "documents_max_bytes", found.max_bytes),
        max_waiting=settings.documents_max_waiting,
    )


def _chosen(settings: Settings, name: str, declared: Any) -> Any:
    if declared is None or name in settings.model_fields_set:
        return getattr(settings, name)
    return declared


def _folder(name: str) -> Path:
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise ConfigurationError(f"documents_folders names {name!r}, and that is no folder")
    return folder.resolve()

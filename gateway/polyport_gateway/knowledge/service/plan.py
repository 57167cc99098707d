"""What the operator's settings make of knowledge bases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from polyport_gateway.settings import Settings

__all__ = ["KnowledgePlan", "make_plan"]


@dataclass(frozen=True, slots=True)
class KnowledgePlan:
    """How knowledge bases are kept and searched.

    Attributes:
        folder: Where indexes and vectors lie.
        blobs: Where files and parsed documents lie.
        tools: Whether each base is shown as tools.
        create: Whether callers may make knowledge bases.
        folders: Folders that callers may name as sources.
        allow_hosts: Hosts of private networks that addresses may be fetched from.
        workers: Files read at a time.
        timeout_s: Seconds that reading a file may take.
        memory_mb: MiB of memory that it may take.
        max_bytes: Bytes that a file may have.
        search_timeout_s: Seconds after which a base that has not answered is left out.
        longest_query: Characters of a question.
    """

    folder: Path
    blobs: Path
    tools: bool = True
    create: bool = True
    folders: tuple[Path, ...] = ()
    allow_hosts: tuple[str, ...] = ()
    workers: int = 2
    timeout_s: float = 120.0
    memory_mb: int = 2048
    max_bytes: int = 64 << 20
    search_timeout_s: float = 10.0
    longest_query: int = 20_000


def make_plan(settings: Settings) -> KnowledgePlan | None:
    """Return the plan; None where the operator wants no knowledge bases."""
    if settings.knowledge is False:
        return None
    return KnowledgePlan(
        folder=settings.data_dir.absolute() / "knowledge",
        blobs=settings.data_dir.absolute() / "blobs",
        tools=settings.knowledge_tools,
        create=settings.knowledge_create,
        folders=tuple(Path(name).expanduser().resolve() for name in settings.knowledge_folders),
        allow_hosts=settings.knowledge_allow_hosts,
        workers=settings.documents_workers,
        timeout_s=settings.documents_timeout_s,
        memory_mb=settings.documents_memory_mb,
        max_bytes=settings.documents_max_bytes,
        search_timeout_s=settings.knowledge_search_timeout_s,
    )

"""What reading one file may take."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ParseLimits"]


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """What reading one file may take; at any of these its process is killed.

    Args:
        wall_s: Seconds from start to end.
        cpu_s: Seconds of processor time.
        memory_mb: MiB of address space beyond what the idle process has.
        output_mb: MiB of the document, its pictures included.
    """

    wall_s: float = 120.0
    cpu_s: float = 120.0
    memory_mb: int = 2048
    output_mb: int = 512

    def __post_init__(self) -> None:
        for name in ("wall_s", "cpu_s", "memory_mb", "output_mb"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)!r}.")

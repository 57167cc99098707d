"""What keeps the names that can be called in step with the bases that there are."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Names"]


class Names(Protocol):
    """Told of bases that come and go."""

    def added(self, name: str, description: str | None, timeout: float | None = None) -> None:
        """Add a base's names.

        Raises:
            ConflictError: One of them is taken.
        """
        ...

    def removed(self, name: str) -> None:
        """Take a base's names out."""
        ...

    def free(self, name: str) -> bool:
        """Whether a new base can have a name."""
        ...

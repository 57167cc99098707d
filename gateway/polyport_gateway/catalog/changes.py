"""News of changes, for those that subscribed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Change", "Changes"]

Topic: TypeAlias = Literal["tools", "prompts", "resources", "resource"]


@dataclass(frozen=True, slots=True)
class Change:
    """Something changed: a whole list, or the resource at `uri`."""

    topic: Topic
    uri: str | None = None


class Changes:
    """Hands each change to every listener, on the thread that tells it."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Change], None]] = []

    @contextmanager
    def listening(self, listener: Callable[[Change], None]) -> Iterator[None]:
        """Call `listener` for each change while inside; it must not block."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def tell(self, change: Change) -> None:
        """Hand on a change."""
        for listener in list(self._listeners):
            listener(change)

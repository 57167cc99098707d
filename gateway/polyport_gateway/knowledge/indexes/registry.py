"""Indexes by name: built-in ones and others', through the entry points ``polyport.indexes``."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any, cast

from polyport.errors import ConfigurationError

from .base import Schema, VectorIndex

__all__ = ["GROUP", "names", "open_index"]

GROUP = "polyport.indexes"


def names() -> list[str]:
    """Return the kinds of index that are installed."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def open_index(kind: str, schema: Schema | None, /, **options: Any) -> VectorIndex:
    """Open an index, or make it.

    Args:
        kind: Its name among the entry points.
        schema: What it holds.
        options: For its class: ``folder``, ``url`` and so on.

    Raises:
        ConfigurationError: There is none of that name, or it takes other options.
    """
    for point in entry_points(group=GROUP, name=kind):
        try:
            return cast(VectorIndex, point.load()(schema, **options))
        except TypeError as error:
            raise ConfigurationError(f"The index {kind!r} can't be opened with {sorted(options)}: {error}") from error
    raise ConfigurationError(f"There is no index {kind!r}; there are: {', '.join(names())}.")

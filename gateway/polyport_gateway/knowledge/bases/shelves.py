"""The indexes that knowledge bases stand in, each opened once and shared.

An embedded Qdrant shard takes a fifth of a second to open, 50 MB and eight threads, however little it holds (measured),
so that a hundred bases can't have one each. Bases of the same kind and vectors share one; every chunk carries its
base's build as `part`, and a search filters by the parts that it concerns.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polyport.errors import ServiceUnavailableError
from polyport_gateway.knowledge.indexes import Samples, VectorIndex, open_index

from .generation import Generation

__all__ = ["Shelf", "Shelves"]

_EMBEDDED = frozenset({"qdrant-edge", "faiss", "chroma", "milvus"})
_ON_SERVERS = frozenset({"qdrant", "chroma", "milvus"})
_ELSEWHERE = ("url", "host", "uri", "path", "folder", "location")
"""Options that say that an index lies somewhere of its own."""
_MANY = 20_000
_SHARE = 3
"""An index is put in order when so many chunks have changed, and the third part of it. Till then these are compared
one by one, a millisecond for each twenty thousand; so a base that grows costs three times its graph, not ten."""


@dataclass(slots=True)
class Shelf:
    """An open index.

    Attributes:
        key: Its name.
        index: To search and write.
        samples: Of what is in it, by which scores are seen.
        writing: Held while chunks are written, so that a batch of one base does not fall between those of another.
    """

    key: str
    index: VectorIndex
    writing: threading.Lock = field(default_factory=threading.Lock)
    samples: Samples = field(init=False)
    _unordered: int | None = None
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.samples = Samples(self.index)

    def note_changed(self, chunks: int) -> None:
        """Note that about so many chunks have come, gone or changed."""
        with self._counting:
            if self._unordered is None:  # an earlier process may have left more; some indexes can tell
                self._unordered = int(self.index.stats().details.get("unordered", chunks))
            else:
                self._unordered += chunks

    def is_due(self) -> bool:
        """Whether the index is worth being put in order now; says so once.

        By what has changed in all bases together: a hundred that are filled one after the other share an index, and
        each time the whole of it is made anew.
        """
        with self._counting:
            if (self._unordered or 0) <= max(_MANY, self.index.count() // _SHARE):
                return False
            self._unordered = 0
            return True


class Shelves:
    """All of a gateway's indexes; opened when first needed. May be used from several threads.

    Args:
        folder: Where embedded ones lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, Shelf] = {}
        self._opening: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self._closed = False

    def folder(self, key: str) -> Path:
        """Return where an embedded one lies."""
        return self._folder / key

    def get(self, generation: Generation) -> Shelf:
        """Return the index of a build, opened where it is not.

        Raises:
            ConflictError: Another process has it.
            ConfigurationError: It can't be opened.
            ServiceUnavailableError: The gateway is stopping, or a server does not answer.
        """
        key = generation.shelf
        with self._lock:
            found = self._open.get(key)
            if found is not None:
                return found
            opening = self._opening.setdefault(key, threading.Lock())
        with opening:
            with self._lock:
                found = self._open.get(key)
                if found is not None:
                    return found
                if self._closed:
                    raise ServiceUnavailableError("The gateway is shutting down; try again in a moment.", retry_after=1)
            shelf = Shelf(key, open_index(generation.index, generation.schema, **self._options(generation)))
            with self._lock:
                if not self._closed:
                    self._open[key] = shelf
                    return shelf
            shelf.index.close()
            raise ServiceUnavailableError("The gateway is shutting down; try again in a moment.", retry_after=1)

    def find(self, key: str) -> Shelf | None:
        """Return an index by its name, whoever it is of: opened where it lies in a folder; None where it is not there.

        Raises:
            ConflictError: Another process has it.
            ConfigurationError: It can't be opened.
        """
        with self._lock:
            found = self._open.get(key)
            if found is not None or self._closed:
                return found
            opening = self._opening.setdefault(key, threading.Lock())
        folder = self.folder(key)
        kind = key.rpartition("-")[0]
        if kind not in _EMBEDDED or not folder.exists():
            return None
        with opening:
            with self._lock:
                found = self._open.get(key)
                if found is not None:
                    return found
            shelf = Shelf(key, open_index(kind, None, folder=folder))
            with self._lock:
                self._open[key] = shelf
            return shelf

    def _options(self, generation: Generation) -> dict[str, Any]:
        options = dict(generation.index_options)
        elsewhere = any(name in options for name in _ELSEWHERE)
        if generation.index in _EMBEDDED and not elsewhere:
            options["folder"] = self.folder(generation.shelf)
        elif generation.index in _ON_SERVERS:
            options.setdefault("collection", f"polyport-{generation.shelf}")
        if generation.index == "chroma":  # whose server knows vectors, but no terms
            options.setdefault("folder", self.folder(generation.shelf))
        return options

    def opened(self) -> Iterable[Shelf]:
        """Return those that are open."""
        with self._lock:
            return list(self._open.values())

    def close(self) -> None:
        """Close them all, for good."""
        with self._lock:
            self._closed = True
            shelves, self._open = list(self._open.values()), {}
        for shelf in shelves:
            shelf.index.close()

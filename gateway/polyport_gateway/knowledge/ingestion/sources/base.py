"""What a source is: it lists what it has, and gives the bytes of what is new."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from polyport.errors import CallError

__all__ = ["Item", "Listing", "Loaded", "Origin", "Problem", "Source", "SourceFailedError"]


class SourceFailedError(CallError):
    """A whole source can't be read; nothing that came from it is removed."""

    status = 404
    type = "invalid_request_error"
    code = "source_unavailable"


@dataclass(frozen=True, slots=True)
class Problem:
    """What could not be taken in.

    Args:
        key: What it was.
        message: Why, in a sentence.
        code: Of the error.
    """

    key: str
    message: str
    code: str | None = None

    @classmethod
    def of(cls, key: str, error: CallError) -> Problem:
        """Tell of an error."""
        return cls(key, error.message, error.code)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a document is from; kept with it.

    Args:
        source: The label of its source.
        stamp: What changes when the file does; None where it must be read to know.
        root: What tells the source's folder from another in its place, such as an empty one where a disk is missing.
    """

    source: str
    stamp: str | None = None
    root: str | None = None

    def dump(self) -> dict[str, str | None]:
        """Return it as JSON."""
        return {"source": self.source, "stamp": self.stamp, "root": self.root}

    @classmethod
    def load(cls, plain: Mapping[str, Any] | None) -> Origin | None:
        """Read what `dump` gave; None where nothing is known."""
        if not plain or not isinstance(plain.get("source"), str):
            return None
        return cls(plain["source"], plain.get("stamp"), plain.get("root"))


@dataclass(frozen=True, slots=True)
class Loaded:
    """A file's bytes.

    Args:
        data: All of them.
        name: The file's name, with its ending.
        stamp: What changes when the file does; None where nothing tells.
    """

    data: bytes
    name: str
    stamp: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """A file of a source.

    Args:
        key: Names its document within the base: a path from the source's folder on, an address, a name.
        load: Gives its bytes; None where they are those of the stamp that it is handed.
        stamp: What changes when the file does, where listing tells it.
        size: Bytes, where listing tells it.
        metadata: Put on its document, before what the file itself says.
        tags: Put on its document.
        chunker: Cuts it instead of the base's own; a specification for `parse_steps`.
    """

    key: str
    load: Callable[[str | None], Loaded | None]
    stamp: str | None = None
    size: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)
    tags: tuple[str, ...] = ()
    chunker: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """What a source has.

    Args:
        items: Its files.
        problems: What it has and can't give.
        unseen: Keys, and beginnings of keys that end in ``/``, of which it does not know whether they are there.
        root: See `Origin`.
        note: What is worth telling, such as that the folder is empty.
    """

    items: tuple[Item, ...]
    problems: tuple[Problem, ...] = ()
    unseen: tuple[str, ...] = ()
    root: str | None = None
    note: str | None = None

    def is_gone(self, key: str) -> bool:
        """Whether a key that is not among the items is not there any more, rather than not seen."""
        return not any(key == part or (part.endswith("/") and key.startswith(part)) for part in self.unseen)


class Source(Protocol):
    """Where files come from."""

    @property
    def label(self) -> str:
        """Names it among the sources of a base; the keys of a folder's files begin with it."""
        ...

    @property
    def complete(self) -> bool:
        """Whether what it does not list is to be removed: so with a folder, but not with a handful of uploads."""
        ...

    def list(self, known: Iterable[Origin] = ()) -> Listing:
        """Look at what there is.

        Args:
            known: Origins of this source's documents.

        Raises:
            SourceFailedError: It is not there, or can't be read as a whole.
        """
        ...

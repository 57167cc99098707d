"""What is handed in: uploads that lie in the blob store, and texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from polyport.errors import BadRequestError
from polyport_gateway.storage.blobs import BlobStore

from .base import Item, Listing, Loaded, Origin

__all__ = ["UPLOADS", "Upload", "Uploads"]

UPLOADS = "upload:"
"""The label of what was handed in; no folder's is like it."""

_LONGEST_KEY = 1000


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was handed in; its bytes are in the blob store already, so a job that is killed finds them again.

    Args:
        name: Its name, which is its document's key unless another is given.
        blob: The key of its bytes.
        key: Of its document.
        metadata: Put on its document.
        tags: Put on its document.
        chunker: Cuts it instead of the base's own.
    """

    name: str
    blob: str
    key: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)
    tags: tuple[str, ...] = ()
    chunker: str | None = None

    def __post_init__(self) -> None:
        for what, value in (("name", self.name), ("key", self.key)):
            if value is not None and (not value.strip() or len(value) > _LONGEST_KEY or "\0" in value):
                raise BadRequestError(
                    f"A file's {what} must have 1 to {_LONGEST_KEY} characters, and no NUL; {value[:80]!r} is none.",
                    param=what,
                )

    def dump(self) -> dict[str, Any]:
        """Return it as JSON, for a job."""
        return {
            "name": self.name,
            "blob": self.blob,
            "key": self.key,
            "metadata": dict(self.metadata),
            "tags": list(self.tags),
            "chunker": self.chunker,
        }

    @classmethod
    def load(cls, plain: Mapping[str, Any]) -> Upload:
        """Read what `dump` gave."""
        return cls(
            plain["name"],
            plain["blob"],
            plain.get("key"),
            plain.get("metadata") or {},
            tuple(plain["tags"]),
            plain.get("chunker"),
        )


@dataclass(frozen=True, slots=True)
class Uploads:
    """Files that were handed in.

    Args:
        uploads: The files; of two with the same key the last counts.
        blobs: Where their bytes are.
    """

    uploads: Sequence[Upload]
    blobs: BlobStore
    label: str = field(default=UPLOADS, init=False)
    complete: bool = field(default=False, init=False)

    def list(self, known: Iterable[Origin] = ()) -> Listing:
        """Return them."""
        items = {
            upload.key or upload.name: Item(
                upload.key or upload.name,
                partial(self._load, upload),
                upload.blob,
                self.blobs.size(upload.blob),
                upload.metadata,
                upload.tags,
                upload.chunker,
            )
            for upload in self.uploads
        }
        return Listing(tuple(items.values()))

    def _load(self, upload: Upload, stamp: str | None) -> Loaded | None:
        if stamp == upload.blob:
            return None
        return Loaded(self.blobs.get(upload.blob), upload.name, upload.blob)

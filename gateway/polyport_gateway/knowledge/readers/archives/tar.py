"""Tar, as POSIX, GNU and old systems write it."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from functools import partial
from io import BytesIO

from polyport_gateway.knowledge.documents import Parsed, Skipped, UnreadableDocumentError
from polyport_gateway.knowledge.readers.base import ReadOptions

from .gathering import Member, gather
from .names import decoded

__all__ = ["TarReader"]


class TarReader:
    """Each file in it under a heading with its path; links and devices are told, never followed."""

    name = "tar"
    formats = frozenset({"tar"})

    def read(self, data: bytes, name: str, options: ReadOptions) -> Parsed:
        """Read the files of an archive.

        Raises:
            UnreadableDocumentError: It is damaged, empty, or no file in it can be read.
        """
        try:
            archive = tarfile.TarFile(fileobj=BytesIO(data), encoding="utf-8", errors="surrogateescape")
        except (tarfile.TarError, OSError, ValueError) as error:
            raise UnreadableDocumentError(name, f"it is a damaged tar archive ({error}).") from None
        with archive:
            skipped: list[Skipped] = []
            members = _members(archive, data, skipped)
            return gather(data, name, options, members, reader=self.name, format="tar", skipped=skipped)


def _members(archive: tarfile.TarFile, data: bytes, skipped: list[Skipped]) -> Iterator[Member]:
    try:
        for entry in archive:
            if not entry.isdir():
                raw = entry.name.encode("utf-8", "surrogateescape")
                yield Member(
                    decoded([raw], "cp1252")[0], entry.size, partial(_unpack, archive, entry), _refusal(entry)
                )  # fmt: skip
    except (tarfile.TarError, OSError, ValueError) as error:
        skipped.append(Skipped("rest of the archive", f"it is damaged or cut off ({error})."))
        return
    # The standard library takes a damaged header for the archive's end.
    if data[archive.offset :].strip(b"\0"):
        skipped.append(Skipped("rest of the archive", f"it is damaged from byte {archive.offset:,} on."))


def _refusal(entry: tarfile.TarInfo) -> str | None:
    if entry.issym() or entry.islnk():
        return "it is a link, and links are not followed."
    if not entry.isfile():
        return "it is a device or a pipe."
    return "it is a sparse file, whose size says nothing." if entry.issparse() else None


def _unpack(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    try:
        source = archive.extractfile(entry)
        found = b"" if source is None else source.read()
    except (tarfile.TarError, OSError, ValueError, KeyError) as error:
        raise UnreadableDocumentError(entry.name, f"it is damaged or cut off ({error}).") from None
    if len(found) < entry.size:
        raise UnreadableDocumentError(entry.name, f"it is cut off after {len(found):,} of {entry.size:,} bytes.")
    return found

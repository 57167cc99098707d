"""The ZIP container of an office file: opened once, bounded, its parts and the relationships between them."""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import IO

from polyport_gateway.knowledge.documents import EncryptedDocumentError, ParsingLimitError, UnreadableDocumentError

from .xml import Element, MalformedXmlError, parse

__all__ = ["Package", "Relationship"]

_CFB = bytes.fromhex("d0cf11e0a1b11ae1")  # the older container of Office; a protected .docx is one, too
_ENCRYPTED_STREAM = "EncryptedPackage".encode("utf-16-le")
_RELATIONSHIPS = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"

_MOST_PARTS = 20_000
_MOST_XML_BYTES = 256 << 20
_HIGHEST_RATIO = 400  # deflate reaches 1,032 on zeros; a sheet of equal rows reaches about 100
_RATIO_FROM = 16 << 20  # a small part may compress as well as it likes


@dataclass(frozen=True, slots=True)
class Relationship:
    """What a part refers to by an id."""

    id: str
    kind: str
    target: str
    external: bool


class Package:
    """An Open Packaging or OpenDocument container held in memory.

    Only what a reader asks for is unpacked; macros (`vbaProject.bin`) and embedded programs are never asked for, and
    a relationship that points outside is a text, never followed.
    """

    def __init__(self, data: bytes, name: str, *, max_unpacked_bytes: int = 1 << 30) -> None:
        """Open a container.

        Args:
            data: The file.
            name: What messages call it.
            max_unpacked_bytes: Of all its parts together.

        Raises:
            EncryptedDocumentError: If it is protected by a password.
            UnreadableDocumentError: If it is no ZIP container, or truncated.
            ParsingLimitError: If it would unpack to more than is allowed.
        """
        self.name = name
        self._most_bytes = max_unpacked_bytes
        if not data:
            raise UnreadableDocumentError(name, "the file is empty.")
        if data.startswith(_CFB):
            if _ENCRYPTED_STREAM in data:
                raise EncryptedDocumentError(
                    name, "the file is protected by a password. Save it without one, or decrypt it first."
                )
            raise UnreadableDocumentError(
                name,
                "the file is in Office's older binary format, whatever its name says. Save it in the newer one.",
            )
        try:
            self._zip = zipfile.ZipFile(BytesIO(data))
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise UnreadableDocumentError(name, f"not a readable ZIP container, or truncated ({error}).") from error
        self._parts = self._admit()
        self._folded = {part.lower(): part for part in self._parts}

    def _admit(self) -> dict[str, zipfile.ZipInfo]:
        entries = self._zip.infolist()
        if len(entries) > _MOST_PARTS:
            raise ParsingLimitError(self.name, f"it holds {len(entries):,} parts; {_MOST_PARTS:,} are allowed.")
        total = sum(entry.file_size for entry in entries)
        # Python reads no further than the size declared here, so a container that lies about it is cut, then damaged.
        if total > self._most_bytes:
            raise ParsingLimitError(self.name, f"it would unpack to {total:,} bytes; {self._most_bytes:,} are allowed.")
        for entry in entries:
            if entry.flag_bits & 1:
                raise EncryptedDocumentError(self.name, "its ZIP container is encrypted. Save it without a password.")
            if entry.file_size > _RATIO_FROM and entry.file_size > _HIGHEST_RATIO * max(entry.compress_size, 1):
                raise ParsingLimitError(
                    self.name,
                    f"its part {entry.filename!r} unpacks to {entry.file_size:,} bytes, "
                    f"{entry.file_size // max(entry.compress_size, 1):,} times its size: refused as a ZIP bomb.",
                )
        return {entry.filename.lstrip("/"): entry for entry in entries if not entry.is_dir()}

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The names of its parts."""
        return tuple(self._parts)

    def has(self, part: str) -> bool:
        """Tell whether it holds a part; names differ by more than case."""
        return part.lower() in self._folded

    def read(self, part: str) -> bytes:
        """Unpack a part.

        Raises:
            UnreadableDocumentError: If it is missing or damaged.
        """
        entry = self._entry(part)
        try:
            return self._zip.read(entry)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
            raise UnreadableDocumentError(self.name, f"its part {part!r} is damaged ({error}).") from error

    @contextmanager
    def open(self, part: str) -> Iterator[IO[bytes]]:
        """Unpack a part piece by piece."""
        try:
            with self._zip.open(self._entry(part)) as source:
                yield source
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise UnreadableDocumentError(self.name, f"its part {part!r} is damaged ({error}).") from error
        except MalformedXmlError as error:
            raise UnreadableDocumentError(self.name, f"its part {part!r} is not readable: {error}.") from error

    def _entry(self, part: str) -> zipfile.ZipInfo:
        found = self._folded.get(part.lstrip("/").lower())
        if found is None:
            raise UnreadableDocumentError(
                self.name, f"its part {part!r} is missing; the file is damaged or not what it says."
            )
        return self._parts[found]

    def xml(self, part: str) -> Element:
        """Parse a part.

        Raises:
            UnreadableDocumentError: If it is missing, damaged, or not well-formed.
            ParsingLimitError: If it is too large to hold as a tree.
        """
        size = self._entry(part).file_size
        if size > _MOST_XML_BYTES:
            raise ParsingLimitError(
                self.name, f"its part {part!r} holds {size:,} bytes of XML; {_MOST_XML_BYTES:,} are allowed."
            )
        try:
            return parse(self.read(part))
        except MalformedXmlError as error:
            raise UnreadableDocumentError(self.name, f"its part {part!r} is not readable: {error}.") from error

    def relationships(self, part: str) -> dict[str, Relationship]:
        """Read what a part refers to, by id; targets inside are resolved to part names."""
        folder, name = posixpath.split(part)
        rels = posixpath.join(folder, "_rels", f"{name}.rels")
        if not self.has(rels):
            return {}
        found = {}
        for entry in self.xml(rels).iter(_RELATIONSHIPS):
            external = entry.get("TargetMode") == "External"
            target = entry.get("Target", "")
            if not external:
                target = posixpath.normpath(posixpath.join(folder, target)) if target[:1] != "/" else target[1:]
            id_ = entry.get("Id", "")
            found[id_] = Relationship(id_, entry.get("Type", "").rpartition("/")[2], target, external)
        return found

    def main_part(self, fallback: str) -> str:
        """Find the part the package is about."""
        for relationship in self.relationships("").values():
            if relationship.kind == "officeDocument" and self.has(relationship.target):
                return relationship.target
        return fallback

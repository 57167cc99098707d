"""The properties of one message, recipient or attachment (MS-OXMSG 2.4)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from polyport_gateway.knowledge.readers.text import decode

from .rtf import codec_of

if TYPE_CHECKING:
    import olefile

__all__ = ["Storage"]

_BINARY, _TEXT, _ANSI, _OBJECT = 0x0102, 0x001F, 0x001E, 0x000D
_CODEPAGES = (0x3FFD, 0x3FDE)
_TOP, _EMBEDDED, _OTHER = 32, 24, 8
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)


class Storage:
    """A folder of the compound file, and what is in it.

    Args:
        file: The compound file.
        path: Of the folder; empty for the message itself.
        codepage: Of the message it belongs to, for text that is no Unicode.
    """

    def __init__(self, file: olefile.OleFileIO, path: tuple[str, ...] = (), codepage: int | None = None) -> None:
        self._file = file
        self.path = path
        self._fixed = dict(self._read_fixed())
        self.codepage = codepage or next((found for tag in _CODEPAGES if (found := self.integer(tag))), None) or 1252

    def _read_fixed(self) -> Iterator[tuple[int, bytes]]:
        data = self._stream("__properties_version1.0") or b""
        last = self.path[-1] if self.path else ""
        head = _TOP if not self.path else _EMBEDDED if last.endswith("3701000D") else _OTHER
        for position in range(head, len(data) - 15, 16):
            tag, _, value = struct.unpack_from("<LL8s", data, position)
            yield tag >> 16, value

    def _stream(self, name: str) -> bytes | None:
        path = [*self.path, name]
        return self._file.openstream(path).read() if self._file.get_type(path) == 2 else None

    def integer(self, tag: int) -> int | None:
        """Return a number."""
        value = self._fixed.get(tag)
        return int.from_bytes(value[:4], "little") if value is not None else None

    def time(self, tag: int) -> datetime | None:
        """Return a time."""
        value = self._fixed.get(tag)
        ticks = int.from_bytes(value, "little") if value is not None else 0
        try:
            return _EPOCH + timedelta(microseconds=ticks // 10) if ticks else None
        except OverflowError:
            return None

    def binary(self, tag: int) -> bytes | None:
        """Return bytes."""
        return self._stream(f"__substg1.0_{tag:04X}{_BINARY:04X}")

    def text(self, tag: int) -> str | None:
        """Return text, without the NULs that may end it."""
        wide = self._stream(f"__substg1.0_{tag:04X}{_TEXT:04X}")
        if wide is not None:
            return wide.decode("utf-16-le", "replace").rstrip("\0")
        narrow = self._stream(f"__substg1.0_{tag:04X}{_ANSI:04X}")
        if narrow is None:
            return None
        narrow = narrow.rstrip(b"\0")
        try:
            return narrow.decode(codec_of(self.codepage))
        except (LookupError, UnicodeDecodeError):
            return decode(narrow, "").text

    def folders(self, prefix: str) -> Iterator[Storage]:
        """Return the folders in this one whose name begins so: its recipients, or its attachments."""
        depth = len(self.path)
        for entry in self._file.listdir(streams=False, storages=True):
            if len(entry) == depth + 1 and tuple(entry[:depth]) == self.path and entry[depth].startswith(prefix):
                yield Storage(self._file, tuple(entry), self.codepage)

    def message(self) -> Storage | None:
        """Return the message that an attachment is."""
        path = (*self.path, f"__substg1.0_3701{_OBJECT:04X}")
        return Storage(self._file, path) if self._file.get_type(list(path)) == 1 else None

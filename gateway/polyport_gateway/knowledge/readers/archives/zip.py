"""ZIP (PKWARE's APPNOTE.TXT 6.3): any files."""

from __future__ import annotations

import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from io import BytesIO

from polyport_gateway.knowledge.documents import Parsed, ParsingLimitError, Skipped, UnreadableDocumentError
from polyport_gateway.knowledge.readers.base import ReadOptions

from .gathering import ENCRYPTED, Member, gather
from .names import decoded

__all__ = ["ZipReader"]

_MOST_FILES = 20_000
_HIGHEST_RATIO = 400
_RATIO_FROM = 16 << 20
_UTF8_NAME, _ENCRYPTED_FLAG = 0x800, 1
_AES = 99
_UNICODE_PATH = 0x7075
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, struct.error)


class ZipReader:
    """Each file in it under a heading with its path; nested archives up to `max_depth`."""

    name = "zip"
    formats = frozenset({"zip"})

    def read(self, data: bytes, name: str, options: ReadOptions) -> Parsed:
        """Read the files of an archive.

        Raises:
            UnreadableDocumentError: It is damaged, empty, or no file in it can be read.
            EncryptedDocumentError: All files are encrypted, and the password is missing or wrong.
            ParsingLimitError: It holds too many files.
        """
        try:
            archive = zipfile.ZipFile(BytesIO(data))
        except (*_DAMAGE, NotImplementedError) as error:
            raise UnreadableDocumentError(name, f"it is a damaged or truncated ZIP archive ({error}).") from None
        with archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if len(entries) > _MOST_FILES:
                raise ParsingLimitError(name, f"it holds {len(entries):,} files; {_MOST_FILES:,} are read.")
            skipped: list[Skipped] = []
            members = _members(archive, entries, options.password)
            return gather(data, name, options, members, reader=self.name, format="zip", skipped=skipped)


def _members(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], password: str | None) -> Iterator[Member]:
    for entry, name in zip(entries, _names(entries), strict=True):
        yield Member(name, entry.file_size, partial(_unpack, archive, entry, password), _refusal(entry, password))


def _refusal(entry: zipfile.ZipInfo, password: str | None) -> str | None:
    if entry.file_size > _RATIO_FROM and entry.file_size > _HIGHEST_RATIO * max(entry.compress_size, 1):
        return (
            f"it unpacks to {entry.file_size:,} bytes, {entry.file_size // max(entry.compress_size, 1):,} times its "
            f"size: refused as a ZIP bomb."
        )
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "it is a link, and links are not followed."
    if entry.flag_bits & _ENCRYPTED_FLAG:
        if entry.compress_type == _AES:
            return "it is encrypted with AES, which is not decrypted here; unpack it first."
        return ENCRYPTED if password is None else None
    return None


def _unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, password: str | None) -> bytes:
    try:
        # No more is read than the size that was counted: a member that lies about it fails its checksum.
        with archive.open(entry, pwd=None if password is None else password.encode()) as source:
            return source.read(entry.file_size + 1)
    except RuntimeError as error:  # a wrong password, or a method that is encrypted in another way
        if isinstance(error, NotImplementedError):
            reason = f"it is packed in a way that can't be unpacked here ({error})."
        else:
            reason = ENCRYPTED
        raise UnreadableDocumentError(entry.filename, reason) from None
    except _DAMAGE as error:
        reason = f"it is damaged ({error})."
        if entry.flag_bits & _ENCRYPTED_FLAG:  # one wrong password of 256 passes the check, and unpacks to nonsense
            reason = ENCRYPTED
        raise UnreadableDocumentError(entry.filename, reason) from None


def _names(entries: list[zipfile.ZipInfo]) -> list[str]:
    """Return the names; only those with a flag or a field that says so are known to be UTF-8."""
    known = {index: name for index, entry in enumerate(entries) if (name := _unicode_name(entry)) is not None}
    others = [index for index in range(len(entries)) if index not in known]
    guessed = decoded([entries[index].orig_filename.encode("cp437", "replace") for index in others])
    known.update(zip(others, guessed, strict=True))
    return [known[index] for index in range(len(entries))]


def _unicode_name(entry: zipfile.ZipInfo) -> str | None:
    if entry.flag_bits & _UTF8_NAME:
        return entry.orig_filename
    extra = entry.extra
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        if kind == _UNICODE_PATH and size > 5 and extra[4] == 1:
            raw = entry.orig_filename.encode("cp437", "replace")
            if struct.unpack_from("<L", extra, 5)[0] == zlib.crc32(raw):
                return extra[9 : 4 + size].decode("utf-8", "replace")
        extra = extra[4 + size :]
    return None

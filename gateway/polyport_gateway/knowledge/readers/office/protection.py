"""Office files protected by a password ([MS-OFFCRYPTO]), and what else stands in their OLE container."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from polyport.errors import MissingDependencyError
from polyport_gateway.knowledge.documents import (
    JSON,
    EncryptedDocumentError,
    Parsed,
    UnreadableDocumentError,
    source_of,
)
from polyport_gateway.knowledge.readers.detect import detect

if TYPE_CHECKING:
    from olefile import OleFileIO

    from polyport_gateway.knowledge.readers.base import ReadOptions

__all__ = ["ProtectedReader", "decrypted", "ole_properties"]

_SPINS = re.compile(rb"spinCount\s*=\s*[\"'](\d+)")
_EVERYBODYS = "VelvetSweatshop"  # with which Office encrypts what anybody may read, but not write
_MOST_SPINS = 1_000_000  # rounds that a password takes; Office makes 100,000
_PROPERTIES = {"title": "title", "author": "author", "subject": "subject", "comments": "description",
               "keywords": "keywords", "last_saved_by": "last_modified_by"}  # fmt: skip
_DATES = {"create_time": "created", "last_saved_time": "modified"}


class ProtectedReader:
    """Reads DOCX, XLSX and PPTX that are protected by a password: they are decrypted in memory, then read as ever."""

    name = "protected"
    formats = frozenset({"encrypted-office"})

    def read(self, data: bytes, name: str, options: ReadOptions) -> Parsed:
        """Decrypt one file, and read what is inside.

        Raises:
            EncryptedDocumentError: The password is missing or wrong.
            UnreadableDocumentError: It is damaged.
        """
        inner = decrypted(data, name, options)
        if not inner.startswith(b"PK") or options.read is None:
            raise UnreadableDocumentError(name, "what it protects is no document of Word, Excel or PowerPoint.")
        parsed = options.read(inner, name, replace(options, format=None))
        # The document is of the file that was given, which is not the one that was read.
        mime = detect(inner, name).mime
        source = source_of(data, name, mime)
        document = replace(parsed.document, source=source, id=f"doc_{source.sha256[:32]}")
        return replace(parsed, document=document)


def decrypted(data: bytes, name: str, options: ReadOptions) -> bytes:
    """Return a protected file without its protection.

    Raises:
        EncryptedDocumentError: The password is missing or wrong, or the way of encrypting is not supported.
        UnreadableDocumentError: It is damaged.
    """
    try:
        import msoffcrypto
        from msoffcrypto.exceptions import DecryptionError, FileFormatError, InvalidKeyError
    except ModuleNotFoundError:
        raise MissingDependencyError("Reading protected Office files", extra="documents") from None
    _refuse_hostile(data, name)
    out = io.BytesIO()
    try:
        file = msoffcrypto.OfficeFile(io.BytesIO(data))
        # Only for OOXML is the check a choice; the older formats always make it.
        checked = {"verify_password": True} if file.format == "ooxml" else {}
        file.load_key(password=options.password or _EVERYBODYS, **checked)
        file.decrypt(out)
    except InvalidKeyError:
        why = "the password is wrong." if options.password else "it is protected by a password, and none was given."
        raise EncryptedDocumentError(name, why) from None
    except (DecryptionError, FileFormatError, NotImplementedError) as error:
        raise EncryptedDocumentError(
            name, f"it is encrypted in a way that is not supported ({error}). Save it without a password."
        ) from None
    except Exception as error:
        raise UnreadableDocumentError(
            name, f"it is protected by a password, and damaged ({type(error).__name__})."
        ) from error
    return out.getvalue()


def _refuse_hostile(data: bytes, name: str) -> None:
    """Refuse what would keep the processor busy before the password is even looked at."""
    with _container(data, name) as ole:
        if not ole.exists("EncryptionInfo"):
            return
        about = ole.openstream("EncryptionInfo").read()
    if b"<!DOCTYPE" in about or b"<!ENTITY" in about:
        raise UnreadableDocumentError(name, "what describes its encryption declares a document type.")
    for spins in _SPINS.findall(about):
        if int(spins[:12]) > _MOST_SPINS:
            raise UnreadableDocumentError(
                name, f"its password takes {int(spins[:12]):,} rounds to check; {_MOST_SPINS:,} are allowed."
            )


def _container(data: bytes, name: str) -> OleFileIO:
    try:
        from olefile import OleFileIO
    except ModuleNotFoundError:
        raise MissingDependencyError("Reading protected Office files", extra="documents") from None
    try:
        return OleFileIO(io.BytesIO(data))
    except (OSError, ValueError, IndexError) as error:
        raise UnreadableDocumentError(name, f"its OLE container is damaged ({error}).") from error


def ole_properties(data: bytes) -> dict[str, JSON]:
    """Read title, author and dates of an OLE container; a file may do without them."""
    try:
        from olefile import OleFileIO

        with OleFileIO(io.BytesIO(data)) as ole:
            meta = ole.get_metadata()
    except (ImportError, OSError, ValueError, IndexError, UnicodeError):
        return {}
    encoding = f"cp{meta.codepage}" if meta.codepage and meta.codepage > 0 and meta.codepage != 65001 else "utf-8"
    found: dict[str, JSON] = {}
    for source, key in _PROPERTIES.items():
        value = getattr(meta, source, None)
        text = _text(value, encoding)
        if text:
            found[key] = text
    for source, key in _DATES.items():
        moment = getattr(meta, source, None)
        if moment is not None and moment.year > 1601:
            found[key] = f"{moment.isoformat(timespec='seconds')}Z"
    return found


def _text(value: object, encoding: str) -> str:
    if isinstance(value, bytes):
        try:
            return value.decode(encoding, "replace").strip("\0 ")
        except LookupError:
            return value.decode("latin-1").strip("\0 ")
    return value.strip("\0 ") if isinstance(value, str) else ""

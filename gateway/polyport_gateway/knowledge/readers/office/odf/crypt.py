"""Files protected by a password (OpenDocument 1.4 part 2, section 4.8 on ``encryption-data``)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import importlib.util
import io
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from polyport.errors import MissingDependencyError
from polyport_gateway.knowledge.documents import EncryptedDocumentError, ParsingLimitError
from polyport_gateway.knowledge.readers.office.package import Package
from polyport_gateway.knowledge.readers.office.xml import Element

if TYPE_CHECKING:
    from polyport_gateway.knowledge.readers.base import ReadOptions

__all__ = ["opened"]

_M = "{urn:oasis:names:tc:opendocument:xmlns:manifest:1.0}"
_LO = "{urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0}"
_MANIFEST = "META-INF/manifest.xml"
_WHOLE = "encrypted-package"
_MOST_ITERATIONS = 20_000_000  # of all parts together; a program takes 100,000 for each
_MOST_PART = 1 << 29
_MOST_ARGON_KIB, _MOST_ARGON_PASSES, _MOST_LANES = 1 << 18, 32, 64


@dataclass(frozen=True, slots=True)
class _Entry:
    """How one part is encrypted."""

    part: str
    size: int
    element: Element

    def setting(self, child: str, name: str) -> str:
        found = self.element.find(_M + child)
        return "" if found is None else found.get(_M + name) or found.get(_LO + name) or ""

    @property
    def iterations(self) -> int:
        """Rounds that its key takes."""
        text = self.setting("key-derivation", "iteration-count")
        return int(text) if text.isdecimal() and len(text) < 10 else 0

    def number(self, child: str, name: str, most: int) -> int:
        text = self.setting(child, name)
        value = int(text) if text.isdecimal() and len(text) < 10 else 0
        if not 0 < value <= most:
            raise _UnknownError(f"{name} {text or 'missing'}")
        return value


class _UnknownError(Exception):
    """A way of encrypting that is not supported."""


def opened(package: Package, options: ReadOptions) -> Package:
    """Return a package that can be read: the same one, or a decrypted copy of it.

    Raises:
        EncryptedDocumentError: The password is missing or wrong, or the way of encrypting is not supported.
    """
    entries = _entries(package)
    if not entries:
        return package
    name = package.name
    if not options.password:
        raise EncryptedDocumentError(name, "it is protected by a password, and none was given.")
    if importlib.util.find_spec("cryptography") is None:
        raise MissingDependencyError("Reading an encrypted OpenDocument file", extra="documents")
    if sum(entry.iterations for entry in entries) > _MOST_ITERATIONS:
        raise ParsingLimitError(name, f"its password takes more than {_MOST_ITERATIONS:,} rounds to check.")
    try:
        parts = {entry.part: _decrypted(package, entry, options.password) for entry in entries}
    except _UnknownError as error:
        raise EncryptedDocumentError(
            name, f"it is encrypted in a way that is not supported ({error}). Save it without a password."
        ) from None
    except (ValueError, zlib.error, binascii.Error):
        raise EncryptedDocumentError(name, "the password is wrong, or the file is damaged.") from None
    whole = parts.get(_WHOLE)
    return Package(
        whole if whole is not None else _repacked(package, parts, options.max_unpacked_bytes),
        name,
        max_unpacked_bytes=options.max_unpacked_bytes,
    )


def _entries(package: Package) -> list[_Entry]:
    if not package.has(_MANIFEST):
        return []
    found = []
    for entry in package.xml(_MANIFEST).iter(_M + "file-entry"):
        element = entry.find(_M + "encryption-data")
        part, size = entry.get(_M + "full-path", ""), entry.get(_M + "size", "0")
        if element is not None and package.has(part):
            found.append(_Entry(part, int(size) if size.isdecimal() else 0, element))
    return found


def _repacked(package: Package, parts: dict[str, bytes], most: int) -> bytes:
    if sum(map(len, parts.values())) > most:
        raise ParsingLimitError(package.name, f"it would unpack to more than {most:,} bytes.")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for part in package.parts:
            if part != _MANIFEST:
                archive.writestr(part, parts[part] if part in parts else package.read(part))
    return buffer.getvalue()


def _decrypted(package: Package, entry: _Entry, password: str) -> bytes:
    salt = _bytes(entry.setting("key-derivation", "salt"))
    vector = _bytes(entry.setting("algorithm", "initialisation-vector"))
    start = _start_key(entry, password)
    key = _key(entry, start, salt)
    algorithm = entry.setting("algorithm", "algorithm-name")
    data = package.read(entry.part)
    for ending, decrypt in _CIPHERS.items():
        if algorithm.lower().endswith(ending):
            plain = decrypt(key, vector, data)
            break
    else:
        raise _UnknownError(algorithm or "no algorithm")
    _check(entry, plain)
    return _inflated(package, entry, plain)


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=False)


def _start_key(entry: _Entry, password: str) -> bytes:
    name = entry.setting("start-key-generation", "start-key-generation-name").lower()
    if name.endswith("sha256"):
        return hashlib.sha256(password.encode()).digest()
    if name.endswith("sha1") or not name:
        return hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    raise _UnknownError(name)


def _key(entry: _Entry, start: bytes, salt: bytes) -> bytes:
    name = entry.setting("key-derivation", "key-derivation-name")
    size = int(entry.setting("key-derivation", "key-size") or 16)
    if size not in {16, 24, 32}:
        raise _UnknownError(f"a key of {size} bytes")
    if name.upper().endswith("PBKDF2"):
        iterations = entry.number("key-derivation", "iteration-count", _MOST_ITERATIONS)
        return hashlib.pbkdf2_hmac("sha1", start, salt, iterations, size)
    if name.lower().endswith("argon2id"):
        from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

        derived = Argon2id(
            salt=salt,
            length=size,
            iterations=entry.number("key-derivation", "argon2-iterations", _MOST_ARGON_PASSES),
            lanes=entry.number("key-derivation", "argon2-lanes", _MOST_LANES),
            memory_cost=entry.number("key-derivation", "argon2-memory", _MOST_ARGON_KIB),
        ).derive(start)
        return bytes(derived)
    raise _UnknownError(name or "no key derivation")


def _check(entry: _Entry, plain: bytes) -> None:
    """Compare with the checksum of the (first kibibyte of the) compressed part; a wrong password gives another."""
    kind = (entry.element.get(_M + "checksum-type") or "").lower()
    if not kind:
        return
    first = plain[:1024] if kind.endswith("1k") else plain
    wanted = _bytes(entry.element.get(_M + "checksum") or "")
    made = hashlib.sha256(first) if "sha256" in kind else hashlib.sha1(first, usedforsecurity=False)
    if made.digest() != wanted:
        raise ValueError("the checksum differs")


def _inflated(package: Package, entry: _Entry, plain: bytes) -> bytes:
    # Padding after the end of the compressed data says nothing.
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    data = unpacker.decompress(plain, _MOST_PART)
    if unpacker.unconsumed_tail:
        raise ParsingLimitError(package.name, f"its part {entry.part!r} unpacks to more than {_MOST_PART:,} bytes.")
    if not unpacker.eof:
        raise ValueError("its compressed data end too early")
    return data


def _cbc(key: bytes, vector: bytes, data: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    if len(data) % 16:
        raise ValueError("not a whole number of blocks")
    decryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).decryptor()
    plain = decryptor.update(data) + decryptor.finalize()
    # W3C's padding: only the last byte counts.
    return plain[: -plain[-1]] if plain and 0 < plain[-1] <= 16 else plain


def _gcm(key: bytes, vector: bytes, data: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    # XML Encryption 1.1 writes the vector before the data as well.
    data = data.removeprefix(vector)
    try:
        return AESGCM(key).decrypt(vector, data, None)
    except InvalidTag:
        raise ValueError("the tag differs") from None


_CIPHERS: dict[str, Callable[[bytes, bytes, bytes], bytes]] = {
    "#aes128-cbc": _cbc,
    "#aes192-cbc": _cbc,
    "#aes256-cbc": _cbc,
    "#aes128-gcm": _gcm,
    "#aes192-gcm": _gcm,
    "#aes256-gcm": _gcm,
}

"""Files in a ZIP archive that are encrypted with AES (https://www.winzip.com/en/support/aes-encryption/)."""

from __future__ import annotations

import hashlib
import hmac
import struct
import zlib
from typing import NamedTuple

__all__ = ["AES_METHOD", "Encryption", "WrongPasswordError", "decrypted", "encryption_of"]

AES_METHOD = 99
"""What such a file says that it is packed with."""

_FIELD, _ROUNDS, _CODE = 0x9901, 1000, 10
_KEY_BYTES = {1: 16, 2: 24, 3: 32}
_STORED, _DEFLATED = 0, 8
_PIECE = 1 << 20
_BLOCK = 16


class WrongPasswordError(ValueError):
    """The password is wrong."""


class Encryption(NamedTuple):
    """How one file is encrypted.

    Args:
        key_bytes: Of its key.
        method: What it was packed with before.
    """

    key_bytes: int
    method: int


def encryption_of(extra: bytes) -> Encryption | None:
    """Return what a file's extra field says of its encryption."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        if kind == _FIELD and size >= 7 and len(extra) >= 11 and extra[8] in _KEY_BYTES:
            return Encryption(_KEY_BYTES[extra[8]], struct.unpack_from("<H", extra, 9)[0])
        extra = extra[4 + size :]
    return None


def decrypted(data: bytes, how: Encryption, password: bytes, size: int) -> bytes:
    """Return a file's bytes, unpacked.

    Args:
        data: Salt, check of the password, what is encrypted, and its authentication code.
        how: From its extra field.
        password: As it is typed.
        size: Bytes it unpacks to; no more are unpacked.

    Raises:
        WrongPasswordError: The password is wrong.
        ValueError: It is damaged, or packed in another way.
        ImportError: The package `cryptography` is not installed.
    """
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    salt_bytes = how.key_bytes // 2
    salt, check, code = data[:salt_bytes], data[salt_bytes : salt_bytes + 2], data[-_CODE:]
    body = data[salt_bytes + 2 : -_CODE]
    keys = hashlib.pbkdf2_hmac("sha1", password, salt, _ROUNDS, 2 * how.key_bytes + 2)
    if keys[-2:] != check:
        raise WrongPasswordError
    key, authentication = keys[: how.key_bytes], keys[how.key_bytes : 2 * how.key_bytes]
    if not hmac.compare_digest(hmac.new(authentication, body, "sha1").digest()[:_CODE], code):
        raise ValueError("its authentication code does not fit")
    # Counter mode, with the counter's bytes the other way round than everybody else's.
    cipher = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - for the counters alone
    pieces = []
    for start in range(0, len(body), _PIECE):
        piece = body[start : start + _PIECE]
        first = start // _BLOCK + 1
        count = -(-len(piece) // _BLOCK)
        counters = b"".join(number.to_bytes(_BLOCK, "little") for number in range(first, first + count))
        stream = cipher.update(counters)[: len(piece)]
        mixed = int.from_bytes(piece, "little") ^ int.from_bytes(stream, "little")
        pieces.append(mixed.to_bytes(len(piece), "little"))
    return _unpacked(b"".join(pieces), how.method, size)


def _unpacked(data: bytes, method: int, size: int) -> bytes:
    if method == _STORED:
        found = data
    elif method == _DEFLATED:
        found = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size + 1)
    else:
        raise ValueError(f"it is packed with method {method}, which can't be unpacked here")
    if len(found) != size:
        raise ValueError("it does not have the size that the archive says")
    return found

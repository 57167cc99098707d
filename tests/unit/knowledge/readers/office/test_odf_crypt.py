"""Encrypted OpenDocument files, encrypted on the spot as OpenDocument 1.2 to 1.4 and LibreOffice say."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
import zlib

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from polyport_gateway.knowledge.documents import EncryptedDocumentError, ParsingLimitError
from polyport_gateway.knowledge.readers import ReadOptions, read

from .odf_files import packed, parts_of

PASSWORD = "tea 茶"
MANIFEST = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
SALT, VECTOR = bytes(range(16)), bytes(range(16, 32))


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def manifest(entries: list[str]) -> bytes:
    return f'<manifest:manifest xmlns:manifest="{MANIFEST}">{"".join(entries)}</manifest:manifest>'.encode()


def entry(part: str, size: int, checksum: str, algorithm: str, derivation: str) -> str:
    return (
        f'<manifest:file-entry manifest:full-path="{part}" manifest:size="{size}"><manifest:encryption-data{checksum}>'
        f'{algorithm}<manifest:start-key-generation manifest:start-key-generation-name="http://www.w3.org/2000/09/'
        f'xmldsig#sha256" manifest:key-size="32"/>{derivation}</manifest:encryption-data></manifest:file-entry>'
    )


def by_parts(plain: dict[str, bytes], *, iterations: int = 1000, cipher: str = "aes256-cbc") -> bytes:
    """Encrypt each part with AES-256 in CBC mode (OpenDocument 1.2 part 3, section 4.4)."""
    start = hashlib.sha256(PASSWORD.encode()).digest()
    key = hashlib.pbkdf2_hmac("sha1", start, SALT, iterations, 32)
    parts, entries = {"mimetype": plain["mimetype"]}, []
    for name, content in plain.items():
        if name == "mimetype":
            continue
        small = deflated(content)
        padded = small + bytes(15 - len(small) % 16) + bytes([16 - len(small) % 16])
        encryptor = Cipher(algorithms.AES(key), modes.CBC(VECTOR)).encryptor()
        parts[name] = encryptor.update(padded) + encryptor.finalize()
        kind = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0#sha256-1k"
        entries.append(
            entry(
                name,
                len(content),
                f' manifest:checksum-type="{kind}" manifest:checksum="{b64(hashlib.sha256(small[:1024]).digest())}"',
                f'<manifest:algorithm manifest:algorithm-name="http://www.w3.org/2001/04/xmlenc#{cipher}" '
                f'manifest:initialisation-vector="{b64(VECTOR)}"/>',
                '<manifest:key-derivation manifest:key-derivation-name="PBKDF2" manifest:key-size="32" '
                f'manifest:iteration-count="{iterations}" manifest:salt="{b64(SALT)}"/>',
            )
        )
    return packed(parts | {"META-INF/manifest.xml": manifest(entries)})


def as_a_whole(plain: dict[str, bytes]) -> bytes:
    """Encrypt the whole package with AES-256-GCM and Argon2id, as LibreOffice 24.8 does."""
    start = hashlib.sha256(PASSWORD.encode()).digest()
    key = Argon2id(salt=SALT, length=32, iterations=1, lanes=1, memory_cost=64).derive(start)
    inner = packed(plain)
    sealed = VECTOR[:12] + AESGCM(key).encrypt(VECTOR[:12], deflated(inner), None)
    lo = "urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0"
    described = entry(
        "encrypted-package",
        len(inner),
        "",
        '<manifest:algorithm manifest:algorithm-name="http://www.w3.org/2009/xmlenc11#aes256-gcm" '
        f'manifest:initialisation-vector="{b64(VECTOR[:12])}"/>',
        f'<manifest:key-derivation xmlns:loext="{lo}" manifest:key-derivation-name="urn:org:documentfoundation:names:'
        'experimental:office:manifest:argon2id" manifest:key-size="32" loext:argon2-iterations="1" '
        f'loext:argon2-memory="64" loext:argon2-lanes="1" manifest:salt="{b64(SALT)}"/>',
    )
    return packed(
        {
            "mimetype": plain["mimetype"],
            "encrypted-package": sealed,
            "META-INF/manifest.xml": manifest([described]),
        }
    )


@pytest.fixture
def plain() -> dict[str, bytes]:
    return parts_of("odt", "<text:p>Secret words.</text:p>", meta="<dc:title>T</dc:title>")


@pytest.mark.parametrize("encrypt", [by_parts, as_a_whole])
def test_with_the_password_it_reads_as_its_plain_form(encrypt, plain) -> None:  # type: ignore[no-untyped-def]
    data = encrypt(plain)
    parsed = read(data, "a.odt", ReadOptions(password=PASSWORD))
    assert parsed.document.text == "Secret words."
    assert parsed.document.metadata["title"] == "T"
    assert parsed.document.source.size == len(data)
    with pytest.raises(EncryptedDocumentError, match="none was given"):
        read(data, "a.odt")
    with pytest.raises(EncryptedDocumentError, match="password is wrong"):
        read(data, "a.odt", ReadOptions(password="coffee"))


def test_a_cipher_of_old_is_said_to_be_unsupported(plain: dict[str, bytes]) -> None:
    with pytest.raises(EncryptedDocumentError, match="not supported"):
        read(by_parts(plain, cipher="blowfish-cfb"), "a.odt", ReadOptions(password=PASSWORD))


def test_too_many_rounds_are_refused_before_they_are_made(plain: dict[str, bytes]) -> None:
    hostile = packed_again(by_parts(plain), b'iteration-count="1000"', b'iteration-count="99999999"')
    with pytest.raises(ParsingLimitError, match="rounds"):
        read(hostile, "a.odt", ReadOptions(password=PASSWORD))


def packed_again(data: bytes, old: bytes, new: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["META-INF/manifest.xml"] = parts["META-INF/manifest.xml"].replace(old, new)
    return packed(parts)

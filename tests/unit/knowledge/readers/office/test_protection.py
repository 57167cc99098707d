"""Protected Office files, encrypted on the spot by msoffcrypto itself."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import replace

import docx
import olefile
import openpyxl
import pytest
import xlwt
from msoffcrypto.format.ooxml import OOXMLFile

from polyport_gateway.knowledge.documents import EncryptedDocumentError, Parsed, UnreadableDocumentError
from polyport_gateway.knowledge.readers import ReadOptions, detect, read
from polyport_gateway.knowledge.readers.office import protection

SALT = bytes(range(16))


def protected(plain: bytes, password: str = "tea 茶") -> bytes:
    out = io.BytesIO()
    OOXMLFile(io.BytesIO(plain)).encrypt(password, out)
    return out.getvalue()


@pytest.fixture(scope="module")
def plain_docx() -> bytes:
    file, buffer = docx.Document(), io.BytesIO()
    file.add_heading("Secret", 1)
    file.add_paragraph("Words of it.")
    file.save(buffer)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def secret_docx(plain_docx: bytes) -> bytes:
    return protected(plain_docx)


def test_a_protected_docx_reads_as_its_plain_form(plain_docx: bytes, secret_docx: bytes) -> None:
    assert detect(secret_docx, "a.docx").format == "encrypted-office"
    assert detect(secret_docx, "a.docx").warning is None
    parsed = read(secret_docx, "a.docx", ReadOptions(password="tea 茶"))
    wanted = read(plain_docx, "a.docx")
    assert parsed.document.text == wanted.document.text
    assert parsed.receipt.format == "docx"
    assert parsed.document.source.size == len(secret_docx)
    assert parsed.document.id != wanted.document.id


def test_a_protected_workbook_reads_as_one() -> None:
    book, buffer = openpyxl.Workbook(), io.BytesIO()
    book.active.append(["a", "b"])  # type: ignore[union-attr]
    book.save(buffer)
    parsed = read(protected(buffer.getvalue(), "x"), "b.xlsx", ReadOptions(password="x"))
    assert "| a | b |" in parsed.document.text


@pytest.mark.parametrize(("password", "why"), [(None, "none was given"), ("", "none was given"), ("no", "is wrong")])
def test_without_the_right_password_it_is_an_error(secret_docx: bytes, password: str | None, why: str) -> None:
    with pytest.raises(EncryptedDocumentError, match=why) as caught:
        read(secret_docx, "a.docx", ReadOptions(password=password))
    assert caught.value.code == "encrypted_document"


def test_what_is_only_protected_against_writing_needs_no_password(plain_docx: bytes) -> None:
    assert "Words of it." in read(protected(plain_docx, "VelvetSweatshop"), "a.docx").document.text


def test_a_password_is_never_in_the_options_as_text() -> None:
    assert "sesame" not in repr(ReadOptions(password="sesame"))


def test_too_many_rounds_are_refused_before_they_are_made(secret_docx: bytes) -> None:
    hostile = secret_docx.replace(b'spinCount="100000"', b'spinCount="999999"')
    assert hostile != secret_docx
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(protection, "_MOST_SPINS", 200_000)
        with pytest.raises(UnreadableDocumentError, match="rounds to check"):
            read(hostile, "a.docx", ReadOptions(password="x"))


def test_a_cut_off_file_is_an_error(secret_docx: bytes) -> None:
    with pytest.raises(UnreadableDocumentError):
        read(secret_docx[: len(secret_docx) // 2], "a.docx", ReadOptions(password="tea 茶"))


def test_strict_holds_for_what_is_inside(secret_docx: bytes) -> None:
    parsed: Parsed = read(secret_docx, "a.docx", replace(ReadOptions(password="tea 茶"), strict=True))
    assert not parsed.receipt.skipped


def rc4(key: bytes, length: int) -> bytes:
    state, j, out = list(range(256)), 0, bytearray()
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    i = j = 0
    for _ in range(length):
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(state[(state[i] + state[j]) % 256])
    return bytes(out)


def block_key(password: str, block: int) -> bytes:
    """Make the key of 1,024 bytes ([MS-OFFCRYPTO], section 2.3.6.2)."""
    first = hashlib.md5(password.encode("utf-16-le")).digest()[:5]
    second = hashlib.md5((first + SALT) * 16).digest()[:5]
    return hashlib.md5(second + block.to_bytes(4, "little")).digest()


def records(stream: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + 4 <= len(stream):
        size = int.from_bytes(stream[position + 2 : position + 4], "little")
        yield int.from_bytes(stream[position : position + 2], "little"), stream[position + 4 : position + 4 + size]
        position += 4 + size


def protected_xls(book: xlwt.Workbook, password: str) -> bytes:
    """Encrypt a workbook's records with 40-bit RC4, as Excel 97 to 2003 do ([MS-XLS], section 2.2.10)."""
    buffer = io.BytesIO()
    book.save(buffer)
    with olefile.OleFileIO(buffer) as ole:
        stream = ole.openstream("Workbook").read()
    verifier = bytes(range(16, 32))
    pad = rc4(block_key(password, 0), 32)
    sealed = bytes(a ^ b for a, b in zip(verifier + hashlib.md5(verifier).digest(), pad, strict=True))
    passed = b"\x01\0\x01\0\x01\0" + SALT + sealed
    out, begun = bytearray(), False
    places: list[tuple[int, int]] = []
    for kind, body in records(stream.rstrip(b"\0") + bytes(4)):
        if kind == 0x85:  # BOUNDSHEET: where its sheet begins moves by the new record
            body = (int.from_bytes(body[:4], "little") + len(passed) + 4).to_bytes(4, "little") + body[4:]
        places.append((kind, len(out)))
        out += kind.to_bytes(2, "little") + len(body).to_bytes(2, "little") + body
        if not begun:
            begun = True
            out += b"\x2f\0" + len(passed).to_bytes(2, "little") + passed
            places.append((0x2F, len(out) - len(passed) - 4))
    # A record that says nothing, so that the zeros xlwt fills the stream with are whole records, too.
    out += b"\0\0" + (filler := -len(out) % 4).to_bytes(2, "little") + bytes(filler)
    keystream = b"".join(rc4(block_key(password, block), 1024) for block in range(len(out) // 1024 + 1))
    for kind, start in places:
        size = int.from_bytes(out[start + 2 : start + 4], "little")
        begin = start + 4 + (4 if kind == 0x85 else 0)
        if kind not in {0x809, 0x2F}:
            for at in range(begin, start + 4 + size):
                out[at] ^= keystream[at]
    saved = io.BytesIO()
    xlwt.CompoundDoc.XlsDoc().save(saved, bytes(out))
    return saved.getvalue()


@pytest.fixture(scope="module")
def secret_xls() -> bytes:
    book = xlwt.Workbook()
    sheet = book.add_sheet("S")
    for row, values in enumerate((["name", "age"], ["Ann", 41], ["Bo", 7])):
        for column, value in enumerate(values):
            sheet.write(row, column, value)
    return protected_xls(book, "open")


def test_a_protected_xls_is_read_with_its_password(secret_xls: bytes) -> None:
    parsed = read(secret_xls, "a.xls", ReadOptions(password="open"))
    assert "| Ann | 41 |" in parsed.document.text
    assert parsed.document.source.size == len(secret_xls)
    with pytest.raises(EncryptedDocumentError, match="none was given"):
        read(secret_xls, "a.xls")
    with pytest.raises(EncryptedDocumentError, match="is wrong"):
        read(secret_xls, "a.xls", ReadOptions(password="shut"))

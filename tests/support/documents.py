"""Files to read, and a reader that does what a hostile file could make one do."""

from __future__ import annotations

import io
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

TEA = b"# Tea\n\nGreen tea is steamed.\n\n## Black\n\nIt is rolled, and then left to itself.\n"

READER = """
import ctypes, time
from polyport_gateway.knowledge.documents import (
    DocumentBuilder, EncryptedDocumentError, Paragraph, Parsed, Receipt, Skipped, source_of)

class TryingReader:
    name = "trying"
    formats = frozenset({"rtf"})

    def read(self, data, name, options):
        what = data.decode().split()
        skipped = []
        if "sleep" in what:
            time.sleep(60)
        if "nap" in what:
            time.sleep(0.2)
        if "crash" in what:
            ctypes.string_at(0)
        if "locked" in what and options.password != "sesame":
            said = "is wrong" if options.password else "is needed"
            raise EncryptedDocumentError(name, f"a password {said}.")
        if "lossy" in what:
            skipped.append(Skipped("page", "it is torn.", page=2))
        builder = DocumentBuilder(source_of(data, name, "application/rtf"))
        builder.add(Paragraph(text=" ".join(what[1:])))
        document = builder.build()
        return Parsed(document, Receipt.of(document, reader=self.name, format="rtf", skipped=skipped))
"""


def trying(*what: str) -> bytes:
    """Return a file for the reader: it takes RTF over, which none of ours reads."""
    return b" ".join([rb"{\rtf", *(word.encode() for word in what)])


def install_reader(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Add the reader to the processes that are started from now on; this one does not have it."""
    metadata = folder / "trying-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: trying\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[polyport.readers]\ntrying = trying_reader:TryingReader\n")
    (folder / "trying_reader.py").write_text(READER)
    monkeypatch.setenv("PYTHONPATH", ":".join([str(folder), *filter(None, sys.path)]))


def png(width: int = 2, height: int = 2) -> bytes:
    """Return a small picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\x00\x00\x00"
    rows = b"".join(b"\x00" + b"\xff\x00\x00" * width for _ in range(height))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def docx(*paragraphs: str, picture: bool = False, rows: Any = ()) -> bytes:
    """Return a Word file."""
    from docx import Document

    made = Document()
    made.add_heading("Harvest", 1)
    for paragraph in paragraphs:
        made.add_paragraph(paragraph)
    if picture:
        made.add_picture(io.BytesIO(png()))
    if rows:
        table = made.add_table(len(rows), len(rows[0]))
        for row, values in zip(table.rows, rows, strict=True):
            for cell, value in zip(row.cells, values, strict=True):
                cell.text = value
    file = io.BytesIO()
    made.save(file)
    return file.getvalue()


def form(**members: Any) -> tuple[bytes, str]:
    """Return a form as curl would send it, and its content type; a file is a pair of name and bytes."""
    boundary = "------------------------d74496d66958873e"
    parts = []
    for name, value in members.items():
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name.rstrip("_")}"'
        if isinstance(value, tuple):
            head += f'; filename="{value[0]}"\r\nContent-Type: application/octet-stream'
        data = value[1] if isinstance(value, tuple) else str(value).encode()
        parts.append(head.encode() + b"\r\n\r\n" + data + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"

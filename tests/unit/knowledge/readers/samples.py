"""A small valid file of every format, made on the spot.

A reader of a new format adds its sample here: `test_bad_input` fails for a format that has none.
"""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import io
import lzma
from collections.abc import Callable

from tests.support.compound import compound

from .test_archives import tarred, zipped
from .test_epub import book
from .test_outlook import message

__all__ = ["EXTENSIONS", "SAMPLES", "sample"]

TEXT = "Tea is hot. 茶很热。مرحبا 👩‍👩‍👧 e\u0301\n\nMilk is cold.\n"
HTML = "<html><body><h1>Tea</h1><p>hot 茶</p><table><tr><th>a</th></tr><tr><td>1</td></tr></table></body></html>"
MAIL = (
    "Subject: Tea\nFrom: Ann <ann@example.org>\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\nhot 茶\n"
)


def _docx() -> bytes:
    from docx import Document

    made = Document()
    made.add_heading("Tea", 1)
    made.add_paragraph("hot 茶")
    made.add_table(2, 2).cell(0, 0).text = "a"
    return _saved(made.save)


def _xlsx() -> bytes:
    from openpyxl import Workbook

    made = Workbook()
    made.active.append(["what", "price"])
    made.active.append(["茶", 3])
    return _saved(made.save)


def _pptx() -> bytes:
    from pptx import Presentation

    made = Presentation()
    made.slides.add_slide(made.slide_layouts[0]).shapes.title.text = "Tea"
    return _saved(made.save)


def _opendocument(kind: str) -> bytes:
    from odfdo import Document, DrawPage, Frame, Paragraph, Table

    made = Document(kind)
    made.body.clear()
    if kind == "text":
        made.body.append(Paragraph("Tea is hot."))
    elif kind == "spreadsheet":
        table = Table("Tea", width=2, height=2)
        table.set_value("A1", "hot")
        made.body.append(table)
    else:
        page = DrawPage("one", name="one")
        page.append(Frame.text_frame("Tea is hot.", size=("7cm", "5cm"), position=("1cm", "1cm")))
        made.body.append(page)
    return _saved(made.save)


def _protected() -> bytes:
    from msoffcrypto.format.ooxml import OOXMLFile

    target = io.BytesIO()
    # With this password Office encrypts what anybody may read, but not change.
    OOXMLFile(io.BytesIO(_docx())).encrypt("VelvetSweatshop", target)
    return target.getvalue()


def _xls() -> bytes:
    from xlwt import Workbook

    made = Workbook()
    made.add_sheet("Tea").write(0, 0, "hot")
    return _saved(made.save)


def _pdf() -> bytes:
    from reportlab.pdfgen.canvas import Canvas

    target = io.BytesIO()
    made = Canvas(target)
    made.drawString(72, 700, "Tea is hot.")
    made.save()
    return target.getvalue()


def _picture(kind: str) -> bytes:
    from PIL import Image, ImageDraw

    made = Image.new("RGB", (160, 48), "white")
    ImageDraw.Draw(made).text((8, 8), "Tea 42", fill="black")
    target = io.BytesIO()
    made.save(target, kind)
    return target.getvalue()


def _saved(save: Callable[[io.BytesIO], object]) -> bytes:
    target = io.BytesIO()
    save(target)
    return target.getvalue()


SAMPLES: dict[str, Callable[[], bytes]] = {
    "bmp": lambda: _picture("BMP"),
    "bzip2": lambda: bz2.compress(TEXT.encode()),
    "code": lambda: b"def tea():\n    return 'hot'\n",
    "csv": lambda: "a,b\n茶,2\n".encode(),
    "docx": _docx,
    "eml": lambda: MAIL.encode(),
    "encrypted-office": _protected,
    "epub": book,
    "gif": lambda: _picture("GIF"),
    "gzip": lambda: gzip.compress(TEXT.encode()),
    "html": lambda: HTML.encode(),
    "jpeg": lambda: _picture("JPEG"),
    "json": lambda: '{"tea": ["hot", {"茶": 1.5}]}'.encode(),
    "jsonl": lambda: b'{"a": 1}\n{"a": 2}\n',
    "markdown": lambda: "# Tea\n\nhot **茶**\n\n| a | b |\n| - | - |\n| 1 | 2 |\n".encode(),
    "msg": lambda: compound(message(t1000="hot 茶")),
    "odp": lambda: _opendocument("presentation"),
    "ods": lambda: _opendocument("spreadsheet"),
    "odt": lambda: _opendocument("text"),
    "pdf": _pdf,
    "png": lambda: _picture("PNG"),
    "pptx": _pptx,
    "rtf": lambda: rb"{\rtf1\ansi Tea is \b hot\b0 .\par}",
    "srt": lambda: "1\n00:00:01,000 --> 00:00:02,000\nhot 茶\n".encode(),
    "tar": lambda: tarred([("a.txt", TEXT.encode()), ("b.csv", b"a,b\n1,2\n")]),
    "text": lambda: TEXT.encode(),
    "tiff": lambda: _picture("TIFF"),
    "tsv": lambda: b"a\tb\n1\t2\n",
    "vtt": lambda: "WEBVTT\n\n00:01.000 --> 00:02.000\nhot 茶\n".encode(),
    "webp": lambda: _picture("WEBP"),
    "xls": _xls,
    "xlsx": _xlsx,
    "xml": lambda: '<?xml version="1.0"?><tea><hot kind="茶">yes</hot></tea>'.encode(),
    "xz": lambda: lzma.compress(TEXT.encode()),
    "yaml": lambda: "tea:\n  - hot\n  - 茶: 1.5\n".encode(),
    "zip": lambda: zipped([("a.txt", TEXT.encode()), ("b.html", HTML.encode())]),
}
"""How to make a file of each format."""

EXTENSIONS = {
    "bzip2": "txt.bz2", "code": "py", "encrypted-office": "docx", "gzip": "txt.gz", "jpeg": "jpg", "markdown": "md",
    "text": "txt", "xz": "txt.xz",
}  # fmt: skip
NEEDS = {
    "docx": "docx", "encrypted-office": "msoffcrypto", "odp": "odfdo", "ods": "odfdo", "odt": "odfdo",
    "pdf": "reportlab", "pptx": "pptx", "xls": "xlwt", "xlsx": "openpyxl",
} | dict.fromkeys(("bmp", "gif", "jpeg", "png", "tiff", "webp"), "PIL")  # fmt: skip


def sample(kind: str) -> tuple[bytes, str] | None:
    """Return a file and its name; None where what makes it is not installed."""
    if kind in NEEDS and importlib.util.find_spec(NEEDS[kind]) is None:
        return None
    return SAMPLES[kind](), f"sample.{EXTENSIONS.get(kind, kind)}"

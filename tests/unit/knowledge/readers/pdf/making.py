"""PDFs made on the spot."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence

from reportlab.pdfgen.canvas import Canvas

from polyport_gateway.knowledge.documents import Block, Parsed
from polyport_gateway.knowledge.readers import ReadOptions
from polyport_gateway.knowledge.readers.pdf import PdfReader

WIDTH, HEIGHT = 595.0, 842.0
WORDS = re.findall(
    r"\w+",
    "the kettle sings while somebody reads a long letter about gardens and rivers and the slow work of making tea "
    "for guests who came from far away to hear old stories told again beside the quiet window in winter",
)


def made(draw: Callable[[Canvas], None], **options: object) -> bytes:
    """Return the PDF that a function draws."""
    target = io.BytesIO()
    canvas = Canvas(target, pagesize=(WIDTH, HEIGHT), **options)
    draw(canvas)
    canvas.save()
    return target.getvalue()


def read(data: bytes, **options: object) -> Parsed:
    """Read a PDF; without OCR unless told."""
    return PdfReader().read(data, "a.pdf", ReadOptions(**{"ocr": "never", **options}))


def prose(canvas: Canvas, x: float, y: float, width: float, lines: int, *, start: int = 0, size: float = 10) -> str:
    """Draw a sentence of lines that fill a width, and return it."""
    canvas.setFont("Helvetica", size)
    said: list[str] = []
    at = start
    for number in range(lines):
        line: list[str] = []
        while canvas.stringWidth(" ".join([*line, WORDS[at % len(WORDS)]]), "Helvetica", size) < width:
            line.append(WORDS[at % len(WORDS)])
            at += 1
        if number == 0:
            line[0] = line[0].capitalize()
        if number == lines - 1:
            line[-1] += "."
        canvas.drawString(x, y - number * 1.2 * size, " ".join(line))
        said += line
    return " ".join(said)


def rows(
    canvas: Canvas, x: float, y: float, columns: Sequence[float], texts: Sequence[Sequence[str]], step: float = 15
):
    """Draw texts in columns."""
    for number, row in enumerate(texts):
        for column, text in zip(columns, row, strict=True):
            canvas.drawString(x + column, y - number * step, text)


def kinds(parsed: Parsed) -> list[str]:
    """Return the kinds of the blocks."""
    return [block.kind for block in parsed.document.blocks]


def only(parsed: Parsed, kind: type[Block]) -> Block:
    """Return the one block of a kind."""
    found = [block for block in parsed.document.blocks if isinstance(block, kind)]
    assert len(found) == 1, [(block.kind, block.text) for block in parsed.document.blocks]
    return found[0]


def raw(objects: Sequence[bytes], *, root: int = 1) -> bytes:
    """Return a PDF of objects as they are."""
    out = b"%PDF-1.7\n"
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start = len(out)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return (
        out
        + b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
        + table
        + (b"trailer<</Size %d/Root %d 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, root, start))
    )


def stream(content: bytes) -> bytes:
    """Return a stream object."""
    return b"<</Length %d>>stream\n" % len(content) + content + b"\nendstream"

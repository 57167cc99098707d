"""How fast one warm process makes documents of bytes: ``python -m tests.benchmarks.reading [ROUNDS]``."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from polyport_gateway.knowledge.parsing import ParseLimits, ParserPool
from polyport_gateway.knowledge.readers import read
from tests.benchmarks.report import Section, at_least, at_most, ratio, render
from tests.support.machine import ROOT

__all__ = ["measure_reading"]

PEER_PYTHON = ROOT / ".venv-documents" / "bin" / "python"
PAGES = 200
FEW_PAGES = 10
"""Pages that the peer reads too: it takes half a second for each."""
LINES = 50
SENTENCE = "The quick brown fox jumps over the lazy dog while seven wizards brew tea."
TIMES = 20
"""How often a small file is read in a round."""


def one_page_docx() -> bytes:
    """Make a page of Word: headings, paragraphs, a list, a table."""
    from docx import Document

    made = Document()
    made.add_heading("Quarterly report", 1)
    for number in range(6):
        made.add_paragraph(f"{number}. {SENTENCE} " * 3)
    for item in ("revenue", "costs", "outlook"):
        made.add_paragraph(item, style="List Bullet")
    table = made.add_table(rows=6, cols=4)
    for row in range(6):
        for column in range(4):
            table.cell(row, column).text = f"{row * column * 17}"
    target = io.BytesIO()
    made.save(target)
    return target.getvalue()


def dense_pdf(pages: int = PAGES) -> bytes:
    """Make pages of about 3,000 characters of plain text."""
    from reportlab.lib.pagesizes import A4
    from reportlab.pdfgen.canvas import Canvas

    target = io.BytesIO()
    canvas = Canvas(target, pagesize=A4)
    for page in range(pages):
        text = canvas.beginText(56, 790)
        text.setFont("Times-Roman", 10)
        for line in range(LINES):
            text.textLine(f"{page}.{line} {SENTENCE}")
        canvas.drawText(text)
        canvas.showPage()
    canvas.save()
    return target.getvalue()


def large_csv() -> bytes:
    """Make a table of 100,000 rows and 10 columns."""
    lines = ["id,name,city,street,price,amount,rate,day,colour,note"]
    lines += [
        f"{n},name {n},city {n % 97},street {n % 1013},{n % 89}.5,{n % 7},0.{n % 100:02},2026-01-{n % 28 + 1:02},r,t"
        for n in range(100_000)
    ]
    return "\n".join(lines).encode()


def measure_reading(folder: Path, *, rounds: int) -> Section:
    """Measure, with markitdown in the same rounds where it is installed."""
    files = {
        "page.md": b"# Tea\n\nHot.\n",
        "page.docx": one_page_docx(),
        "dense.pdf": dense_pdf(),
        "short.pdf": dense_pdf(FEW_PAGES),
        "large.csv": large_csv(),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    ours: dict[str, list[float]] = {name: [] for name in files}
    theirs: dict[str, list[float]] = {name: [] for name in files}
    alone: list[float] = []
    section = Section("Reading documents, one warm process")
    memory = asyncio.run(_ours(files, ours, alone, theirs, folder, rounds))
    pages = [PAGES / seconds for seconds in ours["dense.pdf"]]
    section.add("one-page DOCX", [1000 * seconds for seconds in ours["page.docx"]], "ms", at_most(50))
    section.add(f"PDF of {PAGES} dense pages", pages, "pages/s", at_least(20))
    section.add("memory of its process at most", memory / (1 << 20), "MiB")
    section.add("CSV, 100,000 × 10", ours["large.csv"], "s")
    section.add("small Markdown file", [1000 * seconds for seconds in ours["page.md"]], "ms")
    section.add("of that, more than in this process", [1000 * seconds for seconds in alone], "ms")
    if theirs["page.docx"]:
        for name, what in (("page.docx", "DOCX"), ("short.pdf", "PDF"), ("large.csv", "CSV")):
            if len(theirs[name]) == rounds:
                section.add(f"markitdown's time by ours, {what}", ratio(theirs[name], ours[name]), "times", at_least(1))
    else:
        section.notes.append("markitdown is not installed (make documents-peer-venv), so it was not measured.")
    return section


async def _ours(
    files: dict[str, bytes],
    ours: dict[str, list[float]],
    alone: list[float],
    theirs: dict[str, list[float]],
    folder: Path,
    rounds: int,
) -> int:
    most = 0
    read(files["page.md"], "page.md")
    async with ParserPool(workers=1, limits=ParseLimits(wall_s=600, cpu_s=600)) as pool:
        for name, data in files.items():
            await pool.parse(data, name)  # warm
        for _ in range(rounds):
            for name, data in files.items():
                times = TIMES if len(data) < 100_000 else 1
                began = time.perf_counter()
                for _ in range(times):
                    parsed = await pool.parse(data, name)
                ours[name].append((time.perf_counter() - began) / times)
                if name == "dense.pdf":
                    assert parsed.document.text.count("wizards") == PAGES * LINES
                    most = max(most, *(child.memory_info().rss for child in psutil.Process().children()))
            began = time.perf_counter()
            for _ in range(TIMES):
                read(files["page.md"], "page.md")
            alone.append(ours["page.md"][-1] - (time.perf_counter() - began) / TIMES)
            if PEER_PYTHON.exists():
                for name, seconds in _peer([folder / name for name in files if name != "dense.pdf"]).items():
                    theirs[name].append(seconds)
    return most


def _peer(paths: list[Path]) -> dict[str, float]:
    script = Path(__file__).with_name("documents_peer.py")
    done = subprocess.run(
        [str(PEER_PYTHON), str(script), "markitdown", *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=900,
        check=True,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {Path(answer["file"]).name: answer["seconds"] for answer in answers if "seconds" in answer}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        print(render(measure_reading(Path(place), rounds=int(sys.argv[1]) if len(sys.argv) > 1 else 3)))

"""Score the readers against expected text: ``python documents.py DATA_FOLDER [--peers PYTHON] [--json FILE]``.

DATA_FOLDER holds a folder for each format (docling's tests have such files: `tests/data` of docling-project/docling),
and beside each file its text as ``<file>.expected.md``. PYTHON is one of an environment with the peers, which is never
the one of this program, for they bring pandas, lxml and more::

    python -m venv .venv-peers
    .venv-peers/bin/pip install --group documents-peer
    python tests/benchmarks/documents.py DATA_FOLDER --peers .venv-peers/bin/python

Each file is read twice by each reader, and the second time counts. A format that this program has no reader for is
left out, and said to be.

- words: the share of the expected words that are there, each as often as expected;
- cells: likewise, of the texts of table cells;
- grids: the share of the expected tables that come out cell by cell, merged cells repeated;
- order: of the expected lines that are there, the share that comes in the expected order;
- ms: the median of the files' seconds, in milliseconds, in a process that is warm.

The expected text comes from docling itself: its figures are a ceiling by definition, and what it leaves out counts for
nobody. `--each` prints every file's figures.
"""

from __future__ import annotations

import argparse
import html
import json
import re
import subprocess
import sys
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

from polyport_gateway.knowledge.documents import UnsupportedFormatError
from polyport_gateway.knowledge.readers import read

PEERS = ("markitdown", "docling")
RAISED = re.compile(r"</?su[bp]>")
WORD = re.compile(r"\w+")
DELIMITER = re.compile(r"\|(?:\s*:?-+:?\s*\|)+")
Grid = list[list[str]]


@dataclass(frozen=True)
class Score:
    """How much of the expected text is there; None where nothing of the kind is expected."""

    words: float | None
    cells: float | None
    grids: float | None
    order: float | None
    seconds: float


def plain(text: str) -> str:
    """Take Markdown's signs away, so that how a style or a list is written does not count."""
    text = html.unescape(RAISED.sub("", text)).replace("<br>", " ").replace("<!-- image -->", " ")
    text = re.sub(r"!\[([^\]]*)\]\([^)]*\)", r"\1", text, flags=re.DOTALL)
    text = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text)
    text = re.sub(r"[*_`~$]+", "", text)
    return " ".join(re.sub(r"(^|\s)(?:[-•●○▪#>]+|\[[ x]\]|\d+\.)(?=\s)", " ", text).split())


def grids_of(markdown: str) -> list[Grid]:
    """Read the tables of a Markdown text; empty rows and columns at an edge say nothing."""
    grids: list[Grid] = []
    lines = markdown.splitlines()
    for index, line in enumerate(lines):
        if not DELIMITER.fullmatch(line.strip()) or not index:
            continue
        grid = [_row(lines[index - 1])]
        for below in lines[index + 1 :]:
            if not below.strip().startswith("|"):
                break
            grid.append(_row(below))
        while grid and not any(grid[0]):
            grid.pop(0)
        while grid and not any(grid[-1]):
            grid.pop()
        grids.append(grid)
    return [grid for grid in grids if sum(bool(cell) for row in grid for cell in row) > 1]


def _row(line: str) -> list[str]:
    return [plain(cell) for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def recall(expected: Iterable[str], found: Iterable[str]) -> float | None:
    """Return the share of what is expected that is found, each as often as it is expected."""
    wanted, there = Counter(expected), Counter(found)
    return (wanted & there).total() / wanted.total() if wanted else None


def order(expected: str, found: str) -> float | None:
    """Return the share of lines, of those found, that come in the expected order (longest increasing run)."""
    whole = " ".join(WORD.findall(plain(found)))
    places = []
    for line in expected.splitlines():
        words = " ".join(WORD.findall(plain(line)))
        if len(words) > 12 and whole.count(words) == 1:
            places.append(whole.index(words))
    tails: list[int] = []
    for place in places:
        at = bisect_left(tails, place)
        tails[at : at + 1] = [place]
    return len(tails) / len(places) if places else None


def score(expected: str, found: str, seconds: float) -> Score:
    """Compare one file's text with what is expected."""
    wanted, there = grids_of(expected), grids_of(found)
    return Score(
        recall(WORD.findall(plain(expected)), WORD.findall(plain(found))),
        recall(
            (cell for grid in wanted for row in grid for cell in row if cell),
            (cell for grid in there for row in grid for cell in row if cell),
        ),
        recall(map(json.dumps, wanted), map(json.dumps, there)),
        order(expected, found),
        seconds,
    )


def ours(files: list[Path]) -> dict[Path, tuple[str, float]]:
    """Read the files here, as a user does: what a file is, its bytes say."""
    done = {}
    for path in files:
        data = path.read_bytes()
        try:
            read(data, path.name)
        except UnsupportedFormatError as error:
            print(f"polyport: {error}", file=sys.stderr)
            continue
        began = time.perf_counter()
        parsed = read(data, path.name)
        done[path] = parsed.document.to_markdown(), time.perf_counter() - began
    return done


def theirs(python: str, peer: str, files: list[Path]) -> dict[Path, tuple[str, float]]:
    """Read the files with a peer."""
    script = Path(__file__).with_name("documents_peer.py")
    done = subprocess.run(
        [python, str(script), peer, *map(str, files)], capture_output=True, text=True, timeout=600, check=True
    )
    found = {}
    for line in done.stdout.splitlines():
        answer = json.loads(line) if line.startswith("{") else {}
        if "text" in answer:
            found[Path(answer["file"])] = answer["text"], answer["seconds"]
        elif answer:
            print(f"{peer}: {Path(answer['file']).name}: {answer['error']}", file=sys.stderr)
    return found


def row(name: str, form: str, scores: list[Score], files: int) -> dict[str, object]:
    """Sum up one reader's scores over one format; a file that it can't read counts as nothing found."""
    result: dict[str, object] = {"reader": name, "format": form, "files": files, "read": len(scores)}
    for field in ("words", "cells", "grids", "order"):
        values = [value for found in scores if (value := getattr(found, field)) is not None]
        result[field] = round(mean(values), 4) if values else None
    result["ms"] = round(1000 * median(found.seconds for found in scores), 1) if scores else None
    return result


def files_of(folder: Path) -> dict[str, list[Path]]:
    """Return the files of each format, those whose text is known."""
    found: dict[str, list[Path]] = {}
    for expected in sorted(folder.glob("*/*.expected.md")):
        path = expected.with_name(expected.name.removesuffix(".expected.md"))
        if path.exists():
            found.setdefault(expected.parent.name, []).append(path)
    return found


def show(rows: list[dict[str, object]]) -> None:
    """Print a table."""
    print(f"{'reader':12}{'format':8}{'files':>6}{'read':>6}{'words':>8}{'cells':>8}{'grids':>8}{'order':>8}{'ms':>9}")
    for entry in rows:
        figures = [("–" if entry[key] is None else f"{entry[key]:.3f}") for key in ("words", "cells", "grids", "order")]
        print(
            f"{entry['reader']:12}{entry['format']:8}{entry['files']:>6}{entry['read']:>6}"
            + "".join(f"{figure:>8}" for figure in figures)
            + f"{entry['ms']!s:>9}"
        )


def main() -> None:
    """Score every format that is there, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peers", help="python of an environment with the peers")
    parser.add_argument("--formats", nargs="*", help="only these folders")
    parser.add_argument("--each", action="store_true", help="print every file's figures too")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = []
    for form, files in files_of(given.folder).items():
        if given.formats and form not in given.formats:
            continue
        results = {"polyport": ours(files)}
        if not results["polyport"]:
            print(f"{form}: left out, for there is no reader", file=sys.stderr)
            continue
        for peer in PEERS if given.peers else ():
            results[peer] = theirs(given.peers, peer, files)
        for name, texts in results.items():
            scores = {
                path: score(Path(f"{path}.expected.md").read_text(), *texts[path]) for path in files if path in texts
            }
            rows.append(row(name, form, list(scores.values()), len(files)))
            if given.each:
                rows += [row(f" {path.name[:40]}", name, [found], 1) for path, found in scores.items()]
    show(rows)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()

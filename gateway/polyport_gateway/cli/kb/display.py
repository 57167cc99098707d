"""Passages, documents, bases and jobs as a person reads them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from polyport_gateway.cli.docs.show import fit, on_one_line
from polyport_gateway.cli.output import is_terminal

if TYPE_CHECKING:
    from rich.text import Text

    from polyport.types.knowledge import KnowledgeCitation, KnowledgeHit, KnowledgeHop, KnowledgeJob, LeftOut

__all__ = [
    "amount",
    "chain_lines",
    "left_out_lines",
    "matching",
    "passage",
    "place_of",
    "show_hit",
    "sizes",
    "summary",
    "when",
    "wrapped",
]

_SHOWN = 480
"""Characters of a passage that are shown unless all of it is asked for."""
_IDEOGRAPHS = "⺀-鿿豈-﫿぀-ヿ가-힯𠀀-𯿿"
_WORDS = re.compile(rf"[{_IDEOGRAPHS}]+|(?:(?![{_IDEOGRAPHS}])[^\W_])+")
_PIECES = re.compile(
    rf"(?:[{_IDEOGRAPHS}]|[^\s{_IDEOGRAPHS}]+?(?=[{_IDEOGRAPHS}\s]|$)|\S)[，。！？；：、）》」』”’…,.!?;:)\]}}]*\s*"
)
"""What is not broken: an ideograph or a word, with what closes it."""
_INDENT = "    "
_LEAST_WIDTH = 20
_COMMON = frozenset(
    {
        "a", "an", "and", "are", "as", "at", "be", "by", "can", "did", "do", "does", "for", "from", "has", "have",
        "how", "in", "is", "it", "its", "of", "on", "or", "that", "the", "this", "to", "was", "were", "what", "when",
        "where", "which", "who", "whom", "whose", "why", "will", "with",
    }
)  # fmt: skip


def matching(text: str, query: str) -> list[tuple[int, int]]:
    """Return where a text has what was asked for: words without regard to case and endings, Chinese by two characters.

    >>> matching("Teas are steeped.", "How is tea steeped?")
    [(0, 4), (9, 16)]
    >>> matching("红茶用沸水冲泡", "怎么泡红茶")
    [(0, 2)]
    """
    asked, pairs = _asked(query)
    found: list[tuple[int, int]] = []
    for word in _WORDS.finditer(text):
        if _ideographic(word[0]):
            found += _pairs_in(word[0], word.start(), pairs)
        elif _stem(word[0].lower()) in asked:
            found.append(word.span())
    return found


def _asked(query: str) -> tuple[set[str], set[str]]:
    words: set[str] = set()
    pairs: set[str] = set()
    for word in _WORDS.findall(query):
        if _ideographic(word):
            pairs |= {word[place : place + 2] for place in range(max(1, len(word) - 1))}
        elif word.lower() not in _COMMON:
            words.add(_stem(word.lower()))
    return words, pairs


def _ideographic(word: str) -> bool:
    return re.match(f"[{_IDEOGRAPHS}]", word) is not None


def _pairs_in(run: str, start: int, pairs: set[str]) -> Iterator[tuple[int, int]]:
    covered = [False] * len(run)
    for pair in pairs:
        place = run.find(pair)
        while place >= 0:
            covered[place : place + len(pair)] = [True] * len(pair)
            place = run.find(pair, place + 1)
    begin: int | None = None
    for place, inside in enumerate([*covered, False]):
        if inside and begin is None:
            begin = place
        elif not inside and begin is not None:
            yield start + begin, start + place
            begin = None


def _stem(word: str) -> str:
    for ending in ("ing", "ies", "es", "ed", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word.removesuffix(ending)
    return word


def passage(text: str, query: str, most: int | None = _SHOWN) -> str:
    """Return as much of a passage as is shown: around what was asked for, where it is long."""
    text = " ".join(fit(text).split())
    if most is None or len(text) <= most:
        return text
    spans = matching(text, query)
    first = spans[0][0] if spans else 0
    start = max(0, min(first - most // 4, len(text) - most))
    if start:
        # Not in the middle of a word, where words are apart.
        start = text.find(" ", start, start + 30) + 1 or start
    end = min(len(text), start + most)
    return ("… " if start else "") + text[start:end] + (" …" if end < len(text) else "")


def place_of(found: KnowledgeHit | KnowledgeCitation) -> str:
    """Return where a passage stands: file, page or cells, headings."""
    pages = getattr(found, "pages", None) or ([found.page] if found.page else [])
    parts = [on_one_line(found.source)] if found.source else []
    if found.cells:
        parts.append(on_one_line(found.cells))
    elif pages:
        parts.append(f"page {pages[0]}" if len(pages) == 1 else f"pages {pages[0]}–{pages[-1]}")
    if found.heading_path:
        parts.append(" › ".join(on_one_line(heading) for heading in found.heading_path))
    return " · ".join(parts)


def show_hit(number: int, hit: KnowledgeHit, query: str, *, several: bool, whole: bool) -> None:
    """Write a passage: on a terminal with the words that were asked for marked, in a pipe as a line."""
    if not is_terminal():
        cells = (f"{hit.score:.4f}", hit.knowledge, hit.title, place_of(hit), passage(hit.text, query, None))
        typer.echo("\t".join(" ".join(fit(cell).split()) for cell in cells))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    head = Text.assemble(
        (f"{number:>2}  ", "dim"), _marked(on_one_line(hit.title) or "(no title)", query, "bold"),
        (f"  {hit.score:.3f}", "cyan"),
    )  # fmt: skip
    if several:
        head.append(f"  in {on_one_line(hit.knowledge)}", "magenta")
    console.print(head)
    width = max(_LEAST_WIDTH, console.width - len(_INDENT) - 1)
    shown = passage(hit.text, query, None if whole else _SHOWN)
    marked = _marked(shown, query)
    blocks = [(place_of(hit), "dim", None), (shown, "", marked), *((line, "dim italic", None) for line in _why(hit))]
    for text, how, ready in blocks:
        for start, end in wrapped(text, width):
            line = Text(text[start:end], how) if ready is None else ready[start:end]
            console.print(Text.assemble(_INDENT, line))
    console.print()


def wrapped(text: str, width: int) -> list[tuple[int, int]]:
    """Return where the lines of a text lie that is no wider than so many columns, of which ideographs take two.

    Lines break at spaces and beside ideographs, and none begins with the mark that closes what stands before it.

    >>> [text[start:end] for text in ["GPU 服务器有八块。"] for start, end in wrapped(text, 10)]
    ['GPU 服务器', '有八块。']
    """
    from rich.cells import cell_len

    lines: list[tuple[int, int]] = []
    start = end = used = 0
    for piece in _PIECES.finditer(text):
        wide = cell_len(piece[0].rstrip())
        if used and used + wide > width:
            lines.append((start, end))
            start, used = piece.start(), 0
        used += cell_len(piece[0])
        end = piece.start() + len(piece[0].rstrip())
        while used > width and end - start > 1 and cell_len(text[start:end]) > width:
            # A word longer than a line.
            cut = next(
                place for place in range(end, start, -1) if cell_len(text[start:place]) <= width or place == start + 1
            )
            lines.append((start, cut))
            start, used = cut, cell_len(text[cut : piece.end()])
    return [*lines, (start, end)] if end > start else lines


def _marked(text: str, query: str, how: str = "") -> Text:
    from rich.text import Text

    shown = Text(text, how)
    for start, end in matching(text, query):
        shown.stylize("bold yellow", start, end)
    return shown


def _why(hit: KnowledgeHit) -> Iterator[str]:
    scores = " ".join(f"{stage} {score:.3f}" for stage, score in hit.scores.items())
    if hit.why or scores:
        yield fit(" ".join(filter(None, (hit.why, f"({scores})" if scores else ""))))
    if len(hit.chain) > 1:  # of a single step, why it was chosen says as much
        yield from chain_lines(hit.chain)
    if hit.duplicates:
        yield f"The same stands in {', '.join(map(on_one_line, hit.duplicates))}."


def chain_lines(chain: Sequence[KnowledgeHop]) -> Iterator[str]:
    """Say which passage led to which, and by what."""
    arrows = {"forward": "→", "backward": "←", "sideways": "↔"}
    for hop in chain:
        source, target = on_one_line(hop.source_title) or str(hop.source), on_one_line(hop.target_title)
        yield f"{source} {arrows[hop.direction]} {target or hop.target} by {on_one_line(hop.clue)!r}"


def left_out_lines(left_out: Iterable[LeftOut]) -> Iterator[str]:
    """Say which knowledge bases are missing."""
    for one in left_out:
        yield f"{on_one_line(one.knowledge)} is left out: {fit(one.reason)} [{one.code}]"


def summary(job: KnowledgeJob) -> str:
    """Say what came of a job, in a line."""
    counts = [
        f"{getattr(job, name):,} {name}"
        for name in ("added", "updated", "unchanged", "removed", "failed")
        if getattr(job, name)
    ]
    done = ", ".join(counts) or (f"{job.done:,} done" if job.done else "nothing to do")
    return done if job.status == "completed" else f"{job.status}: {done}"


def amount(count: int, what: str) -> str:
    """Return a count with its noun."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def sizes(count: int) -> str:
    """Return a number of bytes as people say it.

    >>> sizes(1_500_000)
    '1.4 MiB'
    """
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def when(seconds: float | None) -> str:
    """Return a time as people of this machine's zone say it."""
    return "" if not seconds else datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")

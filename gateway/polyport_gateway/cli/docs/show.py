"""Documents, receipts, chunks and failures as a person reads them."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence

import typer

from polyport_gateway.cli.docs.inputs import Failure
from polyport_gateway.cli.output import is_terminal, style
from polyport_gateway.knowledge.chunkers import Chunk
from polyport_gateway.knowledge.documents import Receipt

__all__ = ["fit", "on_one_line", "show_chunk", "show_failures", "show_receipt", "write_text"]

_MOST_PAGES = 20
_MOST_SKIPPED = 50
_LABEL = 12
_BREAKS = str.maketrans("\n\r\t", "␊␍␉")


def fit(text: str) -> str:
    """Return a file's text without what would steer a terminal."""
    from polyport_sandbox.terminal.clean import Cleaner

    return Cleaner().feed(text.encode("utf-8", "replace"), last=True)


def on_one_line(name: str) -> str:
    """Return a file's name as it can stand in a line."""
    return fit(name).translate(_BREAKS)


def write_text(text: str) -> None:
    """Write a file's text to standard output: as it is in a pipe, without control sequences on a terminal."""
    shown = fit(text) if is_terminal() else text
    # What the output's encoding has no form for is replaced, not a crash in the middle of a file.
    encoding = sys.stdout.encoding or "utf-8"
    data = shown.encode(encoding, "replace")
    typer.echo(data if data.endswith(b"\n") else data + b"\n", nl=False)


def show_receipt(label: str, receipt: Receipt, *, err: bool = False) -> None:
    """Write a receipt."""
    typer.echo(style(on_one_line(label), err=err, bold=True), err=err)
    for name, value in _lines(receipt):
        for position, line in enumerate(_wrapped(fit(value), err=err)):
            head = f"  {name:<{_LABEL}}" if position == 0 else " " * (_LABEL + 2)
            typer.echo(f"{style(head, err=err, fg='cyan')}{line}", err=err)


def _lines(receipt: Receipt) -> Iterator[tuple[str, str]]:
    yield "read as", f"{receipt.format} ({receipt.reader})"
    lost = f" of {receipt.pages_in}" if receipt.pages_out != receipt.pages_in else ""
    yield "pages", f"{receipt.pages_out}{lost}"
    counts = ((receipt.blocks, "block"), (receipt.tables, "table"), (receipt.pictures, "picture"))
    yield "found", ", ".join(f"{count:,} {what}{'' if count == 1 else 's'}" for count, what in counts)
    yield "characters", _characters(receipt.characters)
    if receipt.ocr_confidence is not None:
        yield "OCR", f"{receipt.ocr_confidence:.1%} confidence"
    for item in receipt.skipped[:_MOST_SKIPPED]:
        times = f"{item.count} × " if item.count > 1 else ""
        where = "".join((f", page {item.page}" if item.page else "", f", {item.part}" if item.part else ""))
        yield "left out", f"{times}{item.what}{where}: {item.why}"
    if len(receipt.skipped) > _MOST_SKIPPED:
        yield "left out", f"and {len(receipt.skipped) - _MOST_SKIPPED:,} more; --json lists them"
    for warning in receipt.warnings:
        yield "warning", warning
    yield "seconds", f"{receipt.seconds:.3f}"


def _characters(pages: Sequence[int]) -> str:
    total = f"{sum(pages):,}"
    if len(pages) < 2:
        return total
    shown = " ".join(f"{count:,}" for count in pages[:_MOST_PAGES])
    more = f" … and {len(pages) - _MOST_PAGES:,} more pages" if len(pages) > _MOST_PAGES else ""
    return f"{total}; by page: {shown}{more}"


def _wrapped(text: str, *, err: bool) -> list[str]:
    if not is_terminal(sys.stderr if err else sys.stdout):
        return [" ".join(text.split())]
    width = max(30, shutil.get_terminal_size().columns - _LABEL - 3)
    return textwrap.wrap(text, width) or [""]


def show_chunk(chunk: Chunk) -> None:
    """Write a chunk, ruled off from the one before it."""
    facts = [f"{chunk.tokens} tokens"]
    if chunk.pages:
        pages = [chunk.pages[0], chunk.pages[-1]] if len(chunk.pages) > 1 else list(chunk.pages)
        facts.append(f"{'pages' if len(pages) > 1 else 'page'} {'–'.join(map(str, pages))}")
    if chunk.heading_path:
        facts.append(" › ".join(" ".join(heading.split()) for heading in chunk.heading_path))
    if chunk.parent_id is not None:
        facts.append(f"part of {chunk.parent_id[:12]}")
    if chunk.span is None:
        facts.append("made text")
    line = f"── {chunk.index} ── {fit(' · '.join(facts))} "
    width = shutil.get_terminal_size().columns if is_terminal() else 80
    typer.echo(style(line + "─" * max(0, width - len(line)), fg="cyan"))
    write_text(chunk.text)


def show_failures(failures: Iterable[Failure], total: int) -> None:
    """Write on standard error which files failed, and why."""
    failed = list(failures)
    if not failed:
        return
    if total == 1:
        typer.echo(style("Error:", err=True, fg="red", bold=True), err=True, nl=False)
    else:
        typer.echo(style(f"{len(failed)} of {total} files failed:", err=True, fg="red", bold=True), err=True)
    indent = " " if total == 1 else "  "
    for failure in failed:
        page = f", page {failure.page}" if failure.page else ""
        code = style(f"[{failure.code}]", err=True, dim=True)
        typer.echo(f"{indent}{on_one_line(failure.label)}{page}: {fit(failure.reason)} {code}", err=True)

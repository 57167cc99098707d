"""Print an answer as it comes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer

from polyport.content import Citation
from polyport.events import CitationAdded, ReasoningDelta, RefusalDelta, TextDelta
from polyport_gateway.cli.output import is_terminal, style

if TYPE_CHECKING:
    from polyport.client import AsyncClient

__all__ = ["note", "print_answer"]


async def print_answer(client: AsyncClient, name: str, messages: list[Any]) -> str:
    """Chat with a name: text to standard output, reasoning and sources to standard error; return the text."""
    pieces: list[str] = []
    sources: list[Citation] = []
    thinking = False
    async with await client.chat(name, messages, stream=True) as events:
        async for event in events:
            match event:
                case TextDelta(choice=0) | RefusalDelta(choice=0):
                    if thinking:
                        typer.echo("\n", err=True)
                        thinking = False
                    pieces.append(event.text)
                    typer.echo(event.text, nl=False)
                    sys.stdout.flush()
                case ReasoningDelta() if is_terminal(sys.stderr):
                    thinking = True
                    typer.echo(style(event.text, err=True, dim=True), nl=False, err=True)
                case CitationAdded():
                    sources.append(event.citation)
                case _:
                    pass
    text = "".join(pieces)
    if not text.endswith("\n"):
        typer.echo()
    for number, source in enumerate(dict.fromkeys((source.title, source.url) for source in sources), 1):
        note(f"[{number}] {' '.join(filter(None, source))}")
    return text


def note(text: str) -> None:
    """Say something aside, on standard error."""
    typer.echo(style(text, err=True, dim=True), err=True)

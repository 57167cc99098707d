"""``polyport kb ask``: an answer as it comes, its sources below; or a conversation."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any

import typer

from polyport.errors import CallError
from polyport.events import Progress, TextDelta
from polyport_gateway.cli.answer import note
from polyport_gateway.cli.docs.show import fit, on_one_line
from polyport_gateway.cli.kb.display import chain_lines, left_out_lines, passage, place_of
from polyport_gateway.cli.kb.searching import names_of
from polyport_gateway.cli.kb.target import Target, said_locked, settle, work
from polyport_gateway.cli.output import complain, is_terminal, print_json, style
from polyport_gateway.cli.progress import ProgressLine

if TYPE_CHECKING:
    from polyport.client import AsyncClient
    from polyport.types.knowledge import KnowledgeAnswer, KnowledgeCitation

__all__ = ["ask_bases", "converse"]

_QUOTED = 160


def ask_bases(target: Target, names: str, question: str, options: Mapping[str, Any], *, as_json: bool) -> None:
    """Answer one question."""
    options = {**target.patience, **options}

    async def run(client: AsyncClient) -> None:
        if as_json:
            answer = await client.knowledge.ask(names_of(names), question, **options)
            print_json(answer.model_dump(mode="json"))
        else:
            await _answered(client, names, question, options)

    work(target, run)


def converse(target: Target, names: str, options: Mapping[str, Any]) -> None:
    """Answer questions, each with those before it in mind, until the end of the input."""
    with suppress(ImportError):
        import readline  # noqa: F401 - importing it gives `input` its history and line editing
    options = {**target.patience, **options}
    messages: list[dict[str, Any]] = []
    with said_locked(), asyncio.Runner() as runner:
        stack = AsyncExitStack()
        client = runner.run(stack.enter_async_context(target.open()))
        try:
            if target.app is not None:
                runner.run(settle(client))
            typer.echo(style(f"Ask {names}. Ctrl-C stops an answer, Ctrl-D leaves.", dim=True))
            while (question := _typed()) is not None:
                if question:
                    _turn(runner, client, names, messages, question, options)
        finally:
            runner.run(stack.aclose())


def _typed() -> str | None:
    try:
        return input("> ").strip()
    except EOFError:
        typer.echo()
        return None
    except KeyboardInterrupt:
        typer.echo()
        return ""


def _turn(
    runner: asyncio.Runner,
    client: AsyncClient,
    names: str,
    messages: list[dict[str, Any]],
    question: str,
    options: Mapping[str, Any],
) -> None:
    messages.append({"role": "user", "content": question})
    try:
        answer = runner.run(_answered(client, names, list(messages), options))
    except KeyboardInterrupt:
        typer.echo(style(" (stopped)", dim=True))
        messages.pop()
    except CallError as error:
        complain(error)
        messages.pop()
    else:
        messages.append({"role": "assistant", "content": answer.text})
        if answer.question and answer.question != question:
            note(f"asked as: {on_one_line(answer.question)}")


async def _answered(
    client: AsyncClient, names: str, question: str | list[dict[str, Any]], options: Mapping[str, Any]
) -> KnowledgeAnswer:
    with ProgressLine() as line:
        stream = await client.knowledge.ask(names_of(names), question, stream=True, **options)
        async with stream:
            async for event in stream:
                match event:
                    case TextDelta():
                        line.clear()
                        # Only as text of a document can steer a terminal, and only where there is one.
                        typer.echo(fit(event.text) if is_terminal() else event.text, nl=False)
                        sys.stdout.flush()
                    case Progress():
                        line.show(event)
                    case _:
                        pass
            answer = await stream.collect()
    if not answer.text.endswith("\n"):
        typer.echo()
    _show_sources(answer)
    return answer


def _show_sources(answer: KnowledgeAnswer) -> None:
    said = " ".join(answer.text.split())
    sources: dict[int, list[KnowledgeCitation]] = {}
    for citation in answer.citations:
        sources.setdefault(citation.number, []).append(citation)
    if sources:
        typer.echo()
    several = len({citation.knowledge for citation in answer.citations}) > 1
    for number, cited in sorted(sources.items()):
        first = cited[0]
        where = place_of(first)
        base = f" ({on_one_line(first.knowledge)})" if several else ""
        typer.echo(f"{style(f'[{number}]', fg='cyan')} {style(on_one_line(first.title), bold=True)}{base}", nl=False)
        typer.echo(style(f"  {where}", dim=True) if where else "")
        for quote in dict.fromkeys(citation.quote for citation in cited):
            if " ".join(quote.split()) not in said:  # an answer of sentences as they are has shown it
                typer.echo(f"    “{passage(quote, '', _QUOTED)}”")
    for line in chain_lines(answer.chain):
        typer.echo(style(f"    {line}", dim=True))
    for text in (*left_out_lines(answer.left_out), *map(fit, answer.notes)):
        note(text)
    if answer.dropped:
        note(f"{answer.dropped} sentences had no source that supports them, and lost their citation")

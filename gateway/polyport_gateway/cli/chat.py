"""``polyport chat``."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack, aclosing, suppress
from typing import Annotated, Any

import typer

from polyport.errors import CallError, ConfigurationError
from polyport.events import Progress, ReasoningDelta, ServerToolCall, TextDelta
from polyport_gateway.cli.output import command, complain, is_terminal, style
from polyport_gateway.cli.target import ApiKey, AppTarget, Target, Url, open_target

__all__ = ["chat"]

Messages = list[dict[str, Any]]


@command
def chat(
    model: Annotated[
        str, typer.Argument(help="A model, agent, pipeline or function: see polyport list.", show_default=False)
    ],
    prompt: Annotated[
        str | None,
        typer.Argument(help="What to say; without it, standard input, or a conversation.", show_default=False),
    ] = None,
    system: Annotated[str | None, typer.Option(help="Instructions put before the conversation.")] = None,
    app: AppTarget = None,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Chat with a model: an answer to a prompt, or a conversation.

    In a conversation Ctrl-C stops the answer and Ctrl-D leaves. Text piped in is put after the prompt.
    """
    messages: Messages = [{"role": "system", "content": system}] if system else []
    interactive = prompt is None and sys.stdin.isatty()
    if not sys.stdin.isatty():
        prompt = "\n\n".join(part for part in (prompt, sys.stdin.read().strip()) if part)
        if not prompt:
            raise ConfigurationError("there is nothing to say: give a prompt, or text on standard input")
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        target = runner.run(stack.enter_async_context(open_target(app=app, url=url, api_key=api_key)))
        try:
            if interactive:
                _converse(runner, target, model, messages)
            else:
                messages.append({"role": "user", "content": prompt})
                runner.run(_answer(target, model, messages))
        finally:
            runner.run(stack.aclose())


def _converse(runner: asyncio.Runner, target: Target, model: str, messages: Messages) -> None:
    with suppress(ImportError):
        import readline  # noqa: F401 - importing it gives `input` its history and line editing
    typer.echo(style(f"Chat with {model}. Ctrl-C stops an answer, Ctrl-D leaves.", dim=True))
    while True:
        try:
            said = input("> ").strip()
        except EOFError:
            typer.echo()
            return
        except KeyboardInterrupt:
            typer.echo()
            continue
        if not said:
            continue
        messages.append({"role": "user", "content": said})
        try:
            text = runner.run(_answer(target, model, messages))
        except KeyboardInterrupt:
            typer.echo(style(" (stopped)", dim=True))
            messages.pop()
        except CallError as error:
            complain(error)
            messages.pop()
        else:
            messages.append({"role": "assistant", "content": text})


async def _answer(target: Target, model: str, messages: Messages) -> str:
    """Print an answer as it comes, and return it."""
    pieces: list[str] = []
    thinking = False
    async with aclosing(target.chat(model, messages)) as events:
        async for event in events:
            match event:
                case TextDelta(choice=0):
                    if thinking:
                        typer.echo("\n", err=True)
                        thinking = False
                    pieces.append(event.text)
                    typer.echo(event.text, nl=False)
                    sys.stdout.flush()
                case ReasoningDelta() if is_terminal(sys.stderr):
                    thinking = True
                    typer.echo(style(event.text, err=True, dim=True), nl=False, err=True)
                case ServerToolCall() if is_terminal(sys.stderr):
                    typer.echo(style(f"→ {event.name} {event.arguments}", err=True, dim=True), err=True)
                case Progress(message=str() as message) if is_terminal(sys.stderr):
                    typer.echo(style(f"  {message}", err=True, dim=True), err=True)
                case _:
                    pass
    text = "".join(pieces)
    if not text.endswith("\n"):
        typer.echo()
    return text

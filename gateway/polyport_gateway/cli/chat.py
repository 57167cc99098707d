"""``polyport chat``."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyport.errors import CallError, ConfigurationError
from polyport_gateway.cli.connection import ApiKey, AppTarget, Url, open_client
from polyport_gateway.cli.output import command, complain, style

if TYPE_CHECKING:
    from polyport.client import AsyncClient

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
    from polyport_gateway.cli.answer import print_answer

    messages: Messages = [{"role": "system", "content": system}] if system else []
    interactive = prompt is None and sys.stdin.isatty()
    if not sys.stdin.isatty():
        prompt = "\n\n".join(part for part in (prompt, sys.stdin.read().strip()) if part)
        if not prompt:
            raise ConfigurationError("there is nothing to say: give a prompt, or text on standard input")
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        client = runner.run(stack.enter_async_context(open_client(app=app, url=url, api_key=api_key)))
        try:
            if interactive:
                _converse(runner, client, model, messages)
            else:
                messages.append({"role": "user", "content": prompt})
                runner.run(print_answer(client, model, messages))
        finally:
            runner.run(stack.aclose())


def _converse(runner: asyncio.Runner, client: AsyncClient, model: str, messages: Messages) -> None:
    from polyport_gateway.cli.answer import print_answer

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
            text = runner.run(print_answer(client, model, messages))
        except KeyboardInterrupt:
            typer.echo(style(" (stopped)", dim=True))
            messages.pop()
        except CallError as error:
            complain(error)
            messages.pop()
        else:
            messages.append({"role": "assistant", "content": text})

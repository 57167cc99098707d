"""The command tree. Each command imports what it needs when it runs, so that ``--help`` is quick."""

from __future__ import annotations

from typing import Annotated

import typer

from polyport_gateway.cli import call, chat, docs, doctor, kb, keys, listing, sandbox, serve, usage

__all__ = ["app"]

_EPILOG = "Exit codes: 0 fine, 1 the call failed, 2 wrong usage or configuration, 3 no connection, 130 interrupted."

app = typer.Typer(
    name="polyport",
    help="Serve functions, pipelines, models and agents as MCP tools and OpenAI endpoints, and call them.",
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"polyport {version('polyport')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and leave.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Take the options that stand before a command."""


app.command("serve")(serve.serve)
app.command("mcp")(serve.mcp)
app.command("call")(call.call)
app.command("chat")(chat.chat)
app.command("list")(listing.list_names)
app.add_typer(keys.app, name="keys")
app.add_typer(kb.app, name="kb")
app.add_typer(docs.app, name="docs")
app.add_typer(sandbox.app, name="sandbox")
app.command("usage")(usage.usage)
app.command("doctor")(doctor.doctor)

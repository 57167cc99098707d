"""What the commands write: coloured on a terminal, plain in a pipe."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, ParamSpec, TextIO

import typer

from polyport.errors import APIConnectionError, CallError, PolyportError, UsageError

__all__ = ["ExitCode", "command", "complain", "is_terminal", "print_json", "print_table", "style"]

P = ParamSpec("P")


class ExitCode(IntEnum):
    """What the exit code says."""

    OK = 0
    CALL_FAILED = 1
    USAGE = 2
    CONNECTION = 3
    INTERRUPTED = 130


def is_terminal(stream: TextIO | None = None) -> bool:
    """Whether a stream (standard output by default) is a terminal that shows colour and moves its cursor."""
    stream = stream if stream is not None else sys.stdout
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def style(text: str, *, err: bool = False, **how: Any) -> str:
    """Colour a text (see `typer.style`) where its stream shows colour."""
    if "NO_COLOR" in os.environ or not is_terminal(sys.stderr if err else sys.stdout):
        return text
    return typer.style(text, **how)


def complain(error: BaseException | str) -> None:
    """Say on standard error what went wrong."""
    typer.echo(f"{style('Error:', err=True, fg='red', bold=True)} {error}", err=True)


def exit_code(error: PolyportError) -> ExitCode:
    """Return what the exit code says of an error."""
    if isinstance(error, UsageError):
        return ExitCode.USAGE
    if isinstance(error, APIConnectionError):
        return ExitCode.CONNECTION
    return ExitCode.CALL_FAILED


def _hint(error: PolyportError) -> str | None:
    """Return what to do about an error whose own message, made for any client, can't say it."""
    if isinstance(error, APIConnectionError):
        return "Start a gateway with `polyport serve APP`, name another with --url, or run an app here with --app APP."
    if isinstance(error, CallError) and error.code == "invalid_api_key":
        return "Give a key with --api-key, or in POLYPORT_API_KEY."
    return None


def command(function: Callable[P, None]) -> Callable[P, None]:
    """Wrap a command: an error becomes one message and an exit code, never a traceback."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except PolyportError as error:
            complain(error)
            if hint := _hint(error):
                typer.echo(hint, err=True)
            raise typer.Exit(exit_code(error)) from None
        except ModuleNotFoundError as error:
            complain(f"the package {error.name!r} is not installed; `polyport doctor` says which pip line mends it")
            raise typer.Exit(ExitCode.USAGE) from None
        except KeyboardInterrupt:
            raise typer.Exit(ExitCode.INTERRUPTED) from None

    return wrapped


def print_json(value: Any) -> None:
    """Write a value as JSON: indented on a terminal, on one line in a pipe."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2 if is_terminal() else None, default=str))


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write rows: aligned with a heading on a terminal, tab-separated without one in a pipe."""
    if not is_terminal():
        for row in rows:
            typer.echo("\t".join(" ".join(cell.split()) for cell in row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for position, header in enumerate(headers):
        table.add_column(header, no_wrap=position == 0, style="cyan" if position == 0 else None)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)

"""The command line's help as docs/cli.md shows it: ``python -m tests.support.cli_reference > docs/cli.md``."""

from typer.testing import CliRunner

from polyport_gateway.cli.root import app

COMMANDS = [
    "serve",
    "mcp",
    "call",
    "chat",
    "list",
    "kb create",
    "kb add",
    "kb search",
    "kb ask",
    "kb ls",
    "kb show",
    "kb rm",
    "kb refresh",
    "kb reindex",
    "kb rekey",
    "kb jobs",
    "kb log",
    "kb eval",
    "docs read",
    "docs chunk",
    "docs formats",
    "keys create",
    "keys list",
    "keys revoke",
    "sandbox build",
    "sandbox run",
    "sandbox shell",
    "sandbox doctor",
    "sandbox ps",
    "sandbox prune",
    "usage",
    "doctor",
]

INTRODUCTION = """\
# The command line

`polyport` comes with `pip install "polyport[gateway]"`. What it writes is coloured on a terminal and plain in a
pipe (tables are tab-separated there, without a heading), results go to standard output, all else to standard error.

| exit code | meaning |
|---|---|
| 0 | fine; for `serve` also: stopped by SIGTERM |
| 1 | the call failed, there is no such key, a file could not be read, or `doctor` found that serving can't work |
| 2 | wrong usage or configuration: an option, an app file, an address, a missing package |
| 3 | no gateway answers |
| 130 | interrupted with Ctrl-C |

An app is named by its file (`path/to/app.py`), by its file and variable where there are several
(`path/to/app.py:name`), or by its module (`package.module:name`). Settings that have no option here come from
`polyport.toml` and `POLYPORT_*` environment variables.

`call` takes arguments as `key=value`. The function's schema decides what a value is: `n=5` is a number for
`n: int` and a text for `n: str`. `key=@file` takes a file's text, `key=-` standard input, `key:=json` any JSON value,
and a function with a single parameter takes the bare value.

This page is written by `python -m tests.support.cli_reference > docs/cli.md`; a test compares the two.
"""


def help_of(*command):
    result = CliRunner().invoke(app, [*command, "--help"], prog_name="polyport", env={"COLUMNS": "100"})
    assert result.exit_code == 0, result.output
    return "\n".join(line.rstrip() for line in result.stdout.strip().splitlines())


def render():
    parts = [INTRODUCTION, f"## polyport\n\n```text\n{help_of()}\n```\n"]
    parts += [f"## polyport {name}\n\n```text\n{help_of(*name.split())}\n```\n" for name in COMMANDS]
    return "\n".join(parts)


if __name__ == "__main__":
    print(render(), end="")

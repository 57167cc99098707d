import re
from pathlib import Path

import pytest
import typer

from polyport_gateway.cli.root import app
from tests.support.cli_reference import COMMANDS

PAGE = Path(__file__).parents[3] / "docs" / "cli.md"
TEXT = PAGE.read_text(encoding="utf-8")
REGENERATE = "run: python -m tests.support.cli_reference > docs/cli.md"


def commands():
    root = typer.main.get_command(app)
    for name, command in root.commands.items():
        inner = getattr(command, "commands", None)
        if inner is None:
            yield name, command
        else:
            for sub, subcommand in inner.items():
                yield f"{name} {sub}", subcommand


def section(name):
    found = re.search(
        rf"^## polyport {re.escape(name)}\n(.*?)(?=^## |\Z)", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    assert found, f"docs/cli.md says nothing of `polyport {name}`; {REGENERATE}"
    return " ".join(found[1].split())


def test_every_command_is_described():
    assert sorted(name for name, _ in commands()) == sorted(COMMANDS)


@pytest.mark.parametrize(("name", "command"), list(commands()))
def test_the_page_says_what_the_help_says(name, command):
    # Compared word by word rather than line by line: the layout is typer's and changes with its versions.
    text = section(name)
    shown = [param for param in command.params if not getattr(param, "hidden", False)]
    for param in shown:
        if param.help:
            assert " ".join(param.help.split()) in text, REGENERATE
    for paragraph in command.help.split("\n\n"):
        assert " ".join(paragraph.split()) in text, REGENERATE
    known = {option for param in shown for option in (*param.opts, *param.secondary_opts) if option.startswith("--")}
    known |= {"--help"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", " ".join(text.split("Options:")[1:]))) == known, REGENERATE

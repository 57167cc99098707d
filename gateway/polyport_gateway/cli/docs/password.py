"""A password, taken so that no list of processes shows it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer

from polyport.errors import ConfigurationError

__all__ = ["VARIABLE", "password_of"]

VARIABLE = "POLYPORT_DOCS_PASSWORD"


def password_of(*, ask: bool, file: str | None, stdin_taken: bool) -> str | None:
    """Return the password of encrypted files: asked for, of a file, or of the environment; None where there is none.

    Raises:
        ConfigurationError: The file can't be read, or standard input is a document already.
    """
    if ask and file is not None:
        raise ConfigurationError("give --password or --password-file, not both")
    if ask:
        answer: str = typer.prompt("Password of the files", hide_input=True, err=True)
        return answer
    if file == "-":
        if stdin_taken:
            raise ConfigurationError("standard input is a document already; give the password in a file")
        return sys.stdin.readline().rstrip("\r\n")
    if file is not None:
        try:
            lines = Path(file).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"the password can't be read from {file}: {error}") from error
        return lines[0] if lines else ""
    return os.environ.get(VARIABLE) or None

"""What notebook kernels say, in our words."""

from __future__ import annotations

import re

from polyport_sandbox.types import Status

__all__ = ["exit_of", "plain"]

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def plain(text: str) -> str:
    """Take a terminal's colours out of a traceback."""
    return _COLOURS.sub("", text)


def exit_of(value: str) -> tuple[Status, int]:
    """Read the exit code that a ``SystemExit`` asks for, as Python does."""
    if value in ("", "None", "0", "False"):
        return "ok", 0
    try:
        code = int(value) & 0xFF
    except ValueError:
        return "error", 1
    return ("ok" if code == 0 else "error"), code

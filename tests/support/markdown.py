"""Code blocks of a document, and how to run them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Block", "blocks", "commands", "matches"]

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        language: The word after the fence.
        code: What is in it.
        section: The second-level heading it stands under.
        line: Where it begins, counted from 1.
    """

    language: str
    code: str
    section: str
    line: int


def blocks(path: Path) -> list[Block]:
    """Return every fenced block of a document, in order."""
    text = path.read_text(encoding="utf-8")
    headings = [(match.start(), match[1]) for match in re.finditer(r"^## (.+)$", text, re.MULTILINE)]
    found = []
    for match in _FENCE.finditer(text):
        section = next((title for at, title in reversed(headings) if at < match.start()), "")
        found.append(Block(match[1], match[2], section, text.count("\n", 0, match.start()) + 1))
    return found


def commands(block: Block) -> list[tuple[str, str]]:
    """Return the commands of a console block, each with the output shown under it."""
    found: list[tuple[str, str]] = []
    for line in block.code.splitlines(keepends=True):
        if line.startswith("$ "):
            found.append((line[2:].rstrip("\n"), ""))
        elif found:
            command, shown = found[-1]
            found[-1] = (command, shown + line)
        else:
            raise ValueError(f"line {block.line}: a console block begins with a command")
    return found


def matches(shown: str, printed: str) -> bool:
    """Whether what was printed is what is shown, where ``…`` stands for anything, lines included."""
    pattern = ".*".join(re.escape(part) for part in shown.strip().split("…"))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None

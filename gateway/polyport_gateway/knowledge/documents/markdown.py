"""A document as GitHub's Markdown (https://github.github.com/gfm/)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from .blocks import Block, Code, Formula, Heading, ListItem, Note, PageBreak, Paragraph, Picture, Table
from .document import Document
from .grid import Cell
from .values import Mark

__all__ = ["escape", "render"]

_SPECIAL = re.compile(r"[\\`*\[\]<]|(?<![^\W_])_|_(?![^\W_])")
_AT_START = re.compile(r"^(\s*)([#>+=~|-]|\d+(?=[.)]\s))", re.MULTILINE)
_FENCES = {"bold": "**", "italic": "*", "strike": "~~"}


def render(document: Document) -> str:
    """Render all blocks; between two items of a list is a line break, else an empty line."""
    parts: list[str] = []
    last: Block | None = None
    levels: list[int] = []
    for block in document.blocks:
        text = _item(block, _depth(levels, block.level)) if isinstance(block, ListItem) else _block(block)
        if not text:
            continue
        if not isinstance(block, ListItem):
            levels.clear()
        if last is not None:
            parts.append("\n" if isinstance(block, ListItem) and isinstance(last, ListItem) else "\n\n")
        parts.append(text)
        last = block
    return "".join(parts) + ("\n" if parts else "")


def escape(text: str) -> str:
    """Write text so that Markdown shows it as it is."""
    return _AT_START.sub(_guard, _SPECIAL.sub(r"\\\g<0>", text))


def _piece(text: str, start: int, end: int) -> str:
    """Escape a part of a text; what only means something at a line's start does so only there."""
    part = text[start:end]
    if start == 0 or text[start - 1] == "\n":
        return escape(part)
    line, newline, rest = part.partition("\n")
    return _SPECIAL.sub(r"\\\g<0>", line) + newline + escape(rest)


def _guard(match: re.Match[str]) -> str:
    blank, sign = match.groups()
    return f"{blank}{sign}\\" if sign.isdigit() else f"{blank}\\{sign}"


def _block(block: Block) -> str:
    match block:
        case Heading():
            return f"{'#' * min(max(block.level, 1), 6)} {inline(block).replace(chr(10), ' ')}"
        case Paragraph():
            return inline(block)
        case Code():
            fence = "`" * max(3, 1 + max(map(len, re.findall("`+", block.text)), default=0))
            return f"{fence}{block.language or ''}\n{block.text}\n{fence}"
        case Formula():
            return f"$$\n{block.text}\n$$"
        case Table():
            body = _table(block)
            return f"{escape(block.caption)}\n\n{body}" if block.caption else body
        case Picture():
            target = block.link or (f"asset:{block.sha256}" if block.sha256 else "")
            shown = f"![{escape(block.alt)}]({_target(target)})"
            return f"{shown}\n\n{escape(block.caption)}" if block.caption else shown
        case PageBreak():
            return "<!-- page break -->"
        case Note():
            label = f"[^{block.label}]: " if block.label and block.category in ("footnote", "endnote") else ""
            author = f"{escape(block.author)}: " if block.author else ""
            return (label or "> ") + author + inline(block).replace("\n", "\n    " if label else "\n> ")
    return escape(block.text)


def _table(block: Table) -> str:
    """Return the grid's lines, with the links and styles inside its cells."""
    # A grid without a block inside a cell need not make its cells.
    if next(block.grid.nested, None) is None or not any(_has_marks(cell) for cell in block.grid.cells):
        return block.text[len(block.caption) + 1 :] if block.caption else block.text
    cells = (cell._replace(text=_cell(cell)) if _has_marks(cell) else cell for cell in block.grid.cells)
    body, _ = replace(block.grid, cells=tuple(cells)).placed(0)
    return body


def _has_marks(cell: Cell) -> bool:
    return any(block.marks for block in cell.nested) and all(
        isinstance(block, Paragraph | ListItem | Formula) for block in cell.nested
    )


def _cell(cell: Cell) -> str:
    lines = []
    for block in cell.nested:
        marker = block.marker if isinstance(block, ListItem) else ""
        lines.append(f"{marker} {inline(block)}" if marker else inline(block))
    return "\n".join(lines)


def _depth(levels: list[int], level: int) -> int:
    """Return how deep an item stands below those before it; Markdown takes an item that skips a level for code."""
    while levels and levels[-1] > level:
        levels.pop()
    if not levels or levels[-1] < level:
        levels.append(level)
    return len(levels)


def _item(block: ListItem, depth: int) -> str:
    indent = "    " * (depth - 1)
    number = re.match(r"\d+", block.marker)
    marker = f"{number.group() if number else 1}." if block.ordered else "-"
    if block.marker in ("[ ]", "[x]"):
        marker = f"- {block.marker}"
    return f"{indent}{marker} " + inline(block).replace("\n", f"\n{indent}    ")


def inline(block: Block) -> str:
    """Return a block's text, escaped, with its marks."""
    marks = sorted(block.marks, key=lambda mark: (mark.start, -mark.end))
    return _marked(block.text, 0, len(block.text), marks)


def _marked(text: str, start: int, end: int, marks: Sequence[Mark]) -> str:
    parts, position = [], start
    while marks:
        mark, marks = marks[0], marks[1:]
        if not (position <= mark.start < mark.end <= end):
            continue  # a mark that crosses another has no form in Markdown; its text is still shown
        inside = [other for other in marks if other.start < mark.end]
        marks = [other for other in marks if other.start >= mark.end]
        parts += [_piece(text, position, mark.start), _one(text, mark, inside)]
        position = mark.end
    return "".join([*parts, _piece(text, position, end)])


def _one(text: str, mark: Mark, inside: Sequence[Mark]) -> str:
    raw = text[mark.start : mark.end]
    if mark.kind == "code":
        fence = "`" * (1 + max(map(len, re.findall("`+", raw)), default=0))
        pad = " " if raw.startswith("`") or raw.endswith("`") else ""
        return f"{fence}{pad}{raw}{pad}{fence}"
    if mark.kind == "formula":
        return f"${raw}$"
    shown = _marked(text, mark.start, mark.end, inside)
    if mark.kind == "link":
        return f"[{shown}]({_target(mark.value)})"
    fence = _FENCES.get(mark.kind, "")
    if not fence or not raw.strip():
        return shown
    # Markdown takes no blank inside the signs.
    left, right = shown[: len(shown) - len(shown.lstrip())], shown[len(shown.rstrip()) :]
    return f"{left}{fence}{shown.strip()}{fence}{right}"


def _target(link: str) -> str:
    return f"<{link.replace('<', '%3C').replace('>', '%3E')}>" if re.search(r"[\s()<>]", link) else link

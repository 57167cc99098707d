"""A document as GitHub's Markdown (https://github.github.com/gfm/)."""

from __future__ import annotations

import re
from dataclasses import replace

from .blocks import Block, Code, Formula, Heading, ListItem, Note, PageBreak, Paragraph, Picture, Table
from .document import Document
from .footnotes import Footnotes
from .grid import Cell
from .inline import escape, inline, one_line, target

__all__ = ["render"]

_CLOSING = re.compile(r"(?<!\S)#+[ \t]*$")
_WRITTEN = re.compile(r"\\\[\^([^\]\s]+)\]")


def render(document: Document) -> str:
    """Render all blocks; between two items of a list is a line break, else an empty line."""
    writer = _Writer(Footnotes.of(document.blocks))
    parts: list[str] = []
    last: Block | None = None
    for number, block in enumerate(document.blocks):
        text = writer.write(number, block)
        if not text:
            continue
        if last is not None:
            parts.append("\n" if isinstance(block, ListItem) and isinstance(last, ListItem) else "\n\n")
        parts.append(text)
        last = block
    return "".join(parts) + ("\n" if parts else "")


class _Writer:
    def __init__(self, footnotes: Footnotes) -> None:
        self._footnotes = footnotes
        self._lists = _Lists()

    def write(self, number: int, block: Block) -> str:
        shown = inline(block, self._footnotes.references.get(number))
        if self._footnotes.written and not isinstance(block, Code):
            shown = _WRITTEN.sub(self._reference, shown)
        if isinstance(block, ListItem):
            return self._lists.item(block, shown)
        text = self._block(number, block, shown)
        if text:
            self._lists = _Lists()
        return text

    def _reference(self, found: re.Match[str]) -> str:
        return f"[^{found.group(1)}]" if found.group(1) in self._footnotes.written else found.group()

    def _block(self, number: int, block: Block, shown: str) -> str:
        match block:
            case Heading():
                line = _CLOSING.sub(r"\\\g<0>", shown.replace("\n", " "))
                return f"{'#' * min(max(block.level, 1), 6)} {line}"
            case Paragraph():
                return shown
            case Code():
                fence = "`" * max(3, 1 + max(map(len, re.findall("`+", block.text)), default=0))
                return f"{fence}{block.language or ''}\n{block.text}\n{fence}"
            case Formula():
                return f"$$\n{block.text}\n$$"
            case Table():
                body = _table(block)
                return f"{escape(block.caption)}\n\n{body}" if block.caption else body
            case Picture():
                link = block.link or (f"asset:{block.sha256}" if block.sha256 else "")
                picture = f"![{one_line(block.alt)}]({target(link)})"
                return f"{picture}\n\n{escape(block.caption)}" if block.caption else picture
            case PageBreak():
                return "<!-- page break -->"
            case Note():
                return self._note(number, block, shown)
        return escape(block.text)

    def _note(self, number: int, block: Note, shown: str) -> str:
        author = f"{escape(block.author)}: " if block.author else ""
        if label := self._footnotes.notes.get(number):
            return f"[^{label}]: {author}" + shown.replace("\n", "\n    ")
        if block.label and block.category in ("footnote", "endnote"):
            author = f"{escape(block.label)} {author}"
        return f"> {author}" + shown.replace("\n", "\n> ")


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


class _Lists:
    """Where among lists the items stand that follow each other."""

    def __init__(self) -> None:
        self._levels: list[tuple[int, int | None, str]] = []  # level, number, what stands behind the number

    def item(self, block: ListItem, shown: str) -> str:
        found = re.match(r"\d{1,9}", block.marker)
        number = (int(found.group()) if found else 1) if block.ordered else None
        behind = self._place(block.level, number)
        # Markdown takes an item that skips a level for code.
        indent = "    " * (len(self._levels) - 1)
        marker = "-" if number is None else f"{number}{behind}"
        if block.marker in ("[ ]", "[x]"):
            marker = f"- {block.marker}"
        return f"{indent}{marker} " + shown.replace("\n", f"\n{indent}    ")

    def _place(self, level: int, number: int | None) -> str:
        while self._levels and self._levels[-1][0] > level:
            self._levels.pop()
        behind = "."
        if self._levels and self._levels[-1][0] == level:
            _, last, behind = self._levels.pop()
            if number is None or last is None:
                behind = "."
            elif number not in (last, last + 1):
                # Another sign behind the number begins another list, which may count from elsewhere.
                behind = ")" if behind == "." else "."
        self._levels.append((level, number, behind))
        return behind

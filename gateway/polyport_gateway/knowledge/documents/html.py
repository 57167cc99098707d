"""A document as an HTML page: everything escaped, real row and column spans, no script, nothing fetched."""

from __future__ import annotations

import base64
import itertools
import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from .blocks import Block, Code, Formula, Heading, ListItem, Note, PageBreak, Picture, Table
from .document import Document
from .grid import Cell, TableGrid
from .values import Mark

__all__ = ["render"]

_TAGS = {
    "bold": "strong",
    "italic": "em",
    "underline": "u",
    "strike": "s",
    "code": "code",
    "superscript": "sup",
    "subscript": "sub",
}
_STYLE = (
    "<style>table{border-collapse:collapse}td,th{border:1px solid #999;padding:.2em .5em}img{max-width:100%}</style>"
)
_SAFE_LINK = re.compile(r"(?i)(https?:|mailto:|tel:|ftp:|#|[^:]*$|[^:/?#]*[/?#])")
_SAFE_PICTURE = re.compile(r"image/(png|jpeg|gif|webp|bmp|tiff|avif)\Z")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\Z")


def render(document: Document) -> str:
    """Render the page; pictures are inside it as data."""
    title = document.metadata.get("title")
    language = f' lang="{escape(document.language)}"' if document.language else ""
    return (
        f'<!DOCTYPE html>\n<html{language}>\n<head>\n<meta charset="utf-8">\n'
        f"<title>{escape(str(title or document.source.name))}</title>\n{_STYLE}\n</head>\n<body>\n"
        f"{_blocks(document.blocks, document.assets)}\n</body>\n</html>\n"
    )


def _blocks(blocks: Sequence[Block], assets: Mapping[str, bytes]) -> str:
    parts: list[str] = []
    open_lists: list[str] = []
    for block in blocks:
        if isinstance(block, ListItem):
            _to_level(parts, open_lists, block)
            parts.append(f"<li>{_text(block)}")
        else:
            _close(parts, open_lists, 0)
            parts.append(_block(block, assets))
    _close(parts, open_lists, 0)
    return "\n".join(parts)


def _to_level(parts: list[str], open_lists: list[str], item: ListItem) -> None:
    tag, level = "ol" if item.ordered else "ul", max(item.level, 1)
    _close(parts, open_lists, level)
    if len(open_lists) == level and open_lists[-1] != tag:
        _close(parts, open_lists, level - 1)
    if len(open_lists) == level:
        parts.append("</li>")
    while len(open_lists) < level:
        number = re.match(r"\d{1,9}", item.marker)
        start = f' start="{int(number.group())}"' if tag == "ol" and number and int(number.group()) != 1 else ""
        parts.append(f"<{tag}{start}>" if len(open_lists) == level - 1 else f"<{tag}><li>")
        open_lists.append(tag)


def _close(parts: list[str], open_lists: list[str], level: int) -> None:
    while len(open_lists) > level:
        parts.append(f"</li></{open_lists.pop()}>")


def _block(block: Block, assets: Mapping[str, bytes]) -> str:
    match block:
        case Heading():
            level = min(max(block.level, 1), 6)
            return f"<h{level}>{_text(block)}</h{level}>"
        case Code():
            kind = f' class="language-{escape(block.language)}"' if block.language else ""
            return f"<pre><code{kind}>{escape(block.text)}</code></pre>"
        case Formula():
            return f'<p class="formula">\\[{escape(block.text)}\\]</p>'
        case Table():
            caption = f"<caption>{escape(block.caption)}</caption>" if block.caption else ""
            return f"<table>{caption}\n{_rows(block.grid, assets)}</table>"
        case Picture():
            return _picture(block, assets)
        case PageBreak():
            return "<hr>"
        case Note():
            label = f"<sup>{escape(block.label)}</sup> " if block.label else ""
            return f'<aside class="{escape(block.category)}">{label}{_text(block)}</aside>'
    return f"<p>{_text(block)}</p>"


def _picture(block: Picture, assets: Mapping[str, bytes]) -> str:
    data, source = assets.get(block.sha256), ""
    if data is not None and _SAFE_PICTURE.match(block.mime):
        source = f' src="data:{block.mime};base64,{base64.b64encode(data).decode()}"'
    caption = f"<figcaption>{escape(block.caption)}</figcaption>" if block.caption else ""
    link = f' data-link="{escape(block.link)}"' if block.link else ""
    return f'<figure><img{source}{link} alt="{escape(block.alt)}">{caption}</figure>'


def _rows(grid: TableGrid, assets: Mapping[str, bytes]) -> str:
    rows: list[list[str]] = [[] for _ in range(grid.rows)]
    last = [0] * grid.rows
    starts: list[list[Cell]] = [[] for _ in range(grid.rows)]
    for cell in grid.cells:
        starts[cell.row].append(cell)
    for row, cells in enumerate(starts):
        for cell in sorted(cells, key=lambda cell: cell.column):
            # An empty position needs a cell of its own, or those right of it would slip left.
            rows[row] += ["<td></td>" for column in range(last[row], cell.column) if grid.at(row, column) is None]
            rows[row].append(_cell(cell, assets))
            last[row] = cell.column + cell.column_span
    return "".join(f"<tr>{''.join(cells)}</tr>\n" for cells in rows)


def _cell(cell: Cell, assets: Mapping[str, bytes]) -> str:
    tag = "th" if cell.is_header else "td"
    scope = "" if not cell.is_header else ' scope="col"' if cell.column_header else ' scope="row"'
    spans = f' rowspan="{cell.row_span}"' if cell.row_span > 1 else ""
    spans += f' colspan="{cell.column_span}"' if cell.column_span > 1 else ""
    colour = f' style="background-color:{cell.colour}"' if cell.colour and _COLOUR.match(cell.colour) else ""
    text = _blocks(cell.nested, assets) if cell.nested else _lines(cell.text)
    text = f"<strong>{text}</strong>" if cell.bold and not cell.nested else text
    return f"<{tag}{scope}{spans}{colour}>{text}</{tag}>"


def _lines(text: str) -> str:
    return escape(text).replace("\n", "<br>\n")


def _text(block: Block) -> str:
    # Marks may cross each other: the text is cut wherever one begins or ends, and each piece gets all that cover it.
    marks = _apart(block.marks, len(block.text))
    cuts = sorted({0, len(block.text), *(position for mark in marks for position in mark[:2])})
    waiting = deque(sorted(enumerate(marks), key=lambda numbered: numbered[1].start))
    covering: list[tuple[int, Mark]] = []
    parts = []
    for start, end in itertools.pairwise(cuts):
        covering = [(number, mark) for number, mark in covering if mark.end > start]
        while waiting and waiting[0][1].start <= start:
            covering.append(waiting.popleft())
        piece = _lines(block.text[start:end])
        for _, mark in sorted(covering):
            piece = _styled(piece, mark)
        parts.append(piece)
    return "".join(parts)


def _apart(marks: Iterable[Mark], length: int) -> list[Mark]:
    """Return marks of which no two of one kind overlap, so that no place has more of them than there are kinds.

    Styles that overlap become one; of links that overlap, the first stays.
    """
    kept: list[tuple[int, Mark]] = []
    last: dict[str, int] = {}
    for number, mark in sorted(enumerate(marks), key=lambda numbered: numbered[1].start):
        start, end = max(mark.start, 0), min(mark.end, length)
        if start >= end:
            continue
        before = kept[last[mark.kind]] if mark.kind in last else None
        if before is None or before[1].end <= start:
            last[mark.kind] = len(kept)
            kept.append((number, mark._replace(start=start, end=end)))
        elif mark.kind != "link" and before[1].end < end:
            kept[last[mark.kind]] = before[0], before[1]._replace(end=end)
    return [mark for _, mark in sorted(kept)]


def _styled(piece: str, mark: Mark) -> str:
    if mark.kind == "link":
        target = mark.value.strip()
        # Only what can't run a script becomes a link.
        return f'<a href="{escape(target)}">{piece}</a>' if _SAFE_LINK.match(target) else piece
    tag = _TAGS.get(mark.kind)
    return f"<{tag}>{piece}</{tag}>" if tag else piece

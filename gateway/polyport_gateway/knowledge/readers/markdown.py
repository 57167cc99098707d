"""Markdown: CommonMark with GitHub's tables and strike-through, footnotes, formulas and front matter."""

from __future__ import annotations

import math
import re
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from polyport.errors import MissingDependencyError
from polyport_gateway.knowledge.documents import (
    Block,
    Cell,
    Code,
    DocumentBuilder,
    Formula,
    Heading,
    ListItem,
    Mark,
    Note,
    Paragraph,
    Parsed,
    Picture,
    Provenance,
    Receipt,
    Skipped,
    Span,
    Table,
    TableGrid,
    source_of,
)

from .base import ReadOptions
from .detect import FORMATS
from .inline import InlineText
from .text import decode

if TYPE_CHECKING:
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

__all__ = ["MarkdownReader"]

_FRONT = re.compile(r"---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_FOOTNOTE = re.compile(r"\[\^([^\]\s]+)\]:\s*")
_FORMULA = re.compile(r"\$\$(.+)\$\$\Z", re.DOTALL)
_DEEPEST = 100  # the parser leaves out what stands deeper in quotes and lists
_QUOTE_SIGNS = re.compile(r"^[\s>*+-]+", re.MULTILINE)
_TASK = re.compile(r"\[([ xX])\]\s+")
_MOST_FRONT = 256 * 1024
_MOST_BRACKETS = 1000  # in one paragraph: for each, the parser looks for its end through all the others
_CONTAINERS = ("blockquote_open", "list_item_open")
_STYLES = {"strong": "bold", "em": "italic", "s": "strike"}


class MarkdownReader:
    """Blocks with the lines of the file they were made of."""

    name = "markdown"
    formats = frozenset({"markdown"})

    def read(self, data: bytes, name: str, options: ReadOptions) -> Parsed:
        """Read Markdown."""
        try:
            from markdown_it import MarkdownIt
        except ImportError:
            raise MissingDependencyError("Reading Markdown", extra="documents") from None
        started = time.perf_counter()
        decoded = decode(data, name, options.encoding)
        builder = DocumentBuilder(source_of(data, name, FORMATS["markdown"][0]))
        builder.metadata["encoding"] = decoded.encoding
        warnings = list(decoded.warnings)
        body = _front_matter(decoded.text, builder, warnings)
        parser = MarkdownIt("commonmark", {"maxNesting": _DEEPEST}).enable(["table", "strikethrough"])
        parser.inline.ruler.before("link", "brackets", _bracket)
        env: dict[str, Any] = {}
        writer = _Writer(builder, options, body, len(decoded.text) - len(body))
        writer.write(parser.parse(body, env))
        for label, reference in env.get("references", {}).items():
            # A footnote of one word looks to CommonMark like the target of a link.
            if label.startswith("^"):
                builder.add(Note(text=reference["href"], label=label[1:].lower()))
        document = builder.build()
        receipt = Receipt.of(
            document,
            reader=self.name,
            format="markdown",
            skipped=writer.skipped,
            warnings=[*warnings, *writer.warnings],
            seconds=time.perf_counter() - started,
        )
        return Parsed(document, receipt)


def _bracket(state: StateInline, silent: bool) -> bool:
    """Take ``[`` for text where there are more of them than any paragraph has links."""
    if state.src[state.pos] not in "[!" or not _has_too_many(state.src):
        return False
    if not silent:
        state.pending += state.src[state.pos]
    state.pos += 1
    return True


@lru_cache(maxsize=4)
def _has_too_many(paragraph: str) -> bool:
    return paragraph.count("[") > _MOST_BRACKETS


def _front_matter(text: str, builder: DocumentBuilder, warnings: list[str]) -> str:
    found = _FRONT.match(text)
    if found is None or _is_monstrous(found.group(1)):
        return text
    import yaml

    try:
        values = yaml.safe_load(found.group(1)) if "&" not in found.group(1) else None
    except (yaml.YAMLError, ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        return text
    builder.metadata.update({str(key): _plain(value) for key, value in values.items()})
    return text[found.end() :]


def _is_monstrous(front: str) -> bool:
    """Tell whether front matter is so large or nested that reading it would take longer than all the rest."""
    return len(front) > _MOST_FRONT or front.count("[") + front.count("{") > _MOST_BRACKETS


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no such number
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


class _Writer:
    """Goes through the parser's tokens."""

    def __init__(self, builder: DocumentBuilder, options: ReadOptions, body: str, offset: int) -> None:
        self._builder = builder
        self._options = options
        self._offset = offset
        self._body = body
        self._starts = [0, *(match.end() for match in re.finditer("\n", body))]
        self._length = len(body)
        self._lists: list[list[int]] = []  # [ordered, number] of each open list
        self._item: ListItem | None = None
        self._quoted = 0
        self.skipped: list[Skipped] = []
        self.warnings: list[str] = []

    def write(self, tokens: list[Token]) -> None:
        position = 0
        while position < len(tokens):
            token = tokens[position]
            if token.type == "table_open":
                end = next(i for i in range(position, len(tokens)) if tokens[i].type == "table_close")
                self._table(tokens[position : end + 1])
                position = end
            else:
                self._token(token, tokens[position - 1] if position else token)
                if token.type in _CONTAINERS and token.level >= _DEEPEST - 1 and tokens[position + 1].nesting < 0:
                    self._too_deep(token)
            position += 1

    def _too_deep(self, token: Token) -> None:
        """Keep as text what the parser left out."""
        first, last = token.map or (0, 0)
        lines = "\n".join(self._body.split("\n")[first:last])
        self._put(Paragraph(text=_QUOTE_SIGNS.sub("", lines).strip(), provenance=self._lines(token)))
        warning = "Quotes and lists very deep in each other were read as text only."
        if warning not in self.warnings:
            self.warnings.append(warning)

    def _token(self, token: Token, before: Token) -> None:
        match token.type:
            case "inline":
                self._text(token, before)
            case "fence" | "code_block":
                language = token.info.split()[0].lower() if token.info.strip() else None
                self._put(Code(text=token.content.rstrip("\n"), language=language, provenance=self._lines(token)))
            case "html_block":
                self._html(token)
            case "bullet_list_open" | "ordered_list_open":
                self._lists.append([token.type.startswith("ordered"), int(token.attrs.get("start", 1))])
            case "bullet_list_close" | "ordered_list_close":
                self._lists.pop()
            case "list_item_open":
                self._open_item()
            case "list_item_close":
                self._item = None
            case "blockquote_open":
                self._quoted += 1
            case "blockquote_close":
                self._quoted -= 1

    def _open_item(self) -> None:
        ordered, number = self._lists[-1]
        self._lists[-1][1] += 1
        marker = f"{number}." if ordered else "-"
        self._item = ListItem(level=len(self._lists), ordered=bool(ordered), marker=marker)

    def _lines(self, token: Token) -> Provenance:
        if token.map is None:
            return Provenance()
        first, last = token.map
        start = self._starts[first]
        end = self._starts[last] - 1 if last < len(self._starts) else self._length
        return Provenance(source_span=Span(start + self._offset, max(start, end) + self._offset))

    def _put(self, block: Block) -> None:
        if block.text or isinstance(block, (Table, Picture)):
            self._item = None
            self._builder.add(block)

    def _html(self, token: Token) -> None:
        from .htmlwalk import walk

        skipped, warnings = walk(token.content, self._builder, self._options)
        self.skipped += skipped
        self.warnings += warnings

    def _text(self, token: Token, before: Token) -> None:
        text, marks, pictures = _inline(token.children or [])
        where = self._lines(token)
        if self._quoted and text:
            marks = (Mark(0, len(text), "quote"), *marks)
        if before.type == "heading_open":
            self._put(Heading(text=text.replace("\n", " "), marks=marks, level=int(before.tag[1]), provenance=where))
        elif self._item is not None:
            self._list_item(self._item, text, marks, where)
        elif formula := _FORMULA.match(token.content.strip()):
            self._put(Formula(text=formula.group(1).strip(), provenance=where))
        elif note := _FOOTNOTE.match(text):
            marks = _shifted(marks, note.end())
            self._put(Note(text=text[note.end() :], marks=marks, label=note.group(1), provenance=where))
        else:
            self._put(Paragraph(text=text, marks=marks, provenance=where))
        for alt, link in pictures:
            self._put(Picture(alt=alt, link=link, provenance=where))

    def _list_item(self, item: ListItem, text: str, marks: tuple[Mark, ...], where: Provenance) -> None:
        marker = item.marker
        if task := _TASK.match(text):
            marker = f"[{task.group(1).lower()}]"
            text, marks = text[task.end() :], _shifted(marks, task.end())
        self._put(
            ListItem(text=text, marks=marks, level=item.level, ordered=item.ordered, marker=marker, provenance=where)
        )

    def _table(self, tokens: list[Token]) -> None:
        cells: list[Cell] = []
        row, column = -1, 0
        for token, inner in zip(tokens, [*tokens[1:], tokens[-1]], strict=True):
            if token.type == "tr_open":
                row, column = row + 1, 0
            elif token.type in ("th_open", "td_open"):
                text, marks, pictures = _inline(inner.children or [])
                text = "\n".join(filter(None, [text, *(alt for alt, _ in pictures)]))
                linked: tuple[Block, ...] = tuple(Picture(alt=alt, link=link) for alt, link in pictures)
                if pictures or any(mark.kind == "link" for mark in marks):
                    linked = (Paragraph(text=text, marks=marks), *linked)
                bold = bool(text) and Mark(0, len(text), "bold") in marks
                cells.append(Cell(row, column, 1, 1, text, token.tag == "th", bold=bold, nested=linked))
                column += 1
        columns = max((cell.column + 1 for cell in cells), default=0)
        self._put(Table(grid=TableGrid(row + 1, columns, tuple(cells)), provenance=self._lines(tokens[0])))


def _shifted(marks: tuple[Mark, ...], by: int) -> tuple[Mark, ...]:
    return tuple(Mark(max(m.start - by, 0), m.end - by, m.kind, m.value) for m in marks if m.end > by)


def _inline(tokens: list[Token]) -> tuple[str, tuple[Mark, ...], list[tuple[str, str]]]:
    """Return the text of inline tokens, its marks, and the pictures among it."""
    text = InlineText()
    pictures: list[tuple[str, str]] = []
    begun: list[tuple[int, str]] = []
    for token in tokens:
        if token.type == "text":
            text.add_raw(token.content)
        elif token.type == "code_inline":
            start = len(text)
            text.add_raw(token.content)
            text.mark(start, "code")
        elif token.type in ("softbreak", "hardbreak") or (token.type == "html_inline" and token.content[:3] == "<br"):
            text.add_break()
        elif token.type == "image":
            pictures.append((token.content, str(token.attrs.get("src", ""))))
        elif token.nesting == 1:
            begun.append((len(text), str(token.attrs.get("href", ""))))
        elif token.nesting == -1 and begun:
            start, target = begun.pop()
            text.mark(start, "link" if token.type == "link_close" else _STYLES.get(token.tag, token.tag), target)
    return (*text.take(), pictures)

"""From HTML's tree to blocks."""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from selectolax.lexbor import LexborHTMLParser, LexborNode

from polyport_gateway.knowledge.documents import (
    Block,
    Code,
    DocumentBuilder,
    Formula,
    Heading,
    ListItem,
    Mark,
    Note,
    NoteCategory,
    Paragraph,
    Picture,
    Skipped,
    Table,
    place,
)

from .base import ReadOptions
from .detect import detect
from .htmltable import CellContent, grid_of
from .inline import InlineText

__all__ = ["declared_encoding", "opened", "walk"]

_MOST_DEPTH = 150
_IGNORED = frozenset(
    {"script", "style", "template", "head", "title", "meta", "link", "noscript", "-comment", "!doctype"}
)
_INLINE = {
    "b": "bold", "strong": "bold", "i": "italic", "em": "italic", "cite": "italic", "var": "italic", "u": "underline",
    "ins": "underline", "s": "strike", "del": "strike", "strike": "strike", "code": "code", "kbd": "code",
    "samp": "code", "tt": "code", "sup": "superscript", "sub": "subscript",
}  # fmt: skip
_PLAIN_INLINE = frozenset(
    {
        "a", "span", "font", "small", "big", "abbr", "acronym", "label", "time", "data", "mark", "bdi", "bdo", "dfn",
        "ruby", "rb", "rt", "rp", "wbr", "button", "output", "meter", "progress", "select", "option", "textarea",
    }
)  # fmt: skip
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_CHARSET = re.compile(rb"<meta[^>]{0,300}?charset\s*=\s*[\"']?\s*([A-Za-z0-9._:-]+)", re.IGNORECASE)
_LANGUAGE = re.compile(r"(?:language|lang)-([\w+#.-]+)")
_NOTES: dict[str, NoteCategory] = {
    "footnote": "footnote", "endnote": "endnote", "rearnote": "endnote", "doc-footnote": "footnote",
    "doc-endnote": "endnote",
}  # fmt: skip
_MOST_OPEN = 512  # as browsers do; a parser looks through all open elements for each of these
_OPENED = re.compile(
    r"<(/?)(?:address|article|aside|blockquote|center|details|dialog|dir|div|dl|fieldset|figcaption|figure|footer|form|"
    r"header|hgroup|main|menu|nav|ol|pre|search|section|summary|table|ul)\b[^<>]*>|<!--(?:.*?-->|.*\Z)"
    r"|<script\b(?:.*?</script|.*\Z)",
    re.IGNORECASE | re.DOTALL,
)
_NOTE_LINKS = ("noteref", "doc-noteref")
_BACK_LINKS = ("backlink", "doc-backlink")
_NO_ELEMENTS = re.compile(
    r"<((?!(?:area|base|br|col|embed|hr|img|input|link|meta|source|track|wbr)\b)[A-Za-z][\w:.-]*)"
    r"((?:\s+[\w:.-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*)\s*/>"
)
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


def declared_encoding(data: bytes) -> str | None:
    """Return the encoding that a page says it has, where it says one that exists and fits."""
    found = _CHARSET.search(data[:4096])
    if found is None or data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return None
    try:
        name = codecs.lookup(found.group(1).decode()).name
        name = {"gb2312": "gb18030", "gbk": "gb18030", "big5": "big5hkscs", "iso8859-1": "cp1252"}.get(name, name)
        data.decode(name)
    except (LookupError, UnicodeError):
        return None
    return name


def opened(text: str) -> str:
    """Return XHTML as HTML has it: ``<a id="x"/>`` is a start and an end there, here only a start."""
    return _NO_ELEMENTS.sub(r"<\1\2></\1>", text)


def _shallow(text: str) -> str:
    """Drop the tags of block-level elements that stand too deep in each other; what is in them stays."""
    if text.count("<") <= _MOST_OPEN:
        return text
    depth = 0

    def kept(match: re.Match[str]) -> str:
        nonlocal depth
        if match.group(1) is None:
            return match.group()
        deepest = max(depth, depth + (0 if match.group(1) else 1))
        depth = max(depth + (-1 if match.group(1) else 1), 0)
        return match.group() if deepest <= _MOST_OPEN else " "

    return _OPENED.sub(kept, text)


def walk(
    text: str, builder: DocumentBuilder, options: ReadOptions, *, add: Callable[[Block], object] | None = None
) -> tuple[list[Skipped], list[str]]:
    """Add a page's blocks to a builder; return what was left out, and warnings.

    Args:
        text: The page.
        builder: Of the document.
        options: How.
        add: Gets the blocks, instead of the builder.
    """
    tree = LexborHTMLParser(_shallow(opened(text) if text.lstrip().startswith("<?xml") else text))
    root = tree.root
    if root is None:
        return [], []
    language = (root.attributes.get("lang") or "").split("-")[0].lower()
    builder.language = builder.language or language or None
    title = tree.css_first("head > title")
    if title is not None and title.text().strip():
        builder.metadata.setdefault("title", " ".join(title.text().split()))
    for meta in tree.css("head > meta[name][content]"):
        name, content = (meta.attributes.get("name") or "").lower(), meta.attributes.get("content")
        if name in ("author", "description", "keywords", "date") and content:
            builder.metadata.setdefault(name, content)
    walker = _Walker(add or builder.add, builder.keep, options, _note_labels(tree))
    walker.children(tree.body or root)
    walker.flush()
    return walker.skipped, walker.warnings


def _note_labels(tree: LexborHTMLParser) -> dict[str, str]:
    """Return what the text calls each of its notes, by the note's id."""
    links = (link for link in tree.css("a[href*='#']") if _role(link.attributes) in _NOTE_LINKS)
    return {
        (link.attributes.get("href") or "").rpartition("#")[2]: " ".join(link.text(deep=True).split()) for link in links
    }


def _role(attributes: Mapping[str, str | None]) -> str:
    """Return what an element is for, as EPUB or DPUB-ARIA says it."""
    return ((attributes.get("epub:type") or attributes.get("role") or "").split() or [""])[0]


@dataclass(slots=True)
class _Open:
    """A style whose end is still to come."""

    start: int
    kind: str
    value: str


class _Walker:
    """Walks the tree; text gathers until a block-level element begins or ends."""

    def __init__(
        self,
        add: Callable[[Block], object],
        keep: Callable[[bytes], str],
        options: ReadOptions,
        labels: Mapping[str, str],
    ) -> None:
        self._add = add
        self._keep = keep
        self._options = options
        self._labels = labels
        self._inline = InlineText()
        self._pictures: list[Picture] = []
        self._item: ListItem | None = None  # the list item whose first text is still to come
        self._lists: list[tuple[bool, int]] = []
        self._open: list[_Open] = []
        self._quoted = 0
        self._depth = 0
        self._caption = ""
        self.skipped: list[Skipped] = []
        self.warnings: list[str] = []

    def children(self, node: LexborNode) -> None:
        for child in node.iter(include_text=True):
            self.node(child)

    def flush(self, make: Callable[..., Block] | None = None) -> None:
        for opened in self._open:
            # A link or a style around a block goes on behind its end.
            self._inline.mark(opened.start, opened.kind, opened.value)
            opened.start = 0
        text, marks = self._inline.take()
        item, pictures, self._pictures = self._item, self._pictures, []
        if text:
            if self._quoted:
                marks = (Mark(0, len(text), "quote"), *marks)
            if make is not None:
                self._add(make(text=text, marks=marks))
            elif item is not None:
                self._item = None
                self._add(ListItem(text=text, marks=marks, level=item.level, ordered=item.ordered, marker=item.marker))
            else:
                self._add(Paragraph(text=text, marks=marks))
        for picture in pictures:
            self._add(picture)

    def node(self, node: LexborNode) -> None:
        tag = node.tag or ""
        if tag == "-text":
            self._inline.add(node.text_content or "")
            return
        attributes = node.attributes
        if tag in _IGNORED or (attributes and self._is_left_out(node, attributes)):
            return
        if self._depth >= _MOST_DEPTH:
            if not any("deep" in warning for warning in self.warnings):
                self.warnings.append(f"Elements more than {_MOST_DEPTH} deep in each other were read as text only.")
            self._inline.add(node.text(deep=True, separator=" "))
            return
        self._depth += 1
        try:
            special = getattr(self, f"_{tag}", None) if tag in _SPECIAL else None
            if attributes and _role(attributes) in _NOTES:
                self._note(node, attributes)
            elif special is not None:
                special(node)
            elif tag in _HEADINGS:
                self._heading(node, int(tag[1]))
            elif tag in _INLINE or tag in _PLAIN_INLINE:
                self._marked(node, _INLINE.get(tag, ""))
            else:
                self._block(node)
        finally:
            self._depth -= 1

    def _is_left_out(self, node: LexborNode, attributes: Mapping[str, str | None]) -> bool:
        if self._options.hidden:
            return False
        if "hidden" not in attributes and not _HIDDEN.search(attributes.get("style") or ""):
            return False
        if node.text(deep=True).strip():
            self.skipped.append(Skipped("hidden text", "it is not shown, and `hidden` was not asked for."))
        return True

    def _block(self, node: LexborNode) -> None:
        self.flush()
        self.children(node)
        self.flush()

    def _heading(self, node: LexborNode, level: int) -> None:
        self.flush()
        # What a heading holds is its title, even blocks; but a table or a picture stays one.
        self.children(node)
        self.flush(lambda text, marks: Heading(text=" ".join(text.split("\n")), marks=marks, level=level))

    def _marked(self, node: LexborNode, kind: str, value: str = "") -> None:
        if not kind:
            self.children(node)
            return
        opened = _Open(len(self._inline), kind, value)
        self._open.append(opened)
        self.children(node)
        self._open.pop()
        self._inline.mark(opened.start, kind, value)

    def _note(self, node: LexborNode, attributes: Mapping[str, str | None]) -> None:
        self.flush()
        label = self._labels.get(attributes.get("id") or "", "")
        blocks = self._inside_of(node)
        plain = [block for block in blocks if isinstance(block, (Paragraph, ListItem, Heading))]
        text = "\n".join(block.text for block in plain)
        lead = re.match(rf"[\[(]?{re.escape(label)}[\])]?(?:[.:]?\s+)", text) if label else None
        by = lead.end() if lead else 0
        marks = plain[0].marks if plain else ()
        marks = tuple(Mark(max(m.start - by, 0), m.end - by, m.kind, m.value) for m in marks if m.end > by)
        if text[by:]:
            self._add(Note(text=text[by:], marks=marks, category=_NOTES[_role(attributes)], label=label))
        for block in blocks:
            if block not in plain:
                self._add(block)

    def _a(self, node: LexborNode) -> None:
        if _role(node.attributes) in _BACK_LINKS:
            return
        target = node.attributes.get("href")
        self._marked(node, "link" if target else "", target or "")

    def _br(self, _: LexborNode) -> None:
        self._inline.add_break()

    def _q(self, node: LexborNode) -> None:
        self._inline.add("“")
        self.children(node)
        self._inline.add("”")

    def _input(self, node: LexborNode) -> None:
        if (node.attributes.get("type") or "").lower() == "checkbox":
            marker = "[x]" if "checked" in node.attributes else "[ ]"
            if self._item is not None:
                self._item = ListItem(level=self._item.level, ordered=self._item.ordered, marker=marker)
            else:
                self._inline.add(f"{marker} ")

    def _blockquote(self, node: LexborNode) -> None:
        self.flush()
        self._quoted += 1
        self._block(node)
        self._quoted -= 1

    def _ul(self, node: LexborNode) -> None:
        self._list(node, ordered=False)

    def _ol(self, node: LexborNode) -> None:
        self._list(node, ordered=True)

    def _list(self, node: LexborNode, *, ordered: bool) -> None:
        self.flush()
        start = node.attributes.get("start") or "1"
        self._lists.append((ordered, int(start) if re.fullmatch(r"\d{1,9}", start) else 1))
        self.children(node)
        self.flush()
        self._lists.pop()

    def _li(self, node: LexborNode) -> None:
        self.flush()
        ordered, number = self._lists[-1] if self._lists else (False, 1)
        value = node.attributes.get("value") or ""
        number = int(value) if re.fullmatch(r"\d{1,9}", value) else number
        if self._lists:
            self._lists[-1] = (ordered, number + 1)
        self._item = ListItem(level=max(len(self._lists), 1), ordered=ordered, marker=f"{number}." if ordered else "-")
        self.children(node)
        self.flush()
        self._item = None

    def _dt(self, node: LexborNode) -> None:
        self.flush()
        start = len(self._inline)
        self.children(node)
        self._inline.mark(start, "bold")
        self.flush()

    def _dd(self, node: LexborNode) -> None:
        self.flush()
        self._item = ListItem(level=len(self._lists) + 1, marker="-")
        self.children(node)
        self.flush()
        self._item = None

    def _pre(self, node: LexborNode) -> None:
        self.flush()
        inner = node.css_first("code")
        classes = " ".join(found.attributes.get("class") or "" for found in (node, inner) if found is not None)
        language = _LANGUAGE.search(classes)
        text = node.text(deep=True).strip("\n")
        if text.strip():
            self._add(Code(text=text, language=language.group(1).lower() if language else None))

    def _math(self, node: LexborNode) -> None:
        latex = node.css_first('annotation[encoding="application/x-tex"]')
        text = (latex.text() if latex is not None else node.text(deep=True, separator=" ")).strip()
        if node.attributes.get("display") == "block" and latex is not None:
            self.flush()
            self._add(Formula(text=text))
            return
        start = len(self._inline)
        self._inline.add_raw(" ".join(text.split()))
        self._inline.mark(start, "formula")

    def _svg(self, node: LexborNode) -> None:
        image = node.css_first("image")
        source = image.attributes.get("xlink:href") or image.attributes.get("href") if image is not None else None
        if source:
            self._picture(source, (node.css_first("title") or node).text(deep=True).strip())
            return
        title = node.css_first("title")
        alt = title.text().strip() if title is not None else node.attributes.get("aria-label") or ""
        if self._options.pictures:
            self._pictures.append(
                Picture(
                    sha256=self._keep((node.html or "").encode()), mime="image/svg+xml", alt=alt, caption=self._caption
                )
            )

    def _img(self, node: LexborNode) -> None:
        self._picture(node.attributes.get("src") or "", " ".join((node.attributes.get("alt") or "").split()))

    def _picture(self, source: str, alt: str) -> None:
        sha256, mime = "", ""
        if source[:5].lower() == "data:":
            sha256, mime = self._inside(source)
            source = ""
        elif self._options.resource is not None and (data := self._options.resource(source)) is not None:
            sha256, mime = (self._keep(data) if self._options.pictures else ""), detect(data, source).mime
            source = ""
        self._pictures.append(Picture(sha256=sha256, mime=mime, alt=alt, link=source, caption=self._caption))

    def _inside(self, source: str) -> tuple[str, str]:
        head, _, body = source[5:].partition(",")
        mime = head.split(";")[0].strip().lower() or "text/plain"
        try:
            data = unquote_to_bytes(body)
            data = base64.b64decode(data) if head.lower().endswith("base64") else data
        except (binascii.Error, ValueError):
            self.skipped.append(Skipped("picture", "its data is not Base64."))
            return "", ""
        return (self._keep(data), mime) if self._options.pictures else ("", mime)

    def _figure(self, node: LexborNode) -> None:
        self.flush()
        caption = next((child for child in node.iter() if child.tag == "figcaption"), None)
        held = node.css_first("img, svg, table") if caption is not None else None
        outer, self._caption = self._caption, _folded(caption) if caption is not None and held is not None else ""
        for child in node.iter(include_text=True):
            if child.tag != "figcaption" or held is None:
                self.node(child)
        self.flush()
        self._caption = outer

    def _table(self, node: LexborNode) -> None:
        self.flush()
        caption = next((child for child in node.iter() if child.tag == "caption"), None)
        try:
            grid = grid_of(node, self._cell)
        except ValueError as error:
            self.skipped.append(Skipped("table", f"{error} Its text was kept."))
            self._inline.add(node.text(deep=True, separator=" "))
            self.flush()
            return
        shown = _folded(caption) if caption is not None else self._caption
        if grid.cells:
            self._add(Table(grid=grid, caption=shown))
        elif shown:
            self._add(Paragraph(text=shown))

    def _inside_of(self, node: LexborNode) -> list[Block]:
        blocks: list[Block] = []
        inner = _Walker(blocks.append, self._keep, self._options, self._labels)
        inner._depth = self._depth + 1
        inner.children(node)
        inner.flush()
        self.skipped += inner.skipped
        self.warnings += [warning for warning in inner.warnings if warning not in self.warnings]
        return blocks

    def _cell(self, node: LexborNode) -> CellContent:
        blocks = self._inside_of(node)
        text = "\n".join(filter(None, (_plain(block) for block in blocks)))
        kept = tuple(blocks) if any(_is_more_than_text(block) for block in blocks) else ()
        bold = bool(blocks) and all(Mark(0, len(block.text), "bold") in block.marks for block in blocks)
        return CellContent(text, kept, bold)


_SPECIAL = frozenset(
    {
        "a", "br", "q", "input", "blockquote", "ul", "ol", "li", "dt", "dd", "pre", "math", "svg", "img", "figure",
        "table",
    }
)  # fmt: skip


def _is_more_than_text(block: Block) -> bool:
    return not isinstance(block, Paragraph) or any(mark.kind == "link" for mark in block.marks)


def _plain(block: Block) -> str:
    if isinstance(block, Table):
        rows = [
            " ".join(cell.text for cell in block.grid.row(row) if cell.row == row) for row in range(block.grid.rows)
        ]
        return "\n".join([block.caption, *rows]).strip()
    return place(block).text


def _folded(node: LexborNode) -> str:
    return " ".join(node.text(deep=True).split())

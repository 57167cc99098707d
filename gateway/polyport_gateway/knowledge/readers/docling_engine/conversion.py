"""From docling's document to ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from docling_core.types.doc.document import (
    CodeItem,
    DocItem,
    DoclingDocument,
    FormulaItem,
    GroupItem,
    NodeItem,
    PictureItem,
    SectionHeaderItem,
    TableItem,
    TextItem,
    TitleItem,
)
from docling_core.types.doc.document import (
    ListItem as DoclingListItem,
)

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
    PageBreak,
    Paragraph,
    Provenance,
    Skipped,
    Table,
)
from polyport_gateway.knowledge.readers.base import ReadOptions

from .inline import joined, marks_of
from .parts import Places, grid_of, picture_of

__all__ = ["Conversion"]

_NOTES: dict[str, NoteCategory] = {"footnote": "footnote", "page_header": "header", "page_footer": "footer"}
_CHECKBOXES = {"checkbox_selected": "[x]", "checkbox_unselected": "[ ]"}
_MOST_DEPTH = 200


class Conversion:
    """One document on its way; blocks go to the builder in docling's reading order.

    Args:
        made: What docling made.
        builder: Of our document.
        format: What the file is.
        options: `hidden` and `pictures` are heeded.
    """

    def __init__(self, made: DoclingDocument, builder: DocumentBuilder, format: str, options: ReadOptions) -> None:  # noqa: A002
        self._made = made
        self._builder = builder
        self._options = options
        self._places = Places(made, format)
        self._add: Callable[[Block], object] = self._paged
        self._page = 1
        self._below_title = int(any(isinstance(item, TitleItem) for item in made.texts))
        # What is shown as part of something else is no block of its own.
        self._taken = {
            reference.cref
            for item in (*made.tables, *made.pictures)
            for reference in (*item.captions, *item.footnotes)
        }  # fmt: skip
        self._depth = 0
        self.skipped: list[Skipped] = []

    def run(self) -> None:
        """Convert everything."""
        for child in self._children(self._made.body):
            self._node(child, 0)

    def _children(self, node: NodeItem) -> Iterable[NodeItem]:
        for reference in node.children:
            child = reference.resolve(self._made)
            if isinstance(child, NodeItem):
                yield child

    def _paged(self, block: Block) -> None:
        page = block.provenance.page
        if self._places.paged and page is not None and page > self._page:
            for number in range(self._page + 1, page + 1):
                self._builder.add(PageBreak(page=number, provenance=Provenance(page=number)))
            self._page = page
        self._builder.add(block)

    def _node(self, node: NodeItem, level: int) -> None:
        if node.self_ref in self._taken:
            return
        if node.content_layer.value == "invisible" and not self._options.hidden:
            self.skipped.append(Skipped("hidden text", "it is not shown, and `hidden` was not asked for."))
            return
        if self._depth > _MOST_DEPTH:
            self.skipped.append(Skipped("block", f"it stands more than {_MOST_DEPTH} deep in others."))
            return
        self._depth += 1
        try:
            if isinstance(node, GroupItem):
                self._group(node, level)
            else:
                self._item(node, level)
        finally:
            self._depth -= 1

    def _group(self, node: GroupItem, level: int) -> None:
        label = str(node.label)
        if label == "inline":
            text, marks = joined(self._leaves(node))
            if text:
                self._add(Paragraph(text=text, marks=marks, provenance=self._where(node)))
            for child in self._leaves(node):
                if not isinstance(child, TextItem):
                    self._node(child, level)
            return
        if label == "sheet":
            self._places.sheet = node.name
        for child in self._children(node):
            if label == "comment_section" and isinstance(child, TextItem):
                self._add(Note(text=child.text, category="comment", provenance=self._where(child)))
            else:
                self._node(child, level + (label in ("list", "ordered_list")))

    def _leaves(self, node: NodeItem) -> list[NodeItem]:
        found: list[NodeItem] = []
        for child in self._children(node):
            found += self._leaves(child) if isinstance(child, GroupItem) else [child]
        return found

    def _where(self, node: NodeItem) -> Provenance:
        if not isinstance(node, DocItem):
            node = next((leaf for leaf in self._leaves(node) if isinstance(leaf, DocItem)), node)
        return self._places.of(node)

    def _item(self, node: NodeItem, level: int) -> None:
        if isinstance(node, TableItem):
            self._table(node)
        elif isinstance(node, PictureItem):
            self._picture(node)
        elif isinstance(node, TextItem):
            if self._text(node, level):
                return
        else:
            self._other(node)
        for child in self._children(node):
            self._node(child, level)

    def _text(self, item: TextItem, level: int) -> bool:
        """Add a text; tell whether its children were used up."""
        where, text, label = self._where(item), item.text, str(item.label)
        first = next(iter(self._children(item)), None)
        inside = not text and isinstance(first, GroupItem) and str(first.label) == "inline"
        marks: tuple[Mark, ...] = marks_of(item, 0, len(text))
        if inside and first is not None:  # its words stand in a group of runs
            text, marks = joined(self._leaves(first))
        block = self._block(item, label, text, level)
        if text:
            self._add(replace(block, marks=marks, provenance=where))
        for child in list(self._children(item))[1:] if inside else ():
            self._node(child, level)
        return inside

    def _block(self, item: TextItem, label: str, text: str, level: int) -> Block:
        if isinstance(item, TitleItem):
            return Heading(text=text, level=1)
        if isinstance(item, SectionHeaderItem):
            return Heading(text=text, level=item.level + self._below_title)
        if isinstance(item, DoclingListItem):
            return ListItem(text=text, level=max(level, 1), ordered=item.enumerated, marker=item.marker)
        if isinstance(item, CodeItem):
            language = str(item.code_language.value).lower()
            return Code(text=text, language=None if language == "unknown" else language)
        if isinstance(item, FormulaItem):
            return Formula(text=text or item.orig)
        if label in _CHECKBOXES:
            return ListItem(text=text, level=max(level, 1), marker=_CHECKBOXES[label])
        if label in _NOTES:
            return Note(text=text, category=_NOTES[label])
        if item.content_layer.value == "notes":
            return Note(text=text, category="speaker")
        return Paragraph(text=text)

    def _said(self, references: Iterable[Any]) -> str:
        found = (reference.resolve(self._made) for reference in references)
        return "\n".join(item.text for item in found if isinstance(item, TextItem) and item.text)

    def _table(self, item: TableItem) -> None:
        grid, lost = grid_of(item.data, self._inside)
        if lost:
            self.skipped.append(Skipped("cell", "it overlaps another.", self._where(item).page, count=lost))
        caption, where = self._said(item.captions), self._where(item)
        if grid.cells or caption:
            self._add(Table(grid=grid, caption=caption, provenance=where))
        self._footnotes(item)

    def _inside(self, reference: Any) -> tuple[Block, ...]:
        """Return the blocks of a cell that holds more than text."""
        node = reference.resolve(self._made)
        blocks: list[Block] = []
        if not isinstance(node, NodeItem):
            return ()
        outer, self._add = self._add, blocks.append
        try:
            self._node(node, 0)
        finally:
            self._add = outer
        self._taken.add(node.self_ref)
        return tuple(blocks)

    def _picture(self, item: PictureItem) -> None:
        caption = self._said(item.captions)
        alt = item.meta.description.text if item.meta is not None and item.meta.description is not None else ""
        where = self._where(item)
        block, why = picture_of(item, self._builder if self._options.pictures else None, caption, alt, where)
        chart = item.meta.tabular_chart if item.meta is not None else None
        if why is not None and chart is None:
            self.skipped.append(Skipped("picture", why, where.page))
        self._add(block)
        if chart is not None:
            grid, _ = grid_of(chart.chart_data, self._inside)
            self._add(Table(grid=grid, caption=chart.title or "", provenance=where))
        self._footnotes(item)

    def _footnotes(self, item: TableItem | PictureItem) -> None:
        for reference in item.footnotes:
            note = reference.resolve(self._made)
            if isinstance(note, TextItem) and note.text:
                self._add(Note(text=note.text, provenance=self._where(note)))

    def _other(self, node: NodeItem) -> None:
        graph = getattr(node, "graph", None)  # keys and values of a form
        if graph is not None:
            text = "\n".join(cell.text for cell in graph.cells if cell.text and cell.item_ref is None)
            if text:
                self._add(Paragraph(text=text, provenance=self._where(node)))

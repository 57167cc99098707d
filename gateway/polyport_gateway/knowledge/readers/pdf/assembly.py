"""Pages to one document: what needs all of them is decided at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pypdfium2 import PdfiumError

from polyport_gateway.knowledge.documents import (
    JSON,
    Block,
    Document,
    DocumentBuilder,
    Heading,
    ListItem,
    Note,
    PageBreak,
    Paragraph,
    Picture,
    Provenance,
    Skipped,
    Table,
    UnreadableDocumentError,
    source_of,
)
from polyport_gateway.knowledge.layout import (
    Flow,
    Look,
    PictureRegion,
    Region,
    TextRegion,
    arrange,
    block_of,
    body_size,
    continues,
    flow_of,
    heading_levels,
    lines_of,
    look_of,
    numbered_level,
)
from polyport_gateway.knowledge.readers.detect import FORMATS

from .continuing import with_continuation, with_rest
from .furniture import Edge, Furniture, edge_of
from .outline import OutlineEntry, language_of, level_of_title, outline_of, properties_of, titles_by_page
from .pages import Page
from .repeats import Repeats

__all__ = ["Assembly"]

_ORNAMENT = 3  # times that the same picture stands in a document


@dataclass(frozen=True, slots=True)
class _Draft:
    """A block on its way: a heading's level and what is furniture are known when all pages are."""

    block: Block
    look: Look | None = None
    edge: Edge | None = None
    flow: Flow | None = None


class Assembly:
    """Makes the document.

    Args:
        document: The open PDF.
        data: Its bytes.
        name: Its name.
    """

    def __init__(self, document: Any, data: bytes, name: str) -> None:
        self.name = name
        self.builder = DocumentBuilder(source_of(data, name, FORMATS["pdf"][0]))
        self.warnings: list[str] = []
        self._pages: list[tuple[int, list[_Draft]]] = []
        self._furniture = Furniture()
        self._repeats = Repeats()
        self._drawn: Counter[str] = Counter()
        self._shown: set[str] = set()
        self._body = 10.0
        self._outline: tuple[OutlineEntry, ...] = ()
        try:
            self.builder.metadata.update(properties_of(document))
            self.builder.language = language_of(document)
            self._outline = outline_of(document)
        except (ValueError, PdfiumError) as error:
            self.warnings.append(f"What the file says of itself is damaged ({type(error).__name__}).")
        self._titles = titles_by_page(self._outline)

    def learn(self, pages: Iterable[Page]) -> None:
        """Learn from some pages the size of the running text, and what stands at the edges of all."""
        letters: Counter[float] = Counter()
        pages = list(pages)
        for page in pages:
            for word in page.content.words:
                letters[round(word.size, 1)] += len(word.text)
        self._body = body_size(letters)
        for page in pages:
            self._repeats.learn(page.content, page.number, self._body)

    def add(self, page: Page) -> None:
        """Take in a page; of it only blocks are kept."""
        regions = arrange(page.content, body_size=self._body)
        regions = self._repeats.parted(regions, page.content, page.number, self._body)
        known = self._repeats.known(regions, page.content, page.number, self._body)
        edges = edge_of(regions, page.number, page.content.height, self._body, known)
        self._furniture.add(list(edges.values()))
        drafts = [self._draft(region, page, edges.get(index)) for index, region in enumerate(regions)]
        for comment in page.comments:
            where = Provenance(page=page.number, bbox=comment.box)
            drafts.append(_Draft(Note(text=comment.text, category="comment", author=comment.author, provenance=where)))
        for line in lines_of(page.outside):
            where = Provenance(page=page.number, bbox=line.box)
            drafts.append(_Draft(Note(text=line.text, category="other", label="outside the page", provenance=where)))
        self._pages.append((page.number, drafts))

    def _draft(self, region: Region, page: Page, edge: Edge | None) -> _Draft:
        block = block_of(region, page=page.number)
        if isinstance(region, PictureRegion) and isinstance(block, Picture):
            found = page.pictures.get(region.key)
            if found is not None:
                block = replace(block, sha256=self.builder.keep(found.data), mime=found.mime)
                self._drawn[block.sha256] += 1
        return _Draft(block, look_of(region), edge, flow_of(region) if isinstance(region, TextRegion) else None)

    def finish(self, skipped: Sequence[Skipped]) -> Document:
        """Return the document.

        Raises:
            UnreadableDocumentError: Not one page could be read.
        """
        if not self._pages:
            raise UnreadableDocumentError(self.name, f"none of its pages can be read. {skipped[0].why}", page=1)
        self._join_tables()
        self._join_paragraphs()
        levels = heading_levels(self._looks())
        told: set[str] = set()
        labels: dict[str, JSON] = {}
        for number, drafts in self._pages:
            if number > 1:
                self.builder.add(PageBreak(page=number, provenance=Provenance(page=number)))
            for draft in drafts:
                if self._is_ornament(draft.block):
                    continue
                edge = draft.edge
                if edge is None or not self._furniture.is_one(edge):
                    self.builder.add(self._levelled(draft, levels, number))
                    continue
                if edge.offset is not None:
                    labels.setdefault(str(number), str(number + edge.offset))
                if edge.number:
                    labels[str(number)] = edge.number
                elif edge.key not in told:
                    told.add(edge.key)
                    block = draft.block
                    self.builder.add(
                        Note(text=block.text, marks=block.marks, category=edge.where, provenance=block.provenance)
                    )
        self._tell(told, labels)
        return self.builder.build()

    def _join_tables(self) -> None:
        """Put the parts of tables together that go on from page to page."""
        holder: tuple[list[_Draft], int] | None = None  # where the last table stands, if nothing came after it
        last_page = 0
        for number, drafts in self._pages:
            content = [index for index, draft in enumerate(drafts) if not self._is_furniture(draft)]
            first = drafts[content[0]].block if content else None
            if holder is not None and number == last_page + 1 and isinstance(first, Table):
                page, index = holder
                before = page[index].block
                whole = with_continuation(before, first) if isinstance(before, Table) else None
                if whole is not None:
                    page[index] = replace(page[index], block=whole)
                    del drafts[content[0]]
                    self.warnings.append(f"A table goes on from page {last_page} to page {number}; it was joined.")
                    last_page = number
                    if len(content) == 1:
                        continue
                    content = [i - 1 for i in content[1:]]
            last_page = number
            holder = (drafts, content[-1]) if content and isinstance(drafts[content[-1]].block, Table) else None

    def _join_paragraphs(self) -> None:
        """Put paragraphs together that go on from page to page, past the footnotes."""
        holder: tuple[list[_Draft], int] | None = None
        last_page = 0
        for number, drafts in self._pages:
            content = [index for index, draft in enumerate(drafts) if not self._is_beside(draft)]
            if holder is not None and content and number == last_page + 1:
                page, index = holder
                before, first = page[index], drafts[content[0]]
                whole = self._whole(before, first)
                if whole is not None:
                    page[index] = whole
                    del drafts[content[0]]
                    last_page = number
                    if len(content) == 1:
                        continue
                    content = [i - 1 for i in content[1:]]
            last_page = number
            holder = (drafts, content[-1]) if content else None

    def _whole(self, before: _Draft, first: _Draft) -> _Draft | None:
        """Return a paragraph with what goes on with it; None if that is another."""
        block, rest = before.block, first.block
        if not isinstance(block, Paragraph | ListItem) or not isinstance(rest, Paragraph):
            return None
        if before.flow is None or first.flow is None or not continues(before.flow, first.flow):
            return None
        flow = replace(first.flow, kind=before.flow.kind, lines=before.flow.lines + first.flow.lines)
        return replace(before, block=with_rest(block, rest), flow=flow)

    def _is_beside(self, draft: _Draft) -> bool:
        return isinstance(draft.block, Note) or self._is_furniture(draft)

    def _is_furniture(self, draft: _Draft) -> bool:
        return draft.edge is not None and self._furniture.is_one(draft.edge)

    def _is_ornament(self, block: Block) -> bool:
        """Tell whether a picture stood in the document before and is there again and again: a logo, a bar."""
        if not isinstance(block, Picture) or block.caption or self._drawn[block.sha256] < _ORNAMENT:
            return False
        if block.sha256 in self._shown:
            return True
        self._shown.add(block.sha256)
        return False

    def _looks(self) -> list[Look]:
        return [
            draft.look
            for _, drafts in self._pages
            for draft in drafts
            if draft.look is not None and not self._is_furniture(draft)
        ]

    def _levelled(self, draft: _Draft, levels: dict[Look, int], number: int) -> Block:
        """Give a heading its level: the outline's, or that of its look; a title in the outline is a heading."""
        block = draft.block
        if not isinstance(block, Heading | Paragraph) or len(block.text) > 400:
            return block
        titles = self._titles.get(number)
        level = level_of_title(block.text, titles) if titles else None
        if level is not None:
            return Heading(text=block.text, marks=block.marks, level=level, provenance=block.provenance)
        if isinstance(block, Heading) and draft.look is not None:
            level = levels[draft.look]
            numbered = numbered_level(block.text)
            return replace(block, level=max(level, numbered) if numbered else level)
        return block

    def _tell(self, told: set[str], labels: dict[str, JSON]) -> None:
        metadata = self.builder.metadata
        if self._outline:
            metadata["outline"] = [_plain(entry) for entry in self._outline]
        if any(page != label for page, label in labels.items()):
            metadata["page_labels"] = labels
        if told and len(self._pages) > 1:
            self.warnings.append(f"Running headers and footers ({len(told)}) stand in the document once each.")
        if self._shown:
            self.warnings.append(
                f"Pictures that repeat, such as logos and ornaments ({len(self._shown)}), stand in it once each."
            )


def _plain(entry: OutlineEntry) -> JSON:
    return {"level": entry.level, "title": entry.title, "page": entry.page}

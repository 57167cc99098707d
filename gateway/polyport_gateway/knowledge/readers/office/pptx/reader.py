"""PowerPoint presentations (PresentationML, ECMA-376 part 1, section 19)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyport_gateway.knowledge.documents import (
    JSON,
    Block,
    PageBreak,
    Parsed,
    Provenance,
    UnreadableDocumentError,
)
from polyport_gateway.knowledge.readers.office.gathering import PackageGathering, naming_damage
from polyport_gateway.knowledge.readers.office.ooxml import R, points
from polyport_gateway.knowledge.readers.office.xml import Element

from .layouts import Layouts
from .names import P, on, whole
from .notes import Authors, read_comments, read_notes
from .slide import Deck, SlideReader

if TYPE_CHECKING:
    from polyport_gateway.knowledge.readers.base import ReadOptions

__all__ = ["PptxReader"]

_MIME = "application/vnd.openxmlformats-officedocument.presentationml.presentation"


class PptxReader:
    """Reads PPTX (and PPTM, PPSX and POTX; macros are never looked at).

    Each slide is a page: its title is a heading, then come its shapes in reading order, its footer, its speaker notes
    and its comments. A slide that is damaged is in the receipt, and the others are read.
    """

    name = "pptx"
    formats = frozenset({"pptx"})

    def read(self, data: bytes, name: str, options: ReadOptions) -> Parsed:
        """Read one file.

        Raises:
            UnreadableDocumentError: It is damaged, protected by a password, a bomb, or no presentation.
        """
        gathering = PackageGathering(data, name, options, _MIME)
        main = gathering.package.main_part("ppt/presentation.xml")
        root = gathering.package.xml(main)
        if root.tag != P + "presentation":
            raise UnreadableDocumentError(name, f"its part {main!r} holds no presentation.")
        with naming_damage(name):
            presentation = _Presentation(gathering, main, root)
            blocks = presentation.blocks()
        gathering.core_properties()
        return gathering.finish(
            blocks,
            reader=self.name,
            format="pptx",
            metadata=presentation.about,
            pages_in=presentation.slides,
            pages_out=presentation.slides_read,
        )


class _Presentation:
    """The slides of one file."""

    def __init__(self, gathering: PackageGathering, main: str, root: Element) -> None:
        self._gathering = gathering
        self._main = main
        self._relationships = gathering.package.relationships(main)
        self._slides = [entry.get(R + "id", "") for entry in root.iterfind(f"{P}sldIdLst/{P}sldId")]
        self._layouts = Layouts(gathering, root.find(P + "defaultTextStyle"))
        self._authors = Authors(gathering, self._relationships)
        self._deck = Deck(gathering, right_to_left=on(root, "rtl"))
        self._hidden: list[JSON] = []
        self.slides = len(self._slides)
        self.slides_read = 0
        size = root.find(P + "sldSz")
        self.about: dict[str, JSON] = {"slides": self.slides, "hidden_slides": self._hidden}
        if size is not None:
            self.about["slide_size"] = [points(whole(size, "cx")), points(whole(size, "cy"))]

    def blocks(self) -> list[Block]:
        """Give all slides, each on its page."""
        found: list[Block] = []
        for page, id_ in enumerate(self._slides, 1):
            if page > 1:
                found.append(PageBreak(page=page, provenance=Provenance(page=page)))
            relationship = self._relationships.get(id_)
            if relationship is None or relationship.external:
                self._gathering.skip("slide", "The file does not hold it.", page=page)
                continue
            try:
                found += self._slide(relationship.target, page)
            except UnreadableDocumentError as error:
                self._gathering.skip("slide", error.reason, page=page, part=relationship.target)
            except RecursionError:
                self._gathering.skip("slide", "Its groups nest too deep.", page=page, part=relationship.target)
        return found

    def _slide(self, part: str, page: int) -> list[Block]:
        root = self._gathering.package.xml(part)
        if root.tag != P + "sld":
            raise UnreadableDocumentError(self._gathering.name, f"its part {part!r} holds no slide.", page=page)
        if not on(root, "show", default=True):
            self._hidden.append(page)
            if not self._gathering.options.hidden:
                self._gathering.skip("slide", "Hidden slides were not asked for.", page=page)
                return []
            self._gathering.warn(f"Slide {page} is hidden.")
        reader = SlideReader(self._deck, part, self._layouts.of(part), page)
        found = reader.blocks(root)
        for relationship in reader.references.found.values():
            if relationship.external:
                continue
            if relationship.kind == "notesSlide":
                found += read_notes(self._gathering, relationship.target, page)
            elif relationship.kind == "comments":
                found += read_comments(self._gathering, relationship.target, self._authors, page)
        self.slides_read += 1
        return found

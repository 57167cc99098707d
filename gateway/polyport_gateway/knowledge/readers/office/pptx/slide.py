"""One slide as blocks in reading order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from polyport_gateway.knowledge.documents import (
    Block,
    Box,
    Heading,
    Note,
    Provenance,
    Table,
)
from polyport_gateway.knowledge.readers.office.gathering import PackageGathering
from polyport_gateway.knowledge.readers.office.ooxml import DIAGRAM, MC, A, C, R, alternative
from polyport_gateway.knowledge.readers.office.places import around, reading_order
from polyport_gateway.knowledge.readers.office.references import References
from polyport_gateway.knowledge.readers.office.xml import Element, local

from .layouts import Layout, placeholder_of
from .names import P14, P, on
from .paragraphs import TextBody
from .places import WHOLE, Frame, box_of
from .tables import read_grid

__all__ = ["Deck", "SlideReader"]

_TITLES = frozenset({"title", "ctrTitle"})
_FURNITURE = frozenset({"ftr", "hdr", "dt"})
_MEDIA = {"videoFile": "video", "audioFile": "audio", "wavAudioFile": "audio", "quickTimeFile": "video"}
_CHARTEX = "{http://schemas.microsoft.com/office/drawing/2014/chartex}chart"

_Placed = tuple[Box | None, list[Block]]


@dataclass(slots=True)
class Deck:
    """What all slides of a presentation have in common.

    Args:
        gathering: The file.
        right_to_left: Its columns are read from the right.
        seen: Footers, each shown once in the whole document.
    """

    gathering: PackageGathering
    right_to_left: bool = False
    seen: set[str] = field(default_factory=set)


class SlideReader:
    """Reads one slide.

    Args:
        deck: What it shares with the others.
        part: Where it is.
        layout: What its placeholders take over.
        page: Its number.
    """

    def __init__(self, deck: Deck, part: str, layout: Layout, page: int) -> None:
        self._deck = deck
        self._gathering = deck.gathering
        self._part = part
        self._layout = layout
        self._page = page
        self.references = References(deck.gathering, part)
        self._text = TextBody(self.references.found)
        self._titles: list[Block] = []
        self._furniture: list[Block] = []

    def blocks(self, root: Element) -> list[Block]:
        """Give the title, then what is on the slide by its place, then its footer."""
        tree = root.find(f"{P}cSld/{P}spTree")
        if tree is None:
            self._gathering.skip("slide", "It holds no shapes.", page=self._page, part=self._part)
            return []
        ordered = reading_order(list(self._shapes(tree, WHOLE)), right_to_left=self._deck.right_to_left)
        return [*self._titles, *(block for blocks in ordered for block in blocks), *self._furniture]

    def _shapes(self, parent: Element, frame: Frame) -> Iterator[_Placed]:
        for shape in parent:
            name = local(shape)
            if name == "AlternateContent":
                chosen = alternative(shape)
                if chosen is not None:
                    yield from self._shapes(chosen, frame)
            elif name == "grpSp":
                yield from self._group(shape, frame)
            elif name not in {"nvGrpSpPr", "grpSpPr", "extLst"}:
                box = self._box(shape, frame)
                try:
                    blocks = self._shape(shape, name, Provenance(page=self._page, bbox=box))
                except (ValueError, OverflowError) as error:
                    why = f"It is damaged: {error}."
                    self._gathering.skip("shape", why, page=self._page, part=self._part)
                    continue
                if blocks:
                    yield box, blocks

    def _group(self, group: Element, frame: Frame) -> Iterator[_Placed]:
        """Keep what is grouped together, in its own reading order."""
        inside = list(self._shapes(group, frame.inside(group)))
        boxes = [box for box, _ in inside if box is not None]
        blocks = [block for part in reading_order(inside, right_to_left=self._deck.right_to_left) for block in part]
        if blocks:
            yield around(boxes), blocks

    def _box(self, shape: Element, frame: Frame) -> Box | None:
        box = box_of(shape, frame)
        if box is None:
            ancestors = self._layout.ancestors(placeholder_of(shape))
            box = next((found for other in ancestors if (found := box_of(other, WHOLE)) is not None), None)
        return box

    def _shape(self, shape: Element, name: str, where: Provenance) -> list[Block]:
        if on(next(shape.iter(P + "cNvPr"), None), "hidden") and not self._gathering.options.hidden:
            self._gathering.skip("shape", "Hidden shapes were not asked for.", page=self._page, part=self._part)
            return []
        if name == "pic":
            return self._picture(shape, where)
        if name == "graphicFrame":
            return self._graphic(shape, where)
        if name == "contentPart":
            self._gathering.skip("ink", "Strokes of a pen are not read.", page=self._page, part=self._part)
            return []
        return [*self._words(shape, where), *self._fill(shape, where)]

    def _words(self, shape: Element, where: Provenance) -> list[Block]:
        body = shape.find(P + "txBody")
        if body is None:
            return []
        placeholder = placeholder_of(shape)
        kind = "" if placeholder is None else placeholder.type
        if kind in _TITLES:
            text, marks = self._text.line(body)
            if text:
                marks = tuple(mark for mark in marks if mark.kind != "bold")
                self._titles.append(Heading(text=text, marks=marks, level=1, provenance=where))
            return []
        if kind == "sldNum":
            return []  # it is the page of every block
        if kind in _FURNITURE:
            text, _ = self._text.line(body)
            if text and text not in self._deck.seen:
                self._deck.seen.add(text)
                self._furniture.append(Note(text=text, category="footer", label=kind, provenance=where))
            return []
        return self._text.blocks(body, self._layout.lists(shape, placeholder), where)

    def _fill(self, shape: Element, where: Provenance) -> Iterator[Block]:
        """Give the picture that a shape is filled with."""
        blip = shape.find(f"{P}spPr/{A}blipFill/{A}blip")
        if blip is not None:
            yield from self.references.picture(
                blip.get(R + "embed"), blip.get(R + "link"), alt=_alt(shape), where=where
            )

    def _picture(self, shape: Element, where: Provenance) -> list[Block]:
        for element in shape.iter():
            if (kind := _MEDIA.get(local(element))) is not None or element.tag == P14 + "media":
                self._gathering.skip(kind or "media", "Sound and film are not read.", page=self._page, part=self._part)
                break
        alt = _alt(shape)
        blip = shape.find(f"{P}blipFill/{A}blip")
        if blip is None:
            self._gathering.skip("picture", "It names no image.", page=self._page, part=self._part)
            return []
        # A drawing kept as SVG stands beside its own rendering, which every program can show.
        found = self.references.picture(blip.get(R + "embed"), blip.get(R + "link"), alt=alt, where=where)
        return [*found, *self._words(shape, where)]

    def _graphic(self, frame: Element, where: Provenance) -> list[Block]:
        found: list[Block] = []
        for data in frame.iter(A + "graphicData"):
            for content in data:
                found += self._content(content, frame, where)
        return found

    def _content(self, content: Element, frame: Element, where: Provenance) -> list[Block]:
        if content.tag == A + "tbl":
            return self._table(content, frame, where)
        if content.tag in {C + "chart", _CHARTEX}:
            return list(self.references.chart(content.get(R + "id", ""), where))
        if content.tag == DIAGRAM + "relIds":
            return list(self.references.diagram(content.get(R + "dm", ""), where))
        if content.tag in {P + "oleObj", MC + "AlternateContent"}:
            return self._object(content, where)
        what = local(content)
        self._gathering.skip("graphic", f"A graphic of the kind {what!r}.", page=self._page, part=self._part)
        return []

    def _table(self, table: Element, frame: Element, where: Provenance) -> list[Block]:
        inside = replace(where, bbox=None)

        def blocks(cell: Element) -> list[Block]:
            body = cell.find(A + "txBody")
            return [] if body is None else self._text.blocks(body, [], inside)

        def lost() -> None:
            self._gathering.skip("cell", "A merged cell covers its text.", page=self._page, part=self._part)

        grid = read_grid(table, blocks, lost)
        return [Table(grid=grid, caption=_alt(frame), provenance=where)] if grid.cells else []

    def _object(self, content: Element, where: Provenance) -> list[Block]:
        """Read an embedded file; where it is not read, its preview is what there is."""
        objects = list(content.iter(P + "oleObj"))
        read: list[Block] = []
        if objects:
            named = next((entry for entry in objects if entry.get(R + "id")), objects[0])
            program = named.get("progId") or "another program"
            read = self.references.embedded(named.get(R + "id", ""), program, where)
        if read:
            return read
        picture = next(content.iter(P + "pic"), None)
        return [] if picture is None else self._picture(picture, where)


def _alt(shape: Element) -> str:
    about = next(shape.iter(P + "cNvPr"), None)
    return "" if about is None else about.get("descr") or about.get("title") or ""

"""What a part draws but does not hold itself: pictures, charts, diagrams and embedded files, found by relationship."""

from __future__ import annotations

from collections.abc import Iterator

from polyport_gateway.knowledge.documents import Block, ListItem, Picture, Provenance

from .charts import chart_table
from .gathering import PackageGathering
from .ooxml import DIAGRAM, A
from .package import Relationship
from .xml import Element

__all__ = ["References"]

_DEEPEST = 20  # of a diagram; its points may refer to each other in a circle


class References:
    """The relationships of one part, and what they lead to.

    Args:
        gathering: The file.
        part: Whose relationships they are.
    """

    def __init__(self, gathering: PackageGathering, part: str) -> None:
        self._gathering = gathering
        self._part = part
        self.found: dict[str, Relationship] = gathering.package.relationships(part)

    def picture(self, embed: str | None, link: str | None, *, alt: str, where: Provenance) -> Iterator[Block]:
        """Give the picture that a ``blip`` names; one that is not there is told of."""
        relationship = self.found.get(embed or "") or self.found.get(link or "")
        if relationship is None:
            if embed or link:
                why = "The file does not hold what it refers to."
                self._gathering.skip("picture", why, page=where.page, part=self._part)
        elif relationship.external:
            yield Picture(alt=alt, link=relationship.target, provenance=where)
        elif (picture := self._gathering.picture(relationship.target, alt=alt, provenance=where)) is not None:
            yield picture

    def chart(self, id_: str, where: Provenance) -> Iterator[Block]:
        """Give a chart as a table."""
        relationship = self.found.get(id_)
        root = self._gathering.optional_part(relationship.target) if relationship else None
        table = None if root is None else chart_table(root, where)
        if table is None:
            self._gathering.skip("chart", "It caches no values.", page=where.page, part=where.sheet or self._part)
        else:
            yield table

    def diagram(self, id_: str, where: Provenance) -> Iterator[Block]:
        """Give the words of a diagram (SmartArt), each at the level at which its points hang together."""
        relationship = self.found.get(id_)
        root = self._gathering.optional_part(relationship.target) if relationship else None
        if root is None:
            self._gathering.skip("diagram", "The file does not hold its data.", page=where.page, part=self._part)
            return
        texts = {point.get("modelId", ""): _words(point) for point in root.iter(DIAGRAM + "pt")}
        parents = _parents(root)
        order = {id_: number for number, id_ in enumerate(_ordered(texts, parents))}
        for point in sorted(texts, key=lambda point: order.get(point, len(order))):
            if texts[point]:
                level = sum(1 for above in _above(point, parents) if texts.get(above)) + 1
                yield ListItem(text=texts[point], level=level, marker="•", provenance=where)

    def embedded(self, id_: str, program: str, where: Provenance) -> list[Block]:
        """Read an embedded file; what it is not read as is told of."""
        relationship = self.found.get(id_)
        if relationship is None or relationship.external or not self._gathering.package.has(relationship.target):
            self._gathering.skip("embedded object", f"It belongs to {program}.", page=where.page, part=self._part)
            return []
        return self._gathering.embedded(relationship.target, program, where)


def _words(point: Element) -> str:
    lines = ("".join(part.text or "" for part in line.iter(A + "t")) for line in point.iter(A + "p"))
    return "\n".join(line for line in lines if line.strip()).strip()


def _parents(root: Element) -> dict[str, tuple[str, int]]:
    found = {}
    for connection in root.iter(DIAGRAM + "cxn"):
        if connection.get("type", "parOf") == "parOf":
            place = connection.get("srcOrd", "0")
            number = int(place) if place.isdecimal() else 0
            found[connection.get("destId", "")] = (connection.get("srcId", ""), number)
    return found


def _above(point: str, parents: dict[str, tuple[str, int]]) -> Iterator[str]:
    for _ in range(_DEEPEST):
        if point not in parents:
            return
        point = parents[point][0]
        yield point


def _ordered(texts: dict[str, str], parents: dict[str, tuple[str, int]]) -> list[str]:
    """Walk from the points that hang on none to those below, in the order of their connections."""
    below: dict[str, list[tuple[int, str]]] = {}
    for point, (parent, number) in parents.items():
        below.setdefault(parent, []).append((number, point))
    walked: dict[str, None] = {}
    waiting = [point for point in reversed(texts) if point not in parents]
    while waiting:
        point = waiting.pop()
        if point not in walked:
            walked[point] = None
            waiting += [child for _, child in sorted(below.get(point, ()), reverse=True)]
    return list(walked)

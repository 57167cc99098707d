"""What a placeholder takes over from its layout and its master: its place, and how its paragraphs are listed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from polyport_gateway.knowledge.readers.office.gathering import PackageGathering
from polyport_gateway.knowledge.readers.office.ooxml import A
from polyport_gateway.knowledge.readers.office.xml import Element, local

from .names import P

__all__ = ["Layout", "Layouts", "Placeholder", "placeholder_of"]

_STYLES = {"title": "titleStyle", "ctrTitle": "titleStyle", "body": "bodyStyle", "subTitle": "bodyStyle",
           "obj": "bodyStyle"}  # fmt: skip
_SAME = {"ctrTitle": "title", "subTitle": "body", "obj": "body"}  # what a master calls them


@dataclass(frozen=True, slots=True)
class Placeholder:
    """What a shape says of the place that it fills."""

    type: str
    index: str


def placeholder_of(shape: Element) -> Placeholder | None:
    """Read a shape's ``p:ph``."""
    for child in shape:
        if local(child).startswith("nv"):
            found = child.find(f"{P}nvPr/{P}ph")
            if found is not None:
                return Placeholder(found.get("type", "obj"), found.get("idx", "0"))
    return None


class Layout:
    """A slide's layout and its master.

    Args:
        layout: The part's root; None when it is missing.
        master: Likewise.
        default: How the presentation lists text outside placeholders.
    """

    def __init__(self, layout: Element | None, master: Element | None, default: Element | None) -> None:
        self._layout = list(_shapes(layout))
        self._master = list(_shapes(master))
        self._styles = None if master is None else master.find(P + "txStyles")
        self._default = default

    def ancestors(self, placeholder: Placeholder | None) -> list[Element]:
        """Return the shapes that a placeholder takes over from, the nearest first."""
        if placeholder is None:
            return []
        found = []
        kind = placeholder.type
        for shape in self._layout:
            other = placeholder_of(shape)
            # The index ties a slide's placeholder to the layout's, the type that one to the master's.
            if other is not None and other.index == placeholder.index:
                found.append(shape)
                kind = other.type if kind == "obj" else kind
                break
        wanted = _SAME.get(kind, kind)
        for shape in self._master:
            other = placeholder_of(shape)
            if other is not None and _SAME.get(other.type, other.type) == wanted:
                found.append(shape)
                break
        return found

    def lists(self, shape: Element, placeholder: Placeholder | None) -> list[Element]:
        """Return the elements with a shape's list levels (``a:lvl1pPr`` …), the nearest first."""
        chain = [shape, *self.ancestors(placeholder)]
        found = [style for each in chain if (style := each.find(f"{P}txBody/{A}lstStyle")) is not None]
        name = "otherStyle" if placeholder is None else _STYLES.get(placeholder.type, "otherStyle")
        style = None if self._styles is None else self._styles.find(P + name)
        if style is not None:
            found.append(style)
        if placeholder is None and self._default is not None:
            found.append(self._default)
        return found


def _shapes(root: Element | None) -> Iterator[Element]:
    tree = None if root is None else root.find(f"{P}cSld/{P}spTree")
    for child in () if tree is None else tree:
        if placeholder_of(child) is not None:
            yield child


class Layouts:
    """The layouts of a presentation, each read once."""

    def __init__(self, gathering: PackageGathering, default: Element | None) -> None:
        self._gathering = gathering
        self._default = default
        self._roots: dict[str, Element | None] = {}
        self._found: dict[str, Layout] = {}

    def of(self, slide: str) -> Layout:
        """Return the layout of a slide."""
        layout = self._target(slide, "slideLayout")
        if layout not in self._found:
            master = self._target(layout, "slideMaster") if layout else ""
            self._found[layout] = Layout(self._root(layout), self._root(master), self._default)
        return self._found[layout]

    def _target(self, part: str, kind: str) -> str:
        relationships = self._gathering.package.relationships(part).values()
        return next((entry.target for entry in relationships if entry.kind == kind and not entry.external), "")

    def _root(self, part: str) -> Element | None:
        if part not in self._roots:
            self._roots[part] = self._gathering.optional_part(part) if part else None
        return self._roots[part]

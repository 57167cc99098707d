"""What a document's styles say: each takes over from its parent, and that from the default."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from polyport_gateway.knowledge.readers.office.text import Style
from polyport_gateway.knowledge.readers.office.xml import Element

from .names import FO, OFFICE, STYLE, TABLE, TEXT

__all__ = ["NO_FACE", "Face", "Styles"]

_CHAIN = 20  # styles based on styles; a file may make a circle of them
_LIST_STYLES = (TEXT + "list-style", TEXT + "outline-style")


@dataclass(frozen=True, slots=True)
class Face:
    """How letters look; None where a style leaves it to what is around."""

    bold: bool | None = None
    italic: bool | None = None
    underline: bool | None = None
    strike: bool | None = None
    script: str | None = None
    hidden: bool | None = None

    def inside(self, outer: Face) -> Face:
        """Return this face where it says something, and the outer one where it doesn't."""
        return Face(
            outer.bold if self.bold is None else self.bold,
            outer.italic if self.italic is None else self.italic,
            outer.underline if self.underline is None else self.underline,
            outer.strike if self.strike is None else self.strike,
            outer.script if self.script is None else self.script,
            outer.hidden if self.hidden is None else self.hidden,
        )

    def marks(self) -> list[Style]:
        """Return it as marks."""
        marks = [(kind, "") for kind in ("bold", "italic", "underline", "strike") if getattr(self, kind)]
        return [*marks, (self.script, "")] if self.script else marks


NO_FACE = Face()


class Styles:
    """Styles by family and name.

    Args:
        roots: Elements that hold styles (``office:styles``, ``office:automatic-styles`` …); a later one wins.
    """

    def __init__(self, *roots: Element | None) -> None:
        self._styles: dict[tuple[str, str], Element] = {}
        self._defaults: dict[str, Element] = {}
        self._lists: dict[str, Element] = {}
        self._data: dict[str, Element] = {}
        self._faces: dict[tuple[str, str | None], Face] = {}
        self.outline: Element | None = None
        for root in roots:
            for style in () if root is None else root:
                self._add(style)

    def _add(self, style: Element) -> None:
        name = style.get(STYLE + "name", "")
        if style.tag == STYLE + "style":
            self._styles[style.get(STYLE + "family", ""), name] = style
        elif style.tag == STYLE + "default-style":
            self._defaults[style.get(STYLE + "family", "")] = style
        elif style.tag == TEXT + "list-style":
            self._lists[name] = style
        elif style.tag == TEXT + "outline-style":
            self.outline = style
        elif style.tag.endswith("-style"):
            self._data[name] = style

    def chain(self, family: str, name: str | None) -> Iterator[Element]:
        """Give a style and those that it takes over from, the nearest first."""
        for _ in range(_CHAIN):
            style = self._styles.get((family, name or ""))
            if style is None:
                break
            yield style
            name = style.get(STYLE + "parent-style-name")
        if family in self._defaults:
            yield self._defaults[family]

    def property(self, family: str, name: str | None, group: str, key: str) -> str | None:
        """Return a property, such as ``fo:break-before`` of the group ``paragraph``."""
        for style in self.chain(family, name):
            properties = style.find(f"{STYLE}{group}-properties")
            if properties is not None and (found := properties.get(key)) is not None:
                return found
        return None

    def attribute(self, family: str, name: str | None, key: str) -> str | None:
        """Return an attribute of the nearest style that has it."""
        return next((found for style in self.chain(family, name) if (found := style.get(key)) is not None), None)

    def names(self, family: str, name: str | None) -> list[str]:
        """Return the names of a style and its parents as a person reads them, in lower case."""
        named = [style for style in self.chain(family, name) if style.get(STYLE + "name")]
        if not named:
            return [_plain(name or "")]  # one that the file uses and doesn't define
        return [
            style.get(STYLE + "display-name", "").lower() or _plain(style.get(STYLE + "name", "")) for style in named
        ]

    def face(self, family: str, name: str | None) -> Face:
        """Tell how letters in a style look."""
        key = family, name
        if key not in self._faces:
            face = NO_FACE
            for style in self.chain(family, name):
                properties = style.find(STYLE + "text-properties")
                if properties is not None:
                    face = face.inside(_face(properties))
            self._faces[key] = face
        return self._faces[key]

    def list(self, name: str | None) -> Element | None:
        """Return a list style."""
        return self._lists.get(name or "")

    def data(self, name: str | None) -> Element | None:
        """Return a style of numbers or dates."""
        return self._data.get(name or "")


def _plain(name: str) -> str:
    return name.replace("_20_", " ").lower()


def _face(properties: Element) -> Face:
    weight = properties.get(FO + "font-weight")
    slope = properties.get(FO + "font-style")
    under = properties.get(STYLE + "text-underline-style")
    through = properties.get(STYLE + "text-line-through-style") or properties.get(STYLE + "text-line-through-type")
    display = properties.get(TEXT + "display")
    return Face(
        None if weight is None else weight == "bold" or (weight.isdecimal() and int(weight) >= 600),
        None if slope is None else slope in {"italic", "oblique"},
        None if under is None else under != "none",
        None if through is None else through != "none",
        _script(properties.get(STYLE + "text-position")),
        None if display is None else display == "none",
    )


def _script(position: str | None) -> str | None:
    words = (position or "").split()
    if not words:
        return None
    height = words[0]
    if height in {"super", "sub"}:
        return f"{height}script"
    number = height.rstrip("%").lstrip("-")
    if not number.replace(".", "", 1).isdecimal() or float(number) == 0:
        return ""
    return "subscript" if height.startswith("-") else "superscript"


def styles_of(root: Element | None, name: str) -> Element | None:
    """Return one of a part's lots of styles: ``styles``, ``automatic-styles``, ``master-styles``."""
    return None if root is None else root.find(OFFICE + name)


def is_shown(styles: Styles, table: Element) -> bool:
    """Tell whether a sheet is shown."""
    name = table.get(TABLE + "style-name")
    return styles.property("table", name, "table", TABLE + "display") != "false"

"""What a document's styles say of a paragraph, a run and a table."""

from __future__ import annotations

import re
from dataclasses import dataclass

from polyport_gateway.knowledge.readers.office.xml import Element

from .names import W, is_on, value

__all__ = ["ParagraphStyle", "Styles"]

_HEADING = re.compile(r"(?:heading|überschrift|titre|título|标题)\s*([1-9])$")
_CODE = frozenset(
    {"code", "source code", "html preformatted", "preformatted text", "macro", "macro text", "sourcecode", "code block"}
)
_CHAIN = 20  # styles based on styles; a file may make a circle of them


@dataclass(frozen=True, slots=True)
class ParagraphStyle:
    """What a paragraph style means.

    Args:
        level: Of a heading, from 1; 0 for a document's title; None otherwise.
        list: Number and level of the list it belongs to.
        code: It is for source code.
        caption: It is for captions of tables and pictures.
    """

    level: int | None = None
    list: tuple[str, int] | None = None
    code: bool = False
    caption: bool = False


class Styles:
    """The part ``styles.xml``."""

    def __init__(self, root: Element | None) -> None:
        self._styles: dict[str, Element] = {}
        self._default: str | None = None
        for style in () if root is None else root.iter(W + "style"):
            id_ = style.get(W + "styleId", "")
            self._styles[id_] = style
            if style.get(W + "type") == "paragraph" and style.get(W + "default") in {"1", "true", "on"}:
                self._default = id_
        self._paragraphs: dict[str | None, ParagraphStyle] = {}

    def _chain(self, id_: str | None) -> list[Element]:
        """Return a style and those that it is based on, the nearest first."""
        chain: list[Element] = []
        while id_ is not None and (style := self._styles.get(id_)) is not None and len(chain) < _CHAIN:
            chain.append(style)
            id_ = value(style, "basedOn")
        return chain

    def paragraph(self, id_: str | None) -> ParagraphStyle:
        """Tell what a paragraph style means."""
        id_ = id_ or self._default
        found = self._paragraphs.get(id_)
        if found is None:
            found = self._paragraphs[id_] = self._read(id_)
        return found

    def _read(self, id_: str | None) -> ParagraphStyle:
        chain = self._chain(id_)
        names = [(value(style, "name") or "").lower() for style in chain] or [(id_ or "").lower()]
        properties = [found for style in chain if (found := style.find(W + "pPr")) is not None]
        return ParagraphStyle(
            level=_level(names, properties),
            list=_list(properties, id_),
            code=any(name in _CODE for name in names[:2]),
            caption=names[0] == "caption",
        )

    def run(self, id_: str | None) -> list[Element]:
        """Return the run properties of a character style, the nearest first."""
        return [found for style in self._chain(id_) if (found := style.find(W + "rPr")) is not None]

    def emphasises(self, id_: str | None, area: str) -> bool:
        """Tell whether a table style sets an area (``firstCol``, ``firstRow``) in bold."""
        return any(
            condition.get(W + "type") == area and is_on(condition.find(W + "rPr"), "b") is True
            for style in self._chain(id_)
            for condition in style.iter(W + "tblStylePr")
        )


def _level(names: list[str], properties: list[Element]) -> int | None:
    for name in names:
        if name == "title":
            return 0
        if name == "subtitle":
            return 1
        if match := _HEADING.match(name):
            return int(match[1])
    for found in properties:
        outline = value(found, "outlineLvl")
        if outline is not None:
            return int(outline) + 1 if outline.isdecimal() and int(outline) < 9 else None
    return None


def _list(properties: list[Element], style: str | None) -> tuple[str, int] | None:
    number = level = None
    for found in properties:
        numbering = found.find(W + "numPr")
        if numbering is None:
            continue
        number = value(numbering, "numId") if number is None else number
        level = value(numbering, "ilvl") if level is None else level
    if number is None or number == "0":
        return None
    return number, int(level) if level and level.isdecimal() else -1  # −1: the level that names this style

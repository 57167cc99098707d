"""Lists (OpenDocument 1.4 part 3, sections 5.3 and 16.30): how deep an item is, and what stands before it."""

from __future__ import annotations

from dataclasses import dataclass

from polyport_gateway.knowledge.readers.office.counting import counted, shown_bullet
from polyport_gateway.knowledge.readers.office.xml import Element, local

from .names import STYLE, TEXT, count
from .styles import Styles

__all__ = ["Lists", "Marker", "Outline"]

_FORMS = {
    "1": "decimal", "a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman",
    "①, ②, ③, ...": "decimalEnclosedCircle", "一, 二, 三, ...": "chineseCounting",
    "甲, 乙, 丙, ...": "ideographTraditional",
    "子, 丑, 寅, ...": "ideographZodiac", "01, 02, 03, ...": "decimalZero", "1st": "ordinal",
}  # fmt: skip
_LEVELS = 10


@dataclass(frozen=True, slots=True)
class Marker:
    """What stands before an item.

    Args:
        text: As it is shown.
        ordered: It is a number.
        level: From 1.
    """

    text: str
    ordered: bool
    level: int


@dataclass(slots=True)
class _List:
    """A list and those inside it."""

    style: Element | None
    style_name: str | None
    counts: list[int | None]


def _level(style: Element | None, level: int) -> Element | None:
    for entry in () if style is None else style:
        if entry.get(TEXT + "level") == str(level):
            return entry
    return None


def _start(entry: Element | None) -> int:
    return 1 if entry is None else count(entry, TEXT + "start-value")


def _number(style: Element | None, level: int, counts: list[int | None]) -> str:
    """Write a number with those of the levels above it that its style shows."""
    entry = _level(style, level)
    if entry is None or not entry.get(STYLE + "num-format"):
        return ""
    shown = count(entry, TEXT + "display-levels")
    parts = []
    for place in range(max(level - shown + 1, 1), level + 1):
        other = _level(style, place)
        form = "1" if other is None else other.get(STYLE + "num-format") or ""
        if form:
            number = counts[place - 1]
            parts.append(counted(_start(other) if number is None else number, _FORMS.get(form, "decimal")))
    return f"{entry.get(STYLE + 'num-prefix', '')}{'.'.join(parts)}{entry.get(STYLE + 'num-suffix', '')}".strip()


class Lists:
    """Counts the items of a document's lists."""

    def __init__(self, styles: Styles) -> None:
        self._styles = styles
        self._by_id: dict[str, _List] = {}
        self._by_style: dict[str | None, _List] = {}
        self._open: list[_List] = []

    @property
    def depth(self) -> int:
        """How many lists the reading is inside."""
        return len(self._open)

    def enter(self, element: Element) -> None:
        """Begin a ``text:list``."""
        name = element.get(TEXT + "style-name")
        if self._open:
            outer = self._open[-1]
            style = self._styles.list(name) if name else outer.style
            # Lists inside each other count in one place, so that a number can show those above it.
            self._open.append(_List(style, name or outer.style_name, outer.counts))
            return
        goes_on = self._by_id.get(element.get(TEXT + "continue-list", ""))
        if goes_on is None and element.get(TEXT + "continue-numbering") == "true":
            goes_on = self._by_style.get(name)
        counts = list[int | None]([None] * _LEVELS) if goes_on is None else goes_on.counts
        opened = _List(self._styles.list(name), name, counts)
        if id_ := element.get("{http://www.w3.org/XML/1998/namespace}id"):
            self._by_id[id_] = opened
        self._by_style[name] = opened
        self._open.append(opened)

    def leave(self) -> None:
        """End the innermost list."""
        self._open.pop()
        if self._open:
            for deeper in range(len(self._open), _LEVELS):
                self._open[-1].counts[deeper] = None

    def suspend(self) -> list[_List]:
        """Step out of all lists, for what stands in a cell or a text box; give back what `resume` takes."""
        opened, self._open = self._open, []
        return opened

    def resume(self, opened: list[_List]) -> None:
        """Step into the lists again."""
        self._open = opened

    def item(self, element: Element) -> Marker | None:
        """Count an item; None when nothing is shown before it."""
        current = self._open[-1]
        level = min(self.depth, _LEVELS)
        entry = _level(current.style, level)
        kind = "" if entry is None else local(entry)
        if kind == "list-level-style-bullet" and entry is not None:
            sign = entry.get(TEXT + "bullet-char", "")
            return Marker(shown_bullet(sign), ordered=False, level=level) if sign.strip() else None
        if kind != "list-level-style-number":
            return Marker("•", ordered=False, level=level)
        given = element.get(TEXT + "start-value", "")
        before = current.counts[level - 1]
        current.counts[level - 1] = (
            int(given[:9]) if given.isdecimal() else _start(entry) if before is None else before + 1
        )
        for deeper in range(level, _LEVELS):
            current.counts[deeper] = None
        text = _number(current.style, level, current.counts)
        return Marker(text, ordered=True, level=level) if text else None


class Outline:
    """Counts the headings of a document that numbers them."""

    def __init__(self, style: Element | None) -> None:
        self._style = style
        self._counts: list[int | None] = [None] * _LEVELS

    def label(self, level: int) -> str:
        """Return what stands before the next heading of a level, such as ``2.1``."""
        level = min(level, _LEVELS)
        before = self._counts[level - 1]
        self._counts[level - 1] = _start(_level(self._style, level)) if before is None else before + 1
        for deeper in range(level, _LEVELS):
            self._counts[deeper] = None
        return _number(self._style, level, self._counts)

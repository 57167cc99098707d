"""List numbers as Word shows them: they are not in the text, but counted from ``numbering.xml``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from polyport_gateway.knowledge.readers.office.counting import counted, shown_bullet
from polyport_gateway.knowledge.readers.office.xml import Element

from .names import W, value

__all__ = ["Numbering"]

_LEVELS = 9
_PLACE = re.compile("%([1-9])")


@dataclass(slots=True)
class _Level:
    start: int = 1
    format: str = "decimal"
    text: str = "%1."
    restart: int = -1  # after which level it starts again; −1: after any wider one
    style: str | None = None
    legal: bool = False


class Numbering:
    """The part ``numbering.xml``, and how far each list has been counted."""

    def __init__(self, root: Element | None) -> None:
        self._abstract: dict[str, dict[int, _Level]] = {}
        self._lists: dict[str, tuple[str, dict[int, _Level]]] = {}
        self._counts: dict[str, list[int | None]] = {}
        self._started: set[tuple[str, int]] = set()
        if root is None:
            return
        links: dict[str, str] = {}
        for entry in root.findall(W + "abstractNum"):
            id_ = entry.get(W + "abstractNumId", "")
            self._abstract[id_] = dict(_levels(entry))
            if (style := value(entry, "styleLink")) is not None:
                links[style] = id_
        for entry in root.findall(W + "abstractNum"):
            if (style := value(entry, "numStyleLink")) in links:
                self._abstract[entry.get(W + "abstractNumId", "")] = self._abstract[links[style or ""]]
        for entry in root.findall(W + "num"):
            self._add(entry)

    def _add(self, entry: Element) -> None:
        abstract = value(entry, "abstractNumId") or ""
        levels = dict(self._abstract.get(abstract, {}))
        overridden = False
        for override in entry.findall(W + "lvlOverride"):
            index = _number(override.get(W + "ilvl"), 0)
            levels |= dict(_levels(override))
            start = value(override, "startOverride")
            if start is not None:
                base = levels.get(index, _Level())
                levels[index] = _Level(_number(start, 1), base.format, base.text, base.restart, base.style, base.legal)
                overridden = True
        id_ = entry.get(W + "numId", "")
        # Lists made from one definition count on together, unless one starts anew.
        self._lists[id_] = (f"num {id_}" if overridden else abstract, levels)

    def level_of_style(self, list_id: str, style: str | None) -> int:
        """Return the level that is tied to a paragraph style, else the outermost."""
        _, levels = self._lists.get(list_id, ("", {}))
        return next((index for index, level in levels.items() if level.style and level.style == style), 0)

    def next(self, list_id: str, index: int) -> tuple[bool, str] | None:
        """Count one item.

        Returns:
            Whether it is numbered, and what stands before it; None for a list that the file doesn't define, and
            where nothing is shown.
        """
        if list_id not in self._lists:
            return None
        index = min(max(index, 0), _LEVELS - 1)
        key, levels = self._lists[list_id]
        level = levels.get(index, _Level(text=f"%{index + 1}."))
        if level.format == "bullet" and level.text.isspace():
            return None  # so Pandoc indents a further paragraph of an item
        if level.format == "bullet":
            return False, shown_bullet(level.text)
        counts = self._counts.setdefault(key, [None] * _LEVELS)
        current = counts[index]
        counts[index] = level.start if current is None else current + 1
        for deeper in range(index + 1, _LEVELS):
            restart = levels.get(deeper, _Level()).restart
            if restart != 0 and (restart < 0 or index < restart):
                counts[deeper] = None
        if level.format == "none":
            return True, _PLACE.sub("", level.text)

        def shown(match: re.Match[str]) -> str:
            place = int(match[1]) - 1
            other = levels.get(place, _Level())
            count = counts[place]
            return counted(other.start if count is None else count, "decimal" if level.legal else other.format)

        return True, _PLACE.sub(shown, level.text)


def _levels(entry: Element) -> list[tuple[int, _Level]]:
    found = []
    for level in entry.findall(W + "lvl"):
        restart = value(level, "lvlRestart")
        found.append(
            (
                _number(level.get(W + "ilvl"), 0),
                _Level(
                    start=_number(value(level, "start"), 1),
                    format=value(level, "numFmt") or "decimal",
                    text=value(level, "lvlText") or "",
                    restart=_number(restart, -1),
                    style=value(level, "pStyle"),
                    legal=level.find(W + "isLgl") is not None,
                ),
            )
        )
    return found


def _number(text: str | None, default: int) -> int:
    try:
        return int(text) if text else default
    except ValueError:
        return default

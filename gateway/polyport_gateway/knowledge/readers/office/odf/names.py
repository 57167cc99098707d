"""The XML names of OpenDocument 1.4 part 3 that the readers ask for, and its measures."""

from __future__ import annotations

import re

from polyport_gateway.knowledge.readers.office.xml import Element

__all__ = ["CHART", "CONFIG", "DC", "DRAW", "FO", "LINK", "MATH", "META", "NUMBER", "OFFICE", "PRESENTATION", "STYLE",
           "SVG", "TABLE", "TEXT", "count", "points"]  # fmt: skip

_OASIS = "{urn:oasis:names:tc:opendocument:xmlns:"
OFFICE, TEXT, TABLE, DRAW = (f"{_OASIS}{name}:1.0}}" for name in ("office", "text", "table", "drawing"))
STYLE, META, NUMBER = (f"{_OASIS}{name}:1.0}}" for name in ("style", "meta", "datastyle"))
PRESENTATION, CHART, CONFIG = (f"{_OASIS}{name}:1.0}}" for name in ("presentation", "chart", "config"))
FO, SVG = f"{_OASIS}xsl-fo-compatible:1.0}}", f"{_OASIS}svg-compatible:1.0}}"
DC = "{http://purl.org/dc/elements/1.1/}"
LINK = "{http://www.w3.org/1999/xlink}"
MATH = "{http://www.w3.org/1998/Math/MathML}"

_LENGTH = re.compile(r"(-?[\d.]+)\s*(cm|mm|in|pt|pc|px)")
_POINTS = {"cm": 72 / 2.54, "mm": 72 / 25.4, "in": 72.0, "pt": 1.0, "pc": 12.0, "px": 0.75}


def points(length: str | None) -> float | None:
    """Read a length such as ``2.5cm``."""
    match = _LENGTH.fullmatch(length or "")
    try:
        return round(float(match[1]) * _POINTS[match[2]], 2) if match else None
    except ValueError:
        return None


def count(element: Element, name: str, default: int = 1) -> int:
    """Read an attribute that is a whole number, at least 1."""
    text = element.get(name)
    if text is None:
        return default
    return max(int(text), 1) if text.isdecimal() and len(text) < 10 else default

"""The XML names of PresentationML (ECMA-376 part 1, section 19) that the reader asks for."""

from __future__ import annotations

from polyport_gateway.knowledge.readers.office.xml import Element

__all__ = ["A14", "P14", "P188", "P", "on", "whole"]

P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
P14 = "{http://schemas.microsoft.com/office/powerpoint/2010/main}"
P188 = "{http://schemas.microsoft.com/office/powerpoint/2018/8/main}"
A14 = "{http://schemas.microsoft.com/office/drawing/2010/main}"


def whole(element: Element | None, name: str, default: int = 0) -> int:
    """Read an attribute that is a whole number."""
    text = "" if element is None else element.get(name, "")
    try:
        return int(text)
    except ValueError:
        return default


def on(element: Element | None, name: str, *, default: bool = False) -> bool:
    """Read an attribute that is a yes or no."""
    text = None if element is None else element.get(name)
    return default if text is None else text in {"1", "true", "on"}

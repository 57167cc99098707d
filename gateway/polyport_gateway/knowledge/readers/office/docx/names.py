"""The XML names of WordprocessingML (ECMA-376 part 1, section 17) that the reader asks for."""

from __future__ import annotations

from polyport_gateway.knowledge.readers.office.xml import Element

__all__ = ["W14", "V", "W", "is_on", "value"]

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
W14 = "{http://schemas.microsoft.com/office/word/2010/wordml}"
V = "{urn:schemas-microsoft-com:vml}"

_OFF = frozenset({"0", "false", "off", "none"})


def value(element: Element | None, name: str) -> str | None:
    """Read ``w:val`` of a child such as ``w:pStyle``."""
    found = None if element is None else element.find(W + name)
    return None if found is None else found.get(W + "val")


def is_on(element: Element | None, name: str) -> bool | None:
    """Read an on/off property; None when it isn't given."""
    found = None if element is None else element.find(W + name)
    return None if found is None else (found.get(W + "val") or "1") not in _OFF

"""The XML names that Word, Excel and PowerPoint share (ECMA-376)."""

from __future__ import annotations

from .xml import Element, local

__all__ = ["DIAGRAM", "MC", "A", "C", "M", "R", "alternative", "points"]

A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"

_EMU_PER_POINT = 12_700


def alternative(element: Element) -> Element | None:
    """Choose between the forms of ``mc:AlternateContent``: the newest first, for it says most."""
    for child in element:
        if child.tag == MC + "Choice" and len(child) and not _is_ink(child):
            return child
    return element.find(MC + "Fallback")


def _is_ink(choice: Element) -> bool:
    # Strokes of a pen: the form for older programs is a picture of them.
    return all(local(child) == "contentPart" for child in choice)


def points(emu: float) -> float:
    """Turn the English metric units that drawings are measured in into points."""
    return round(emu / _EMU_PER_POINT, 2)

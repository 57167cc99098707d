"""A workbook: its sheets, its shared strings and its styles."""

from __future__ import annotations

from dataclasses import dataclass

from polyport_gateway.knowledge.documents import UnreadableDocumentError, UnsupportedFormatError
from polyport_gateway.knowledge.readers.office.gathering import PackageGathering
from polyport_gateway.knowledge.readers.office.ooxml import R
from polyport_gateway.knowledge.readers.office.sheets.sheet import CellStyle
from polyport_gateway.knowledge.readers.office.xml import Element, stream

from .styles import S, read_styles

__all__ = ["SheetEntry", "Workbook"]


@dataclass(frozen=True, slots=True)
class SheetEntry:
    """A sheet as the workbook lists it.

    Args:
        name: On its tab.
        part: Where it is.
        kind: ``worksheet``, ``chartsheet`` or another.
        hidden: It is not shown.
    """

    name: str
    part: str
    kind: str
    hidden: bool


class Workbook:
    """What all sheets of a file share."""

    def __init__(self, gathering: PackageGathering) -> None:
        package = gathering.package
        main = package.main_part("xl/workbook.xml")
        if main.endswith(".bin"):
            raise UnsupportedFormatError(gathering.name, "it is a binary workbook (.xlsb). Save it as .xlsx.")
        root = package.xml(main)
        if root.tag != S + "workbook":
            raise UnreadableDocumentError(gathering.name, f"its part {main!r} holds no workbook.")
        relationships = package.relationships(main)
        targets = {entry.kind: entry.target for entry in relationships.values() if not entry.external}
        properties = root.find(S + "workbookPr")
        self.epoch_1904 = properties is not None and properties.get("date1904") in {"1", "true"}
        theme = gathering.optional_part(targets["theme"]) if "theme" in targets else None
        styles = gathering.optional_part(targets["styles"]) if "styles" in targets else None
        self.styles: list[CellStyle] = read_styles(styles, theme)
        self.strings = _strings(gathering, targets["sharedStrings"]) if "sharedStrings" in targets else []
        self.sheets: list[SheetEntry] = []
        for entry in root.findall(f"{S}sheets/{S}sheet"):
            relationship = relationships.get(entry.get(R + "id", ""))
            name = entry.get("name", "")
            if relationship is None:
                gathering.skip("sheet", "The file does not hold it.", part=name)
                continue
            hidden = entry.get("state") in {"hidden", "veryHidden"}
            self.sheets.append(SheetEntry(name, relationship.target, relationship.kind, hidden))


def _strings(gathering: PackageGathering, part: str) -> list[str]:
    if not gathering.package.has(part):
        return []
    strings: list[str] = []
    with gathering.package.open(part) as source:
        for element in stream(source):
            if element.tag == S + "si":
                strings.append(_string(element))
                element.clear()
    return strings


def _string(element: Element) -> str:
    # How to pronounce it (`rPh`) is no part of what a string says.
    direct = element.find(S + "t")
    if direct is not None:
        return direct.text or ""
    return "".join(part.text or "" for part in element.findall(f"{S}r/{S}t"))

"""What ``meta.xml`` says of a document, and which of its sheets stay in view."""

from __future__ import annotations

from collections.abc import Iterator

from polyport_gateway.knowledge.documents import JSON
from polyport_gateway.knowledge.readers.office.gathering import PackageGathering

from .names import CONFIG, DC, META, OFFICE

__all__ = ["frozen_panes", "read_meta"]

_KEYS = {
    DC + "title": "title", META + "initial-creator": "author", DC + "creator": "last_modified_by",
    DC + "subject": "subject", DC + "description": "description", META + "creation-date": "created",
    DC + "date": "modified", META + "generator": "generator",
}  # fmt: skip
_FROZEN = "2"


def read_meta(gathering: PackageGathering) -> None:
    """Read title, authors, dates and keywords."""
    root = gathering.optional_part("meta.xml")
    meta = None if root is None else root.find(OFFICE + "meta")
    keywords: list[JSON] = []
    for entry in () if meta is None else meta:
        text = "".join(entry.itertext()).strip()
        if not text:
            continue
        if entry.tag == DC + "language":
            gathering.builder.language = text.partition("-")[0].lower() or None
        elif entry.tag == META + "keyword":
            keywords.append(text)
        elif entry.tag in _KEYS:
            gathering.builder.metadata[_KEYS[entry.tag]] = text
    if keywords:
        gathering.builder.metadata["keywords"] = keywords


def frozen_panes(gathering: PackageGathering) -> Iterator[tuple[str, tuple[int, int]]]:
    """Give the rows and columns that stay in view, of each sheet that has some."""
    root = gathering.optional_part("settings.xml")
    for entry in () if root is None else root.iter(CONFIG + "config-item-map-entry"):
        items = {item.get(CONFIG + "name", ""): item.text or "" for item in entry.findall(CONFIG + "config-item")}
        rows = items.get("VerticalSplitPosition", "") if items.get("VerticalSplitMode") == _FROZEN else ""
        columns = items.get("HorizontalSplitPosition", "") if items.get("HorizontalSplitMode") == _FROZEN else ""
        if rows or columns:
            yield (
                entry.get(CONFIG + "name", ""),
                (int(rows) if rows.isdecimal() else 0, int(columns) if columns.isdecimal() else 0),
            )

"""Footnotes, endnotes and comments: where they are, and the number that each is shown with."""

from __future__ import annotations

from polyport_gateway.knowledge.documents import Block
from polyport_gateway.knowledge.readers.office.gathering import PackageGathering
from polyport_gateway.knowledge.readers.office.package import Relationship
from polyport_gateway.knowledge.readers.office.xml import Element

from .names import W

__all__ = ["Notes"]

_KINDS = {"footnotes": "footnote", "endnotes": "endnote", "comments": "comment"}


class Notes:
    """The notes of a document.

    Args:
        gathering: The file.
        relationships: Of the main part.
    """

    def __init__(self, gathering: PackageGathering, relationships: dict[str, Relationship]) -> None:
        self.pending: list[Block] = []  # of the cells of the table being read
        self._found: dict[tuple[str, str], tuple[str, Element, str]] = {}
        self._labels: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}
        for relationship in relationships.values():
            kind = _KINDS.get(relationship.kind)
            root = gathering.optional_part(relationship.target) if kind and not relationship.external else None
            if root is None or kind is None:
                continue
            for entry in root.findall(W + kind):
                if entry.get(W + "type") in {"separator", "continuationSeparator", "continuationNotice"}:
                    continue
                note = relationship.target, entry, entry.get(W + "author", "")
                self._found[kind, entry.get(W + "id", "")] = note

    def find(self, kind: str, id_: str) -> tuple[str, Element, str] | None:
        """Return the part, the element and the author of a note."""
        return self._found.get((kind, id_))

    def label(self, kind: str, id_: str) -> str:
        """Return a note's number: they count in the order in which the text refers to them."""
        key = kind, id_
        if key not in self._labels:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._labels[key] = str(self._counts[kind])
        return self._labels[key]

    def take_pending(self) -> list[Block]:
        """Return the notes that the cells of a table refer to, and forget them."""
        taken, self.pending = self.pending, []
        return taken

"""Which footnote belongs to which reference in the text."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass, field

from .blocks import Block, Note

__all__ = ["Footnotes"]

_AROUND = re.compile(r"[\s()\[\].:*]+")
_WRITTEN = re.compile(r"\[\^([^\]\s]+)\]")


@dataclass(slots=True)
class Footnotes:
    """The labels that notes and references to them have in common, by the numbers of their blocks.

    Markdown shows no note that nothing refers to, and of two with one label only the first: a note whose reference
    is not found, as in a scan, has no label here.
    """

    notes: dict[int, str] = field(default_factory=dict)
    references: dict[int, dict[int, str]] = field(default_factory=dict)
    written: frozenset[str] = frozenset()

    @classmethod
    def of(cls, blocks: Sequence[Block]) -> Footnotes:
        """Match the notes of a document with what refers to them."""
        notes: dict[str, list[int]] = defaultdict(list)
        for number, block in enumerate(blocks):
            if isinstance(block, Note) and block.category in ("footnote", "endnote") and _bare(block.label):
                notes[_bare(block.label)].append(number)
        found = cls()
        if not notes:
            return found
        places, written = _references(blocks, notes.keys())
        found.written = frozenset(label for label in written if len(notes[label]) == 1)
        for label, numbers in notes.items():
            pairs = places.get(label, ())
            if len(numbers) == 1 and (pairs or label in found.written):
                found.notes[numbers[0]] = label
                for number, start in pairs:
                    found.references.setdefault(number, {})[start] = label
            elif len(numbers) == len(pairs):
                # Each page, or each chapter, counts from 1 again.
                for again, (note, (number, start)) in enumerate(zip(numbers, pairs, strict=True), 1):
                    found.notes[note] = label if again == 1 else f"{label}-{again}"
                    found.references.setdefault(number, {})[start] = found.notes[note]
        return found


def _references(blocks: Sequence[Block], labels: Set[str]) -> tuple[dict[str, list[tuple[int, int]]], set[str]]:
    places: dict[str, list[tuple[int, int]]] = defaultdict(list)
    written: set[str] = set()
    for number, block in enumerate(blocks):
        for mark in sorted(block.marks):
            if mark.kind == "superscript" and (label := _bare(block.text[mark.start : mark.end])) in labels:
                places[label].append((number, mark.start))
        if "[^" in block.text:
            written.update(label for label in _WRITTEN.findall(block.text) if label in labels)
    return places, written


def _bare(label: str) -> str:
    return _AROUND.sub("", label)

"""Tables whose columns follow from how the words are aligned."""

from __future__ import annotations

from collections.abc import Sequence

from .content import Word
from .regions import TableRegion
from .ruled import Grid

__all__ = ["tables_between_rules", "tables_by_alignment"]


def tables_between_rules(grids: Sequence[Grid], words: Sequence[Word]) -> list[TableRegion]:
    return []


def tables_by_alignment(words: Sequence[Word], width: float) -> list[TableRegion]:
    return []

"""The tables of a page."""

from __future__ import annotations

from .content import PageContent, Word
from .regions import TableRegion

__all__ = ["tables_of"]


def tables_of(page: PageContent) -> tuple[list[TableRegion], list[Word]]:
    """Find the tables, and return them with the words that stand in none."""
    return [], list(page.words)

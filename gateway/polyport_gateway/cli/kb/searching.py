"""``polyport kb search``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from polyport.errors import ConfigurationError
from polyport_gateway.cli.answer import note
from polyport_gateway.cli.docs.show import fit, on_one_line
from polyport_gateway.cli.kb.display import left_out_lines, show_hit
from polyport_gateway.cli.kb.target import Target, work
from polyport_gateway.cli.output import print_json

if TYPE_CHECKING:
    from polyport.client import AsyncClient
    from polyport.types.knowledge import KnowledgeResults

__all__ = ["names_of", "search_bases"]

_ALL = frozenset({"", "all", "*"})


def names_of(text: str) -> list[str] | None:
    """Return the knowledge bases that a word names: one, several with commas, or ``all`` for those that matter.

    >>> names_of("handbook,contracts"), names_of("all")
    (['handbook', 'contracts'], None)
    """
    return None if text in _ALL else [name.strip() for name in text.split(",") if name.strip()]


def search_bases(
    target: Target, names: str, query: str, options: Mapping[str, Any], *, whole: bool, as_json: bool
) -> None:
    """Find passages, and show them."""
    if not query.strip():
        raise ConfigurationError("there is nothing to look for: the question is empty")

    async def run(client: AsyncClient) -> KnowledgeResults:
        return await client.knowledge.search(names_of(names), query, **{**target.patience, **options})

    results = work(target, run)
    if as_json:
        print_json(results.model_dump(mode="json"))
        return
    several = len(results.searched) > 1
    for number, hit in enumerate(results.data, 1):
        show_hit(number, hit, query, several=several, whole=whole)
    _say_the_rest(results, several=several)


def _say_the_rest(results: KnowledgeResults, *, several: bool) -> None:
    if not results.data:
        note("Nothing was found.")
    for line in left_out_lines(results.left_out):
        note(line)
    for text in results.notes:
        note(fit(text))
    searched = f" in {', '.join(map(on_one_line, results.searched))}" if several else ""
    note(f"{len(results.data)} found by {results.mode}{searched} in {results.took_ms:.0f} ms")

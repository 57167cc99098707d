"""Searches of vector stores: their items while they are made, and what later turns see of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from polyport.events import ServerToolResult
from polyport.types.responses import FileSearchCallItem
from polyport_gateway.agents.file_search import FILE_SEARCH, SearchOutput, Source, read_queries
from polyport_gateway.wires.openai.responses.kept import kept_of
from polyport_gateway.wires.openai.responses.open_items import ItemEvents, OpenItem

__all__ = ["OpenSearchCall", "as_function_call", "found_earlier", "passages_of"]

_NOT_RUN = "[This search was not made to its end.]"
_NOT_KEPT = "[What this search found was not kept.]"


class OpenSearchCall(OpenItem):
    """A search that the gateway makes.

    Args:
        id: The item's.
        results: Whether the caller asked for its results.
    """

    item: FileSearchCallItem

    def __init__(self, id: str, *, results: bool) -> None:  # noqa: A002
        self.item = FileSearchCallItem(id=id)
        self._results = results

    def announce(self) -> ItemEvents:
        """Say that there will be a search, while the model still writes what to search for."""
        if self.index is None:
            yield self._added()
            yield self._event("response.file_search_call.in_progress")

    def begin(self, arguments: str) -> ItemEvents:
        """Say that it is made.

        Args:
            arguments: The call's, whole.
        """
        yield from self.announce()
        try:
            self.item.queries = read_queries(arguments)
        except ValueError:
            self.item.queries = []
        self.item.status = "searching"
        yield self._event("response.file_search_call.searching")

    def result(self, event: ServerToolResult) -> ItemEvents:
        """Say what it gave."""
        given = event.value if isinstance(event.value, SearchOutput) else SearchOutput()
        results = [dict(result) for result in given.results]
        self.item.results = results if self._results else None
        sources = {str(number): [source.file_id, source.filename] for number, source in given.sources.items()}
        self.item.keep({"told": event.output, "sources": sources, "results": None if self._results else results})
        if not event.error:
            yield self._event("response.file_search_call.completed")
        yield self._done("failed" if event.error else "completed")

    def close(self, status: Any) -> ItemEvents:
        """End it without a result."""
        yield self._done("incomplete" if status == "completed" else status)


def found_earlier(items: Iterable[Mapping[str, Any]]) -> dict[int, Source]:
    """Return, by mark, what the searches of a conversation have found."""
    found: dict[int, Source] = {}
    for item in items:
        if item.get("type") == "file_search_call":
            for number, (file_id, filename) in (kept_of(item).get("sources") or {}).items():
                found[int(number)] = Source(file_id, filename)
    return found


def as_function_call(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the call as the model made it."""
    arguments = json.dumps({"queries": list(item.get("queries") or ())}, ensure_ascii=False)
    return {"name": FILE_SEARCH, "arguments": arguments}


def passages_of(item: Mapping[str, Any]) -> str:
    """Return what the model was told, or as much of it as is known."""
    if item.get("status") in ("incomplete", "in_progress", "searching"):
        return _NOT_RUN
    told = kept_of(item).get("told")
    if isinstance(told, str):
        return told
    results = item.get("results") or ()
    texts = [f"{result.get('filename', '')}\n{result.get('text', '')}" for result in results]
    return "\n\n".join(texts) or _NOT_KEPT

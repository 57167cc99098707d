"""`FileSearch`: vector stores for a model, as a tool of one request."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from polyport.events import Result
from polyport_gateway.call import Call, CallEvent
from polyport_gateway.vector_stores.search import Found, StoreSearch, VectorStoreSearcher

__all__ = ["FILE_SEARCH", "FileSearch", "SearchOutput", "Source", "mark", "read_queries", "tell"]

FILE_SEARCH = "file_search"
"""What the model calls it."""

_MOST_QUERIES = 5
_LONGEST_QUERY = 4000
_LONGEST_TOLD = 48_000
_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "queries": {
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "maxItems": _MOST_QUERIES,
            "description": "What to look for: a question or keywords each, in the language of the documents.",
        }
    },
    "required": ["queries"],
    "additionalProperties": False,
}
_DESCRIPTION = (
    "Search the user's documents for passages. Each passage comes with a mark, its number in lenticular brackets. "
    "Where the answer uses a passage, write its mark right after the sentence, exactly as it stands there; it becomes "
    "a citation. Say so where the documents do not answer the question."
)


@dataclass(frozen=True, slots=True)
class Source:
    """What a mark in a text stands for."""

    file_id: str
    filename: str


@dataclass(frozen=True, slots=True)
class SearchOutput:
    """What a search gave, for the wire.

    Attributes:
        queries: What was searched for.
        results: What was found, as OpenAI has it.
        sources: By mark, what may be cited from now on.
    """

    queries: Sequence[str] = ()
    results: Sequence[Mapping[str, Any]] = ()
    sources: Mapping[int, Source] = field(default_factory=dict)


class FileSearch:
    """The tool of one request.

    Args:
        searcher: Searches.
        asked: Where, and how.
        marked: How many passages earlier turns of the conversation have marked; marks go on from there.

    Attributes:
        asked: Where, and how.
    """

    name = FILE_SEARCH
    description = _DESCRIPTION
    input = _SCHEMA

    def __init__(self, searcher: VectorStoreSearcher, asked: StoreSearch, *, marked: int = 0) -> None:
        self._searcher = searcher
        self.asked = asked
        self._marked = marked

    async def open(self) -> str:
        """Return its own name: a search happens in no session."""
        return FILE_SEARCH

    async def invoke(self, call: Call, arguments: str) -> AsyncGenerator[CallEvent, None]:
        """Search for what the model wrote.

        Raises:
            CallError: It could not be searched.
        """
        try:
            queries = read_queries(arguments)
        except ValueError as error:
            yield Result(value=SearchOutput(), text=str(error))
            return
        found = await self._searcher.search(
            self.asked, queries, call.caller, lambda name, work, granted: call.child(name, work, granted=granted)
        )
        first = self._marked + 1
        self._marked += len(found)
        sources = {first + place: Source(one.file_id, one.filename) for place, one in enumerate(found)}
        results = [one.body() for one in found]
        yield Result(value=SearchOutput(queries, results, sources), text=tell(found, first))


def read_queries(arguments: str) -> list[str]:
    """Return the queries of a call: the member ``queries`` of a JSON object, or what models write instead of it.

    Raises:
        ValueError: There is none; the message is for the model.
    """
    text = arguments.strip()
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        if not text or text.startswith(("{", "[", '"')):
            raise ValueError(f'The arguments are not valid JSON: {error}. Give {{"queries": ["…"]}}.') from error
        values = text
    if isinstance(values, dict):
        values = values.get("queries", values.get("query"))
    given = [values] if isinstance(values, str) else values if isinstance(values, list) else []
    queries = [query.strip()[:_LONGEST_QUERY] for query in given if isinstance(query, str) and query.strip()]
    if not queries:
        raise ValueError('The arguments have no queries: give {"queries": ["…"]}.')
    return list(dict.fromkeys(queries))[:_MOST_QUERIES]


def mark(number: int) -> str:
    """Return the mark of a passage."""
    return f"【{number}】"


def tell(found: Sequence[Found], first: int) -> str:
    """Return what the model is told: the passages, each with its mark."""
    if not found:
        return "Nothing was found in the documents."
    parts: list[str] = []
    length = 0
    for place, one in enumerate(found):
        where = f", page {one.page}" if one.page is not None else ""
        part = f"{mark(first + place)} {one.filename}{where}\n{one.text}"
        length += len(part)
        if length > _LONGEST_TOLD and parts:
            parts.append(f"[{len(found) - place} more passages were found, and left out for their length.]")
            break
        parts.append(part)
    return "\n\n".join(parts)

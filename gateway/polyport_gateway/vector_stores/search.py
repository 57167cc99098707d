"""A search of vector stores: what is asked, and what is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from polyport.errors import BadRequestError
from polyport.types.knowledge import SearchMode
from polyport.types.responses import FileSearchTool
from polyport.types.vector_stores import RankingOptions, SearchResult, TextContent, VectorStoreSearchRequest
from polyport_gateway.call import Call, Caller, KnowledgeWork
from polyport_gateway.vector_stores.filters import check_filter

__all__ = ["Found", "Label", "MakeCall", "StoreSearch", "VectorStoreSearcher", "read_search", "read_tool"]

Label: TypeAlias = str | int | float | bool
"""What an attribute may be."""

_DEFAULT_RESULTS = 10
_MOST_QUERIES = 16


@dataclass(frozen=True, slots=True)
class StoreSearch:
    """Where to search, and how.

    Attributes:
        stores: Ids of vector stores.
        limit: The most results.
        filters: On attributes, as OpenAI writes them.
        mode: By meaning, by words, or both.
        rerank: Whether to rerank; None as the knowledge base has it.
        threshold: The least score, from 0 to 1.
    """

    stores: tuple[str, ...]
    limit: int = _DEFAULT_RESULTS
    filters: Mapping[str, Any] | None = None
    mode: SearchMode = "auto"
    rerank: bool | None = None
    threshold: float = 0.0


@dataclass(frozen=True, slots=True)
class Found:
    """A passage that was found.

    Attributes:
        store: The vector store's id.
        file_id: The file's.
        filename: Its name.
        text: The passage.
        score: From 0 to 1; higher is better.
        attributes: The file's.
        page: The page that it is from, from 1.
    """

    store: str
    file_id: str
    filename: str
    text: str
    score: float
    attributes: Mapping[str, Label] = field(default_factory=dict)
    page: int | None = None

    def body(self) -> dict[str, Any]:
        """Return it as an item of ``file_search_call.results``."""
        return {
            "file_id": self.file_id,
            "filename": self.filename,
            "score": self.score,
            "text": self.text,
            "attributes": dict(self.attributes),
            "vector_store_id": self.store,
        }

    def item(self) -> SearchResult:
        """Return it as an item of ``vector_store.search_results.page``."""
        return SearchResult(
            file_id=self.file_id,
            filename=self.filename,
            score=self.score,
            attributes=dict(self.attributes),
            content=[TextContent(text=self.text)],
        )


MakeCall: TypeAlias = Callable[[str, KnowledgeWork, frozenset[str]], Call]
"""Makes a call of a name with an input, that may call some names whatever its caller may."""


class VectorStoreSearcher(Protocol):
    """Searches vector stores for a caller."""

    async def check(self, stores: Sequence[str], caller: Caller, *, param: str) -> None:
        """Refuse stores that can't be searched.

        Raises:
            NotFoundError: The caller has no such store.
            BadRequestError: It has expired.
        """
        ...

    async def search(self, asked: StoreSearch, queries: Sequence[str], caller: Caller, call: MakeCall) -> list[Found]:
        """Search for what any of some queries asks; the best first.

        Args:
            asked: Where, and how.
            queries: What for.
            caller: Who asks.
            call: Makes the calls that search.

        Raises:
            CallError: It could not be searched.
        """
        ...


def read_tool(given: FileSearchTool) -> StoreSearch:
    """Return what a ``file_search`` tool asks for; its filters were checked.

    Raises:
        BadRequestError: Neither meaning nor words weigh anything.
    """
    return _search(
        tuple(dict.fromkeys(given.vector_store_ids)), given.max_num_results, given.filters, given.ranking_options
    )


def read_search(store: str, given: VectorStoreSearchRequest) -> tuple[StoreSearch, list[str]]:
    """Return what a search of one store asks for, and its queries.

    Raises:
        BadRequestError: There is no query, the filters are none, or neither meaning nor words weigh anything.
    """
    queries = [given.query] if isinstance(given.query, str) else given.query
    for place, query in enumerate(queries):
        if not query.strip():
            where = "query" if isinstance(given.query, str) else f"query.{place}"
            raise BadRequestError(f"{where} is empty.", param=where)
    if not 0 < len(queries) <= _MOST_QUERIES:
        raise BadRequestError(f"query must be a text, or 1 to {_MOST_QUERIES} of them.", param="query")
    if given.filters is not None:
        check_filter(given.filters)
    return _search((store,), given.max_num_results, given.filters, given.ranking_options), list(queries)


def _search(
    stores: tuple[str, ...], limit: int | None, filters: Mapping[str, Any] | None, ranking: RankingOptions | None
) -> StoreSearch:
    ranking = ranking or RankingOptions()
    return StoreSearch(
        stores=stores,
        limit=limit or _DEFAULT_RESULTS,
        filters=filters,
        mode=_mode(ranking),
        rerank=False if ranking.ranker == "none" else None,
        threshold=ranking.score_threshold or 0.0,
    )


def _mode(ranking: RankingOptions) -> SearchMode:
    """Return the mode that weights ask for: one alone, or both, weighed as was measured to be best."""
    weights = ranking.hybrid_search
    if weights is None:
        return "auto"
    if not weights.embedding_weight and not weights.text_weight:
        raise BadRequestError(
            "ranking_options.hybrid_search needs an embedding_weight or a text_weight above 0.",
            param="ranking_options.hybrid_search",
        )
    if not weights.text_weight:
        return "dense"
    return "hybrid" if weights.embedding_weight else "bm25"

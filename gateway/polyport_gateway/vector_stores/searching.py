"""`Searching`: vector stores searched as knowledge bases are, with what is found named as OpenAI names it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from polyport.errors import InternalServerError
from polyport.events import Result
from polyport.types.knowledge import KnowledgeHit, KnowledgeResults, SearchRequest
from polyport_gateway.call import Call, Caller, KnowledgeWork
from polyport_gateway.files.service import FileService
from polyport_gateway.storage.vector_stores import StoreFile, VectorStoreRecords
from polyport_gateway.vector_stores.access import Access, OpenStore
from polyport_gateway.vector_stores.search import Found, Label, MakeCall, StoreSearch

__all__ = ["Searching", "file_name", "labels", "score_of"]

ALL = "search_knowledge"
"""What searches several knowledge bases at once, and those that have no name of their own."""

_MOST_LABELS = 16


class Searching:
    """Searches vector stores.

    Args:
        records: What is known of the stores' files.
        files: Has their names.
        access: Says which stores a caller may use.
    """

    def __init__(self, records: VectorStoreRecords, files: FileService, access: Access) -> None:
        self._records = records
        self._files = files
        self._access = access

    async def check(self, stores: Sequence[str], caller: Caller, *, param: str) -> None:
        """Refuse stores that can't be searched.

        Raises:
            NotFoundError: The caller has no such store.
            BadRequestError: It has expired.
        """
        await self._open(stores, caller, param=param)

    async def search(self, asked: StoreSearch, queries: Sequence[str], caller: Caller, call: MakeCall) -> list[Found]:
        """Search for what any of some queries asks; the best first, each passage once.

        Raises:
            CallError: It could not be searched.
        """
        stores = await self._open(asked.stores, caller, param="vector_store_ids")
        # That the caller may use these stores was just checked; no list of names has those that it made itself.
        name, granted = ALL, frozenset({ALL, *asked.stores})
        if len(stores) == 1 and all(store.record is None for store in stores.values()):
            name = asked.stores[0]
        calls = [call(name, KnowledgeWork(_request(asked, query)), granted) for query in queries]
        results = await asyncio.gather(*map(_results, calls))
        for store in stores.values():
            await self._access.touch(store)
        found = await self._named(_best(results), stores)
        return [one for one in found if one.score >= asked.threshold][: asked.limit]

    async def _open(self, ids: Sequence[str], caller: Caller, *, param: str) -> dict[str, OpenStore]:
        stores = {}
        for id_ in ids:
            stores[id_] = await self._access.open(id_, caller, param=param)
            stores[id_].check_usable(param=param)
        return stores

    async def _named(self, hits: Sequence[KnowledgeHit], stores: Mapping[str, OpenStore]) -> list[Found]:
        """Return hits as OpenAI names them; what is of no file any more is left out."""
        members: dict[str, dict[str, StoreFile]] = {}
        for name, store in stores.items():
            sources = [hit.source for hit in hits if hit.knowledge == name and hit.source is not None]
            members[name] = await self._records.files(store.number, sources)
        files = await self._files.names({id_ for some in members.values() for id_ in some})
        found = []
        for hit in hits:
            member = members[hit.knowledge].get(hit.source or "")
            if member is None and stores[hit.knowledge].record is not None:
                continue
            found.append(_found(hit, member, files))
        return found


async def _results(call: Call) -> KnowledgeResults:
    found: KnowledgeResults | None = None
    async with aclosing(call.run()) as events:
        async for event in events:
            if isinstance(event, Result) and isinstance(event.value, KnowledgeResults):
                found = event.value
    if found is None:
        raise InternalServerError("The search ended without a result.")
    return found


def _request(asked: StoreSearch, query: str) -> SearchRequest:
    return SearchRequest(
        query=query,
        knowledge=list(asked.stores),
        limit=asked.limit,
        filter=None if asked.filters is None else dict(asked.filters),
        mode=asked.mode,
        rerank=asked.rerank,
    )


def _best(results: Sequence[KnowledgeResults]) -> list[KnowledgeHit]:
    """Return the passages of several searches, the best first; of one that is found twice, the better."""
    best: dict[tuple[str, int], KnowledgeHit] = {}
    for result in results:
        for hit in result.data:
            known = best.get((hit.knowledge, hit.chunk))
            if known is None or hit.score > known.score:
                best[hit.knowledge, hit.chunk] = hit
    return sorted(best.values(), key=lambda hit: -hit.score)


def _found(hit: KnowledgeHit, member: StoreFile | None, files: Mapping[str, str]) -> Found:
    if member is None:
        attributes = labels(hit.metadata)
        id_, name = hit.document, file_name(hit.source) or hit.title
    else:
        attributes = dict(member.attributes)
        id_, name = member.file, files.get(member.file) or hit.title
    return Found(
        store=hit.knowledge,
        file_id=id_,
        filename=name,
        text=hit.text,
        score=score_of(hit),
        attributes=attributes,
        page=hit.page,
    )


def score_of(hit: KnowledgeHit) -> float:
    """Return a hit's score from 0 to 1, in the order of its own.

    A knowledge base counts in deviations from the mean of all that it holds: the mean is 0.5 here, one deviation above
    it 0.75, three 0.875, nine 0.95. A reranker's probability is left as it is, and its logit becomes one.
    """
    score = hit.score
    if "rerank" in hit.scores:
        share = score if 0 <= score <= 1 else 1 / (1 + math.exp(-max(-60.0, min(60.0, score))))
    else:
        share = (1 + score / (1 + abs(score))) / 2
    return round(share, 4)


def file_name(source: str | None) -> str:
    """Return the last part of a path or an address."""
    if not source:
        return ""
    path = unquote(urlsplit(source).path) if "://" in source else source.replace("\\", "/")
    return PurePosixPath(path).name or source


def labels(metadata: Mapping[str, object]) -> dict[str, Label]:
    """Return what of a document's metadata can be an attribute."""
    found = {key: value for key, value in metadata.items() if isinstance(value, str | int | float | bool)}
    return dict(list(found.items())[:_MOST_LABELS])

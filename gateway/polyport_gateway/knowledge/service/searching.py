"""A question to any number of knowledge bases: chosen, searched side by side, and put on one scale."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from polyport.errors import BadRequestError, CallError
from polyport.types.knowledge import KnowledgeResults, KnowledgeRoute, LeftOut, SearchMode, SearchRequest
from polyport_gateway.call import Call, Caller
from polyport_gateway.knowledge.bases import Finder, Part, Shelves
from polyport_gateway.knowledge.bases.generation import SYSTEM_FIELDS
from polyport_gateway.knowledge.bases.showing import Shower
from polyport_gateway.knowledge.catalogue import Catalogue
from polyport_gateway.knowledge.embedding import GatewayModels
from polyport_gateway.knowledge.federation.fusion import Answer, fuse, on_one_scale
from polyport_gateway.knowledge.federation.gathering import Deadline, Gatherer
from polyport_gateway.knowledge.federation.gathering import Part as Search
from polyport_gateway.knowledge.indexes import VectorIndex, Where
from polyport_gateway.knowledge.indexes.filters import fields_of, parse
from polyport_gateway.knowledge.links.store import LinkStore

from .conditions import conditions_of
from .plan import KnowledgePlan
from .query_models import QueryModels, QueryVectors
from .registry import OpenBase, Registry, parts_of
from .routes import Routes

__all__ = ["Searching"]

_SWITCHES = 3
_ROUTES_SHOWN = 10
_NO_MODEL = "No embedder is configured, so passages were found by their words alone (BM25)."


@dataclass(frozen=True, slots=True)
class _Found:
    """What one shelf gave."""

    answer: Answer
    mode: SearchMode
    bases: tuple[OpenBase, ...]
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Searching:
    """Finds passages.

    Args:
        plan: Limits.
        registry: The bases.
        shelves: Their indexes.
        catalogue: Their texts.
        models: Of the gateway.
        links: Between passages.

    Attributes:
        vectors: Of earlier questions.
        doing: Says whether documents are being taken into a base.
    """

    def __init__(
        self,
        plan: KnowledgePlan,
        registry: Registry,
        shelves: Shelves,
        catalogue: Catalogue,
        models: GatewayModels,
        links: LinkStore | None = None,
    ) -> None:
        self._plan, self._registry, self._shelves = plan, registry, shelves
        self._catalogue, self._models, self._links = catalogue, models, links
        self._gatherer = Gatherer()
        self._routes = Routes()
        self.vectors = QueryVectors()
        self.doing: Callable[[OpenBase], bool] = lambda base: False

    def chosen(self, names: str | Sequence[str] | None, caller: Caller) -> list[OpenBase]:
        """Return the bases of these names, or all that a caller may use.

        Raises:
            NotFoundError: One of them is none that the caller may use.
            BadRequestError: There are none at all, or the list is empty.
        """
        if names is None:
            found = self._registry.visible(caller)
            if not found:
                raise BadRequestError("There are no knowledge bases to search.", param="knowledge")
            return found
        listed = [names] if isinstance(names, str) else list(dict.fromkeys(names))
        if not listed:
            raise BadRequestError("knowledge names no knowledge base; leave it out to ask all.", param="knowledge")
        return [self._registry.get(name, caller) for name in listed]

    async def search(self, request: SearchRequest, call: Call) -> KnowledgeResults:
        """Return the best passages.

        Raises:
            BadRequestError: The question is empty or too long, or something is asked for that is not there.
            NotFoundError: A base is not there for this caller.
            CallError: All of the bases failed.
        """
        started = time.monotonic()
        self._check(request)
        bases = self.chosen(request.knowledge, call.caller)
        for base in bases:
            _check_filter(base, request.filter)
        asked, read = _with_conditions(request, bases)
        models = self._models.for_call(call)
        try:
            queries = QueryModels(models, self.vectors)
            found, left_out, routed = await asyncio.to_thread(self._found, bases, asked, queries)
            if read and not any(one.answer.hits for one in found):
                # What looked like a condition may have been what the question is about.
                asked, read = request, ()
                found, left_out, routed = await asyncio.to_thread(self._found, bases, asked, queries)
        finally:
            models.close()
        hits = fuse(on_one_scale(one.answer for one in found), request.limit)
        modes = {one.mode for one in found}
        mode: SearchMode = next(iter(modes)) if len(modes) == 1 else "auto"
        return KnowledgeResults(
            query=request.query,
            data=hits,
            mode=mode,
            searched=sorted(base.name for one in found for base in one.bases),
            routed=routed,
            left_out=left_out,
            filter=asked.filter,
            notes=[
                *self._notes(bases, found, request),
                *(f"Taken for a condition: {line}." for line in read),
            ],
            took_ms=round((time.monotonic() - started) * 1000, 1),
        )

    def _notes(self, bases: Sequence[OpenBase], found: Sequence[_Found], request: SearchRequest) -> list[str]:
        notes = list(dict.fromkeys(note for one in found for note in one.notes))
        if request.mode == "auto" and not any(base.generation.embedders for one in found for base in one.bases):
            notes.append(_NO_MODEL)
        busy = [base.name for base in bases if self.doing(base)]
        if busy:
            notes.append(f"Documents are being taken in just now, and not all are found yet: {', '.join(busy)}.")
        unknown = sorted({name for one in found for name in one.unknown})
        return notes + [f"No document has the field {name!r} that the filter names." for name in unknown]

    def _check(self, request: SearchRequest) -> None:
        if not request.query.strip():
            raise BadRequestError("query is empty; ask something.", param="query", code="empty_query")
        if len(request.query) > self._plan.longest_query:
            raise BadRequestError(
                f"query has {len(request.query):,} characters; at most {self._plan.longest_query:,} are searched by. "
                "Ask for what matters in it.",
                param="query",
                code="query_too_long",
            )

    def _found(
        self, bases: Sequence[OpenBase], request: SearchRequest, models: QueryModels
    ) -> tuple[list[_Found], list[LeftOut], list[KnowledgeRoute]]:
        """Search the bases that are named, or those of all that the question concerns."""
        if request.knowledge is not None or len(bases) < 2:
            return *self._gathered(parts_of(bases), request, models), []
        looks = [
            Search(shelf, tuple(base.name for base in some), partial(self._look, some, request, models))
            for shelf, some in parts_of(bases).items()
        ]
        looked, left_out = self._gatherer.gather(looks, request.timeout_s or self._plan.search_timeout_s)
        scores = [one for _, found in looked for one in found]
        routing = self._routes.route(request.query, bases, scores, self._vectors(bases, request, models))
        routes = [
            KnowledgeRoute(knowledge=route.knowledge, score=round(route.score, 4), why=route.why)
            for route in routing.routes[:_ROUTES_SHOWN]
        ]
        chosen = [base for base in bases if base.name in routing.chosen]
        found, missing = self._gathered(parts_of(chosen or bases), request, models)
        left = {one.knowledge: one for one in (*left_out, *missing)}
        return found, list(left.values()), routes

    def _look(
        self, bases: Sequence[OpenBase], request: SearchRequest, models: QueryModels, deadline: Deadline
    ) -> list[tuple[str, float]]:
        parts = [base.part for base in bases]
        finder = Finder(self._shelves.get(parts[0].generation), self._catalogue, models)
        names = {base.id: base.name for base in bases}
        return [(names[base], score) for base, score in finder.look(parts, request, request.filter)]

    def _vectors(
        self, bases: Sequence[OpenBase], request: SearchRequest, models: QueryModels
    ) -> dict[str, NDArray[np.float32]]:
        names = {name for base in bases for name in base.generation.embedders} if request.mode != "bm25" else set()
        found: dict[str, NDArray[np.float32]] = {}
        for name in names:
            with suppress(CallError):  # what it is asked for may still be found by words
                found[name] = models.embed(name, [request.query])
        return found

    def _gathered(
        self, groups: Mapping[str, Sequence[OpenBase]], request: SearchRequest, models: QueryModels
    ) -> tuple[list[_Found], list[LeftOut]]:
        """Search shelves side by side; those that fail or are slow are left out, unless all are."""
        searches = [
            Search(shelf, tuple(base.name for base in bases), partial(self._shelf, bases, request, models))
            for shelf, bases in groups.items()
        ]
        found, left_out = self._gatherer.gather(searches, request.timeout_s or self._plan.search_timeout_s)
        return [value for _, value in found], left_out

    def _shelf(
        self, bases: Sequence[OpenBase], request: SearchRequest, models: QueryModels, deadline: Deadline
    ) -> _Found:
        again = False
        for _ in range(_SWITCHES):
            parts = [base.part for base in bases]
            shelf = self._shelves.get(parts[0].generation)
            finder = Finder(shelf, self._catalogue, models, self._links)
            found = finder.find(parts, request, request.filter, wanted=request.limit)
            # Where a base was switched to another build meanwhile, what it has was looked for in the former one; and
            # what was replaced meanwhile was found as it was, and is not there any more.
            if not found.dropped and len(found.candidates) >= request.limit:
                break
            switched = self._switched(bases)
            if switched is None and (again or not found.dropped):
                break
            again = switched is None
            bases = switched or bases
        shower = Shower(self._catalogue)
        expand = request.expand or parts[0].config.expand
        hits = shower.hits(
            found,
            request.query,
            parts[0].generation.bm25,
            expand=expand,
            max_tokens=request.max_tokens,
            count=_counter(request),
        )
        # Scores compare where the same is measured: on one shelf, in one way.
        answer = Answer(f"{parts[0].generation.shelf} {found.mode}", hits)
        unknown = () if hits or not request.filter else _unknown(shelf.index, parts, request.filter)
        return _Found(answer, found.mode, tuple(bases), unknown, found.notes)

    def _switched(self, bases: Sequence[OpenBase]) -> Sequence[OpenBase] | None:
        """Return bases as they are now, those still on the first one's shelf; None where none was switched."""
        present = self._catalogue.present(base.id for base in bases)
        if all(present.get(base.id, base.generation.number) == base.generation.number for base in bases):
            return None
        renewed = [found for base in bases if (found := self._registry.refresh(base.id)) is not None]
        first = renewed[0].generation.shelf if renewed else None
        return [base for base in renewed if base.generation.shelf == first] or None


def _counter(request: SearchRequest) -> Callable[[str], int]:
    if request.max_tokens is None:
        return len
    from polyport_gateway.knowledge.tokenizers import get_tokenizer

    return get_tokenizer("auto").count


def _with_conditions(request: SearchRequest, bases: Sequence[OpenBase]) -> tuple[SearchRequest, tuple[str, ...]]:
    """Return a request whose filter has the conditions that its question states, and what they are."""
    if not request.self_query:
        return request, ()
    read = conditions_of(request.query, bases)
    if read.where is None:
        return request, ()
    where = dict(read.where) if request.filter is None else {"and": [request.filter, dict(read.where)]}
    return request.model_copy(update={"query": read.question, "filter": where}), read.why


def _check_filter(base: OpenBase, where: Where) -> None:
    """Refuse a filter that can't be read, or names a field that the base does not have.

    Raises:
        BadRequestError: With what it has.
    """
    if where:
        fields = base.config.fields
        parse(where, None if fields is None else {*SYSTEM_FIELDS, *fields, "document"})


def _unknown(index: VectorIndex, parts: Sequence[Part], where: Where) -> tuple[str, ...]:
    """Return the fields of a filter that no document has."""
    given = parse(where, None) if where else None
    if given is None:
        return ()
    own = {"part": {"in": [part.number for part in parts]}}
    return tuple(
        name
        for name in sorted(fields_of(given))
        if name != "document" and not index.count({"and": [own, {name: {"exists": True}}]})
    )

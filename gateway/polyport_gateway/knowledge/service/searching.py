"""A question to any number of knowledge bases: chosen, searched side by side, and put on one scale."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from polyport.errors import BadRequestError, CallError, ServiceUnavailableError
from polyport.types.knowledge import KnowledgeHit, KnowledgeResults, KnowledgeRoute, LeftOut, SearchMode, SearchRequest
from polyport_gateway.call import Call, Caller
from polyport_gateway.errors import to_call_error
from polyport_gateway.knowledge.bases import Finder, Shelves
from polyport_gateway.knowledge.bases.showing import Shower
from polyport_gateway.knowledge.catalogue import Catalogue
from polyport_gateway.knowledge.embedding import GatewayModels
from polyport_gateway.knowledge.links.store import LinkStore

from .filtering import check_filter
from .plan import KnowledgePlan
from .query_models import QueryModels, QueryVectors
from .registry import OpenBase, Registry, parts_of

__all__ = ["Searching"]

_log = logging.getLogger("polyport.knowledge")

_THREADS = 16
_NO_MODEL = "No embedder is configured, so passages were found by their words alone (BM25)."


@dataclass(frozen=True, slots=True)
class _Shelf:
    """What one shelf gave."""

    hits: list[KnowledgeHit]
    mode: SearchMode


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
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="polyport-knowledge")
        self.vectors = QueryVectors()
        self.doing: Callable[[OpenBase], bool] = lambda base: False

    def close(self) -> None:
        """Take no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

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
        check_filter(request.filter, bases)
        routed: list[KnowledgeRoute] = []
        groups = parts_of(bases)
        models = self._models.for_call(call)
        try:
            answers, left_out = await self._all(groups, request, QueryModels(models, self.vectors))
        finally:
            models.close()
        hits = sorted(
            (hit for answer in answers for hit in answer.hits), key=lambda hit: (-hit.score, hit.knowledge, hit.chunk)
        )[: request.limit]
        modes = {answer.mode for answer in answers}
        mode: SearchMode = next(iter(modes)) if len(modes) == 1 else "auto"
        missing = {left.knowledge for left in left_out}
        return KnowledgeResults(
            query=request.query,
            data=hits,
            mode=mode,
            searched=[base.name for base in bases if base.name not in missing],
            routed=routed,
            left_out=left_out,
            filter=request.filter,
            notes=self._notes(bases, request, mode),
            took_ms=round((time.monotonic() - started) * 1000, 1),
        )

    def _notes(self, bases: Sequence[OpenBase], request: SearchRequest, mode: SearchMode) -> list[str]:
        notes = [_NO_MODEL] if mode == "bm25" and request.mode == "auto" else []
        busy = [base.name for base in bases if self.doing(base)]
        if busy:
            notes.append(f"Documents are being taken in just now, and not all are found yet: {', '.join(busy)}.")
        return notes

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

    async def _all(
        self, groups: dict[str, list[OpenBase]], request: SearchRequest, models: QueryModels
    ) -> tuple[list[_Shelf], list[LeftOut]]:
        """Search shelves side by side; those that fail or are slow are left out, unless all are."""
        seconds = request.timeout_s or self._plan.search_timeout_s
        loop = asyncio.get_running_loop()
        waiting = {
            loop.run_in_executor(self._threads, self._shelf, bases, request, models): bases for bases in groups.values()
        }
        _, slow = await asyncio.wait(waiting, timeout=seconds)
        answers: list[_Shelf] = []
        left_out: list[LeftOut] = []
        failures: list[CallError] = []
        for future, bases in waiting.items():
            if future in slow:
                future.add_done_callback(_drop)
                error: CallError = ServiceUnavailableError(
                    f"It did not answer within {seconds:g} s.", code="timeout", retry_after=1
                )
            elif (raised := future.exception()) is not None:
                error = to_call_error(raised, request_id="")
                if error is not raised:
                    _log.error("a search failed", exc_info=raised)
            else:
                answers.append(future.result())
                continue
            failures.append(error)
            left_out += [LeftOut(knowledge=base.name, code=error.code or "failed", reason=str(error)) for base in bases]
        if failures and (not answers or any(isinstance(error, BadRequestError) for error in failures)):
            raise failures[0]
        return answers, left_out

    def _shelf(self, bases: Sequence[OpenBase], request: SearchRequest, models: QueryModels) -> _Shelf:
        parts = [base.part for base in bases]
        finder = Finder(self._shelves.get(parts[0].generation), self._catalogue, models, self._links)
        found = finder.find(parts, request, request.filter, wanted=request.limit)
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
        return _Shelf(hits, found.mode)


def _counter(request: SearchRequest) -> Callable[[str], int]:
    if request.max_tokens is None:
        return len
    from polyport_gateway.knowledge.tokenizers import get_tokenizer

    return get_tokenizer("auto").count


def _drop(future: asyncio.Future[_Shelf]) -> None:
    """Take note of what a search that nobody waits for any more has come to."""
    if not future.cancelled() and (error := future.exception()) is not None:
        _log.info("a search that was too slow has failed: %s", error)

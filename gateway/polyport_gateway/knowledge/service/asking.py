"""Answers from what was found: the question put so that it stands by itself, searched for, and answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from polyport.errors import BadRequestError
from polyport.events import Event, TextDelta, Usage
from polyport.types.knowledge import AskRequest, KnowledgeAnswer, KnowledgeHit, KnowledgeResults, LeftOut, SearchRequest
from polyport_gateway.call import Call, Chat, Operation
from polyport_gateway.catalog import Catalog
from polyport_gateway.knowledge.answers.composer import AnswerOptions, compose
from polyport_gateway.knowledge.answers.followup import FollowUp, standalone
from polyport_gateway.knowledge.answers.prompts import Prompts
from polyport_gateway.knowledge.embedding import GatewayModels

from .learning import COSINES
from .query_models import QueryModels
from .registry import OpenBase
from .searching import Searching

__all__ = ["Asking"]

_NO_MODEL = "none"


class Asking:
    """Answers questions.

    Args:
        searching: Finds the passages.
        models: Of the gateway.
        catalog: Has them.
    """

    def __init__(self, searching: Searching, models: GatewayModels, catalog: Catalog) -> None:
        self._searching, self._models, self._catalog = searching, models, catalog

    async def ask(self, request: AskRequest, call: Call) -> AsyncGenerator[Event | KnowledgeAnswer, None]:
        """Give the answer's text and citations as they come, then the whole answer.

        Raises:
            BadRequestError: There is no question, or the model is none that writes.
            NotFoundError: A base is not there for this caller.
            CallError: All of the bases failed.
        """
        bases = self._searching.chosen(request.knowledge, call.caller)
        prompts = Prompts(_prompts(bases))
        writer = self._writer(request, bases, call)
        asked = await self._asked(request, prompts, writer, call)
        results = await self._search(request, asked, call)
        models = self._models.for_call(call)
        options = AnswerOptions(
            prompts=prompts,
            embed=_embed(QueryModels(models, self._searching.vectors), bases),
            cosine_scale=_cosine_scale(bases),
        )
        own = [base.config.threshold for base in bases if base.config.threshold is not None]
        if own:
            options = replace(options, threshold=min(own), model_threshold=min(own))
        try:
            events = compose(request, results, model=writer, options=options, question=asked.question)
            async with aclosing(events) as closing:
                async for event in closing:
                    yield event
        finally:
            models.close()

    async def _asked(self, request: AskRequest, prompts: Prompts, writer: _Writer | None, call: Call) -> FollowUp:
        if not request.messages:
            if not request.query.strip():
                raise BadRequestError("query is empty; ask something.", param="query", code="empty_query")
            return FollowUp(request.query, request.query, (request.query,))
        messages = [*request.messages]
        if request.query.strip():
            messages.append({"role": "user", "content": request.query})
        models = self._models.for_call(call)

        def rewrite(prompt: str) -> str:
            assert writer is not None  # noqa: S101 - only then is it handed on
            return models.complete(writer.name, [{"role": "user", "content": prompt}], temperature=0)

        try:
            found = await asyncio.to_thread(
                standalone, messages, model=None if writer is None else rewrite, prompts=prompts
            )
        finally:
            models.close()
        if not found.question.strip():
            raise BadRequestError(
                "The conversation has no question: a message of the user's with a text.", param="messages"
            )
        return found

    async def _search(self, request: AskRequest, asked: FollowUp, call: Call) -> KnowledgeResults:
        """Search for the question, and for what it may mean besides; what several find comes first."""
        members = {name: getattr(request, name) for name in SearchRequest.model_fields if name != "query"}
        found = [
            await self._searching.search(SearchRequest(query=query, **members), call)
            for query in dict.fromkeys(asked.queries)
        ]
        return found[0] if len(found) == 1 else _merged(found, request.limit)

    def _writer(self, request: AskRequest, bases: Sequence[OpenBase], call: Call) -> _Writer | None:
        if request.model == _NO_MODEL:
            return None
        if request.model is not None:
            # It is the caller's choice, and so by the caller's rights.
            capability = self._catalog.resolve(request.model, call.caller)
            if capability.kind == "knowledge" or Operation.CHAT not in capability.operations:
                raise BadRequestError(f"{request.model!r} is no model that writes answers.", param="model")
            return _Writer(request.model, call, granted=False)
        own = next((base.config.model for base in bases if base.config.model), None)
        return None if own is None else _Writer(own, call, granted=True)


class _Writer:
    """A model of the gateway that writes an answer.

    Args:
        name: Its name.
        call: The question.
        granted: Whether the base's author, rather than the caller, says that it is asked.
    """

    def __init__(self, name: str, call: Call, *, granted: bool) -> None:
        self.name = name
        self.usage: dict[str, int] | None = None
        self._call = call
        self._granted = frozenset({name}) if granted else frozenset[str]()

    async def stream(self, messages: list[dict[str, str]], max_tokens: int) -> AsyncIterator[str]:
        """Yield the answer to messages, in pieces that end anywhere."""
        body = {"model": self.name, "messages": messages, "max_tokens": max_tokens, "stream": True}
        child = self._call.child(self.name, Chat.from_body(body), granted=self._granted)
        async with aclosing(child.run()) as events:
            async for event in events:
                if isinstance(event, TextDelta) and event.choice == 0:
                    yield event.text
                elif isinstance(event, Usage):
                    self.usage = {
                        "prompt_tokens": event.prompt_tokens,
                        "completion_tokens": event.completion_tokens,
                        "total_tokens": event.total_tokens,
                    }


def _prompts(bases: Sequence[OpenBase]) -> dict[str, str]:
    """Return the templates of the bases' own; of two of the same name that of the first."""
    found: dict[str, str] = {}
    for base in bases:
        for name, text in base.config.prompts.items():
            found.setdefault(name, text)
    return found


def _cosine_scale(bases: Sequence[OpenBase]) -> tuple[float, float]:
    """Return which cosines mean nothing and all, as the first base that has an embedder has learned it."""
    for base in bases:
        for name in base.generation.embedders:
            kept = (base.state(COSINES) or {}).get(name)
            if kept is not None:
                return float(kept[0]), float(kept[1])
    return AnswerOptions.cosine_scale


def _embed(models: QueryModels, bases: Sequence[OpenBase]) -> _Embed | None:
    name = next((name for base in bases for name in base.generation.embedders), None)
    return None if name is None else _Embed(models, name)


class _Embed:
    """An embedder under the name that a base has."""

    def __init__(self, models: QueryModels, name: str) -> None:
        self._models, self._name = models, name

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a vector of each text, a row for each."""
        return self._models.embed(self._name, texts)


def _merged(found: Sequence[KnowledgeResults], limit: int) -> KnowledgeResults:
    """Put results of several searches together by reciprocal ranks (Cormack, Clarke and Büttcher, SIGIR 2009)."""
    scores: dict[tuple[str, int], float] = {}
    hits: dict[tuple[str, int], KnowledgeHit] = {}
    left_out: dict[str, LeftOut] = {}
    for results in found:
        left_out.update({left.knowledge: left for left in results.left_out})
        for place, hit in enumerate(results.data):
            key = (hit.knowledge, hit.chunk)
            hits.setdefault(key, hit)
            scores[key] = scores.get(key, 0.0) + 1 / (60 + place)
    best = sorted(hits, key=lambda key: (-scores[key], key))[:limit]
    return found[0].model_copy(
        update={
            "data": [hits[key] for key in best],
            "left_out": list(left_out.values()),
            "took_ms": sum(results.took_ms for results in found),
        }
    )

"""The tools and models of knowledge bases: of each one, and of all that a caller may use."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from pydantic import Field

from polyport.declarations import Annotations
from polyport.errors import InternalServerError
from polyport.events import CitationAdded, Event, Finish, Result, TextDelta, Usage
from polyport.types.knowledge import (
    AskRequest,
    KnowledgeAnswer,
    KnowledgeCitation,
    KnowledgeHit,
    KnowledgeResults,
    SearchRequest,
)
from polyport_gateway.call import Call, CallEvent, Chat, KnowledgeWork, Operation
from polyport_gateway.catalog.capability import Features, Kind
from polyport_gateway.functions.tool import GatewayTool, Work
from polyport_gateway.knowledge.service import KnowledgeService

__all__ = ["ASK_KNOWLEDGE", "SEARCH_KNOWLEDGE", "AskTool", "SearchTool"]

ASK_KNOWLEDGE = "ask_knowledge"
SEARCH_KNOWLEDGE = "search_knowledge"
"""The tools over all knowledge bases that a caller may use."""

Filter = Annotated[
    dict[str, Any] | None,
    Field(description='Only documents whose metadata meet this: {"year": 2025}, {"year": {"gte": 2020}}.'),
]
Limit = Annotated[int, Field(ge=1, le=50, description="How many passages at most.")]
Names = Annotated[
    list[str] | None, Field(description="Names of knowledge bases; the ones that it concerns when left out.")
]


def _annotations(title: str) -> Annotations:
    return Annotations(title=title, read_only=True, destructive=False, idempotent=True, open_world=False)


class _KnowledgeTool(GatewayTool):
    """A tool over one base, or over all of a caller's."""

    kind: Kind = "knowledge"

    def __init__(
        self, service: KnowledgeService, function: Any, *, name: str, title: str, about: str, base: str | None
    ) -> None:
        super().__init__(
            function,
            name=name,
            description=about,
            annotations=_annotations(title),
            hidden=() if base is None else ("knowledge",),
        )
        self._service, self._base = service, base

    def _within(self, request: SearchRequest) -> None:
        """Keep a request to this tool's base."""
        if self._base is not None and request.knowledge is None:
            request.knowledge = self._base

    def _names(self, knowledge: list[str] | None) -> str | list[str] | None:
        return self._base if self._base is not None else knowledge


class SearchTool(_KnowledgeTool):
    """Finds passages.

    Args:
        service: The gateway's knowledge bases.
        name: Its own.
        base: The base that it searches; None for all that a caller may use.
        about: What the base knows.
    """

    operations = frozenset({Operation.TOOL, Operation.KNOWLEDGE})

    def __init__(self, service: KnowledgeService, name: str, *, base: str | None = None, about: str = "") -> None:
        super().__init__(
            service, self.find, name=name, title=f"Search {base or 'knowledge bases'}", about=about, base=base
        )

    async def invoke(self, call: Call) -> AsyncGenerator[CallEvent, None]:
        """Search; a `KnowledgeWork` is answered with what was found."""
        if isinstance(call.input, KnowledgeWork):
            self._within(call.input.request)
            found = await self._service.search(call.input.request, call)
            yield Result(found, "")
            yield Finish()
            return
        async with aclosing(super().invoke(call)) as told:
            async for event in told:
                yield event

    async def find(
        self,
        work: Work,
        query: str,
        knowledge: Names = None,
        limit: Limit = 5,
        filter: Filter = None,  # noqa: A002
    ) -> KnowledgeResults:
        """Find the passages of documents that say most on a question, each with its document, page and place.

        Args:
            work: The call it serves.
            query: What to find, as a question or in words.
            knowledge: Where.
            limit: How many.
            filter: Which documents.
        """
        request = SearchRequest(query=query, knowledge=self._names(knowledge), limit=limit, filter=filter)
        found = await self._service.search(request, work.call)
        work.text = _results_text(found)
        return found


class AskTool(_KnowledgeTool):
    """Answers from documents, with citations; a chat model too.

    Args:
        service: The gateway's knowledge bases.
        name: Its own.
        base: The base that answers; None for all that a caller may use.
        about: What the base knows.
        timeout: Seconds after which a question is cancelled.
    """

    operations = frozenset({Operation.TOOL, Operation.CHAT, Operation.KNOWLEDGE})
    features: Features = frozenset()

    def __init__(
        self,
        service: KnowledgeService,
        name: str,
        *,
        base: str | None = None,
        about: str = "",
        timeout: float | None = None,
    ) -> None:
        super().__init__(
            service, self.answer, name=name, title=f"Ask {base or 'knowledge bases'}", about=about, base=base
        )
        self.timeout = timeout

    async def invoke(self, call: Call) -> AsyncGenerator[CallEvent, None]:
        """Answer: a chat with text and citations, a `KnowledgeWork` with the whole answer after them, or a search."""
        if isinstance(call.input, Chat):
            messages = [
                {"role": message.role, "content": message.content}
                for message in call.input.messages()
                if message.role in ("system", "developer", "user", "assistant")
            ]
            given: AskRequest | SearchRequest = AskRequest(messages=messages, knowledge=self._base)
        elif isinstance(call.input, KnowledgeWork):
            given = call.input.request
        else:
            async with aclosing(super().invoke(call)) as told:
                async for event in told:
                    yield event
            return
        self._within(given)
        if not isinstance(given, AskRequest):
            yield Result(await self._service.search(given, call), "")
            yield Finish()
            return
        whole = isinstance(call.input, KnowledgeWork)
        async with aclosing(self._service.ask(given, call)) as events:
            async for piece in events:
                if isinstance(piece, KnowledgeAnswer):
                    if usage := _usage(piece):
                        yield usage
                    if whole:
                        yield Result(piece, piece.text)
                else:
                    yield piece
        yield Finish()

    async def answer(
        self,
        work: Work,
        question: str,
        knowledge: Names = None,
        limit: Limit = 5,
        filter: Filter = None,  # noqa: A002
    ) -> KnowledgeAnswer:
        """Answer a question from documents; every sentence cites the place that it rests on.

        Args:
            work: The call it serves.
            question: What to answer.
            knowledge: From where.
            limit: How many passages to answer from.
            filter: Which documents.
        """
        request = AskRequest(query=question, knowledge=self._names(knowledge), limit=limit, filter=filter)
        found: KnowledgeAnswer | None = None
        async with aclosing(self._service.ask(request, work.call)) as events:
            async for piece in events:
                if isinstance(piece, KnowledgeAnswer):
                    found = piece
                elif not isinstance(piece, TextDelta | CitationAdded):
                    _report(work, piece)
        if found is None:
            raise InternalServerError("The answer ended without a result.")
        work.text = _answer_text(found)
        return found.model_copy(update={"hits": []})  # the citations say what it rests on


def _report(work: Work, event: Event) -> None:
    if not isinstance(event, Result | Finish):
        work.report(event)


def _usage(answer: KnowledgeAnswer) -> Usage | None:
    if not answer.usage:
        return None
    return Usage(answer.usage.get("prompt_tokens", 0), answer.usage.get("completion_tokens", 0))


def _place(hit: KnowledgeHit | KnowledgeCitation) -> str:
    parts = [hit.title or hit.document]
    if hit.heading_path:
        parts.append(" › ".join(hit.heading_path))
    if hit.page is not None:
        parts.append(f"page {hit.page}")
    if hit.cells:
        parts.append(hit.cells)
    if hit.source and hit.source != hit.title:
        parts.append(hit.source)
    return ", ".join(parts)


def _results_text(found: KnowledgeResults) -> str:
    """Write what was found for a model that reads text alone."""
    lines = [f"[{number}] {_place(hit)} ({hit.knowledge})\n{hit.text}" for number, hit in enumerate(found.data, 1)]
    lines += [f"Left out: {left.knowledge}: {left.reason}" for left in found.left_out]
    return "\n\n".join(lines) or "Nothing was found."


def _answer_text(answer: KnowledgeAnswer) -> str:
    """Write an answer with its sources, for a model that reads text alone."""
    sources = {citation.number: f"[{citation.number}] {_place(citation)}" for citation in answer.citations}
    lines = [answer.text, *(sources[number] for number in sorted(sources))]
    lines += [f"Left out: {left.knowledge}: {left.reason}" for left in answer.left_out]
    return "\n".join(lines)

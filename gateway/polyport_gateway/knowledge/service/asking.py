"""Answers from what was found."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from polyport.content import Citation
from polyport.events import CitationAdded, Event, TextDelta
from polyport.types.knowledge import AskRequest, KnowledgeAnswer, KnowledgeCitation, SearchRequest
from polyport_gateway.call import Call
from polyport_gateway.knowledge.embedding import GatewayModels

from .registry import Registry
from .searching import Searching

__all__ = ["Asking"]

_NOTHING = "The documents say nothing on that."


class Asking:
    """Answers questions by the passage that says most.

    Args:
        searching: Finds the passages.
        registry: The bases.
        models: Of the gateway.
    """

    def __init__(self, searching: Searching, registry: Registry, models: GatewayModels) -> None:
        self._searching, self._registry, self._models = searching, registry, models

    async def ask(self, request: AskRequest, call: Call) -> AsyncGenerator[Event | KnowledgeAnswer, None]:
        """Give the answer's text and citations as they come, then the whole answer."""
        query = request.query or next(
            (str(one.get("content") or "") for one in reversed(request.messages or []) if one.get("role") == "user"), ""
        )
        members = {name: getattr(request, name) for name in SearchRequest.model_fields if name != "query"}
        results = await self._searching.search(SearchRequest(query=query, **members), call)
        best = results.data[0] if results.data else None
        text = best.text if best is not None else _NOTHING
        yield TextDelta(text)
        citations: list[KnowledgeCitation] = []
        if best is not None:
            citations.append(
                KnowledgeCitation(
                    start=0,
                    end=len(text),
                    number=1,
                    knowledge=best.knowledge,
                    document=best.document,
                    chunk=best.chunk,
                    title=best.title,
                    quote=text,
                    span=best.span,
                    source=best.source,
                    page=best.page,
                    heading_path=best.heading_path,
                )
            )
            yield CitationAdded(
                Citation(best.title, url=best.source, document=best.document, text=text, start=0, end=len(text))
            )
        yield KnowledgeAnswer(
            text=text,
            found=best is not None,
            citations=citations,
            hits=results.data,
            left_out=results.left_out,
            question=query,
            mode=results.mode,
            searched=results.searched,
            notes=results.notes,
            took_ms=results.took_ms,
        )

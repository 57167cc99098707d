"""`SearchedAnswer`: a knowledge base that answers from vector stores besides itself."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from secrets import token_hex

from polyport.events import CitationAdded, Result, ServerToolCall, ServerToolResult
from polyport_gateway.agents.file_search import FILE_SEARCH, FileSearch, SearchOutput
from polyport_gateway.call import Call, Caller, CallEvent

__all__ = ["SearchedAnswer"]


class SearchedAnswer:
    """A call of a knowledge base with ``file_search``: what is found in the stores is told first, then the answer.

    A knowledge base calls no tools: it is asked about the stores and itself together.

    Args:
        call: Asks it.
        tool: Searches the stores.
        question: What is asked.
    """

    def __init__(self, call: Call, tool: FileSearch, question: str) -> None:
        self._call = call
        self._tool = tool
        self._question = question

    @property
    def caller(self) -> Caller:
        """Who asks."""
        return self._call.caller

    @property
    def request_id(self) -> str:
        """Names the request."""
        return self._call.request_id

    async def run(self) -> AsyncGenerator[CallEvent, None]:
        """Search, and answer.

        Raises:
            CallError: Either failed.
        """
        arguments = json.dumps({"queries": [self._question]}, ensure_ascii=False)
        id_ = f"call_{token_hex(12)}"
        yield ServerToolCall(id_, FILE_SEARCH, arguments, await self._tool.open())
        names: dict[str, str] = {}
        async with aclosing(self._tool.invoke(self._call, arguments)) as found:
            async for event in found:
                if isinstance(event, Result):
                    if isinstance(event.value, SearchOutput):
                        names = {source.file_id: source.filename for source in event.value.sources.values()}
                    yield ServerToolResult(id_, FILE_SEARCH, event.text, value=event.value)
        async with aclosing(self._call.run()) as events:
            async for event in events:
                if isinstance(event, CitationAdded):
                    name = names.get(event.citation.source or "", event.citation.title)
                    yield CitationAdded(replace(event.citation, title=name))
                elif not isinstance(event, Result):
                    yield event

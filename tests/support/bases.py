"""A gateway with knowledge bases in this process, and words for what tests do with them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np

from polyport import App
from polyport.types.knowledge import AskRequest, KnowledgeAnswer, KnowledgeJob, KnowledgeResults, SearchRequest
from polyport_gateway.call import LOCAL, Call, Caller, KnowledgeWork
from polyport_gateway.knowledge.service import KnowledgeService
from polyport_gateway.knowledge.uploads import Upload
from polyport_gateway.server import Gateway, create_gateway, running
from polyport_gateway.settings import Settings

__all__ = ["WORDS", "Desk", "counting", "opened"]

WORDS = ("leave", "days", "train", "desk", "hotel", "money", "cat", "dog")


def counting(request: Any) -> Mapping[str, Any]:
    """Embed by counting a few words, as an engine's answer."""
    texts = [request.input] if isinstance(request.input, str) else list(request.input)
    rows = [[float(text.casefold().count(word)) + 0.01 for word in WORDS] for text in texts]
    data = [
        {"object": "embedding", "index": place, "embedding": np.array(row).tolist()} for place, row in enumerate(rows)
    ]
    return {"object": "list", "data": data, "model": "m", "usage": {"prompt_tokens": 1, "total_tokens": 1}}


class Desk:
    """A gateway that runs, and its knowledge bases."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    @property
    def service(self) -> KnowledgeService:
        return self.gateway.knowledge

    def call(self, request: SearchRequest, caller: Caller = LOCAL, name: str = "ask_knowledge") -> Call:
        return Call(
            name=name,
            input=KnowledgeWork(request),
            caller=caller,
            wire="test",
            request_id="req_test",
            dispatch=self.gateway.dispatcher,
            granted=frozenset({"ask_knowledge"}),
        )

    async def search(self, query: str, knowledge: Any = None, caller: Caller = LOCAL, **more: Any) -> KnowledgeResults:
        request = SearchRequest(query=query, knowledge=knowledge, **more)
        return await self.service.search(request, self.call(request, caller))

    async def ask(self, query: str = "", knowledge: Any = None, **more: Any) -> tuple[str, KnowledgeAnswer]:
        """Return the text as it came, and the whole answer."""
        request = AskRequest(query=query, knowledge=knowledge, **more)
        text, whole = "", None
        async with aclosing(self.service.ask(request, self.call(request))) as events:
            async for event in events:
                if isinstance(event, KnowledgeAnswer):
                    whole = event
                else:
                    text += getattr(event, "text", "") or ""
        assert whole is not None
        return text, whole

    async def add(self, name: str, files: Mapping[str, str | bytes], **more: Any) -> KnowledgeJob:
        """Hand in files and wait until they are taken in."""
        uploads = [
            Upload(key, key.rpartition("/")[2], text.encode() if isinstance(text, str) else text, **more)
            for key, text in files.items()
        ]
        return await self.done(await self.service.add(name, uploads, LOCAL))

    async def done(self, job: KnowledgeJob | None) -> KnowledgeJob:
        """Wait for a job."""
        assert job is not None
        last = job
        async with asyncio.timeout(60):
            async for now in self.service.follow(job.id, LOCAL):
                last = now
        return last

    async def settled(self, name: str) -> None:
        """Wait until nothing is being done with a base."""
        async with asyncio.timeout(60):
            while (await self.service.base(name, LOCAL)).state not in ("ready", "failed"):
                await asyncio.sleep(0.02)
        await (await self.service.house()).jobs.mended()  # an index in memory is filled anew at each start

    async def sources(self, query: str, knowledge: Any = None, **more: Any) -> list[str | None]:
        return [hit.source for hit in (await self.search(query, knowledge, **more)).data]


@asynccontextmanager
async def opened(app: App, folder: Path, *, wait: Sequence[str] = (), **settings: Any) -> AsyncIterator[Desk]:
    """Run a gateway, and wait until some bases are as their sources are."""
    async with running(create_gateway(app, Settings(data_dir=folder / "state", **settings))) as gateway:
        desk = Desk(gateway)
        for name in wait:
            await desk.settled(name)
        yield desk

"""Knowledge bases; `AsyncClient.knowledge`."""

# ruff: noqa: ASYNC109 - a timeout here spans retries and travels to httpx; the caller may still use asyncio.timeout

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from polyport.client import knowledge_requests as asks
from polyport.client.base import NOT_GIVEN, TimeoutChoice
from polyport.client.knowledge_options import AskOptions, BaseOptions, ReindexOptions, SearchOptions
from polyport.client.knowledge_requests import BasesFound, JobsFound, Names
from polyport.client.knowledge_streams import AsyncKnowledgeStream, JobDecoder, checked
from polyport.client.knowledge_waiting import Waiting
from polyport.client.requests import Messages
from polyport.client.sources import Source, batches, find_sources
from polyport.client.streams import AsyncEventStream
from polyport.errors import APIConnectionError, PayloadTooLargeError
from polyport.types.knowledge import (
    KnowledgeAnswer,
    KnowledgeBase,
    KnowledgeChangeList,
    KnowledgeDocument,
    KnowledgeDocumentList,
    KnowledgeJob,
    KnowledgeResults,
)
from polyport.types.knowledge_requests import KnowledgeDeleted, KnowledgeRekeyed

if TYPE_CHECKING:
    from polyport.client.aio import AsyncClient

__all__ = ["AsyncKnowledge"]

OnProgress = Callable[[KnowledgeJob], object]


class AsyncKnowledge:
    """Knowledge bases: made, filled, searched and asked; `AsyncClient.knowledge`.

    >>> answer = await AsyncClient().knowledge.ask("handbook", "How is tea made?")  # doctest: +SKIP
    >>> answer.text, answer.citations[0].quote  # doctest: +SKIP
    """

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def create(
        self, name: str, *, timeout: TimeoutChoice = NOT_GIVEN, **options: Unpack[BaseOptions]
    ) -> KnowledgeBase:
        """Make a knowledge base.

        Args:
            name: Its one name on every wire.
            timeout: Instead of the client's own.
            **options: As of `polyport.App.knowledge` (``embedder=``, ``sources=`` …).

        Raises:
            ConflictError: The name is taken.
            CallError: It failed otherwise.
        """
        return await self._client._ask(asks.create(name, options), timeout)  # noqa: SLF001

    async def list(self, *, timeout: TimeoutChoice = NOT_GIVEN) -> BasesFound:
        """Return every knowledge base that you may use."""
        return await self._client._ask(asks.list_bases(), timeout)  # noqa: SLF001

    async def get(self, name: str, *, timeout: TimeoutChoice = NOT_GIVEN) -> KnowledgeBase:
        """Return one of them, and how it is."""
        return await self._client._ask(asks.get(name), timeout)  # noqa: SLF001

    async def configure(self, name: str, *, timeout: TimeoutChoice = NOT_GIVEN, **changes: Any) -> KnowledgeBase:
        """Change what changes at once (``description=``, ``model=``, ``threshold=`` …); `reindex` changes the rest."""
        return await self._client._ask(asks.configure(name, changes), timeout)  # noqa: SLF001

    async def delete(self, name: str, *, timeout: TimeoutChoice = NOT_GIVEN) -> KnowledgeDeleted:
        """Remove a knowledge base with all in it."""
        return await self._client._ask(asks.delete(name), timeout)  # noqa: SLF001

    async def add(
        self,
        name: str,
        *sources: Source,
        text: str | None = None,
        key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: Iterable[str] = (),
        chunker: str | None = None,
        hidden: bool = False,
        wait: bool = False,
        on_progress: OnProgress | None = None,
        timeout: TimeoutChoice = NOT_GIVEN,
    ) -> KnowledgeJob:
        """Add documents, or replace those that are known by the same keys; what has not changed costs next to nothing.

        Files are read while they are sent, many in several requests; the gateway reads and indexes them in a job.

        Args:
            name: The knowledge base.
            *sources: Paths (folders with all in them), addresses that the gateway fetches, open files, bytes, or
                dicts of contents by name.
            text: A document's text, with `key` for its name.
            key: What the one document is known by in the base; else its path, address or name.
            metadata: Of all of them, to filter by.
            tags: Of all of them.
            chunker: Instead of the base's own.
            hidden: Whether hidden files of folders are taken.
            wait: Whether to wait until they can be found.
            on_progress: Called with the job as it goes on; may be a coroutine function.
            timeout: Seconds for each request, and then for the waiting, instead of the client's own.

        Returns:
            The job; its `errors` say which documents could not be read, which stops no others. Of several requests the
            last one's, with the figures of all.

        Raises:
            BadRequestError: There is nothing to add, or a path leads nowhere.
            CallError: It failed as a whole.
        """
        found = await asyncio.to_thread(find_sources, sources, text=text, key=key, hidden=hidden)
        jobs: list[KnowledgeJob] = []
        urls = found.urls
        for files in batches(found):
            request = asks.add(name, files, urls, metadata=metadata, tags=tags, chunker=chunker)
            try:
                jobs.append(await self._client._ask(request, timeout))  # noqa: SLF001
            except PayloadTooLargeError as error:
                found.note_too_large(files, error)
                continue
            urls = []
            if on_progress is not None:
                await _told(on_progress(asks.merged(jobs)))
        if wait:
            for place, job in enumerate(jobs):
                async with aclosing(self._follow(job.id, timeout)) as states:
                    async for jobs[place] in states:
                        if on_progress is not None:
                            await _told(on_progress(asks.merged(jobs)))
                checked(jobs[place])
        return asks.with_errors(asks.merged(jobs), found.errors)

    @overload
    async def search(
        self, query: str, /, *, timeout: TimeoutChoice = NOT_GIVEN, **options: Unpack[SearchOptions]
    ) -> KnowledgeResults: ...
    @overload
    async def search(
        self, knowledge: Names, query: str, *, timeout: TimeoutChoice = NOT_GIVEN, **options: Unpack[SearchOptions]
    ) -> KnowledgeResults: ...
    async def search(
        self,
        knowledge: Names,
        query: str | None = None,
        *,
        timeout: TimeoutChoice = NOT_GIVEN,
        **options: Unpack[SearchOptions],
    ) -> KnowledgeResults:
        """Find passages.

        Args:
            knowledge: A knowledge base, several, or None for those that the question concerns; may be left out.
            query: What to look for.
            timeout: Instead of the client's own.
            **options: ``limit=``, ``filter=``, ``mode=`` …: see `SearchOptions`.

        Raises:
            CallError: It failed. One base of several that fails is in `KnowledgeResults.left_out` instead.
        """
        names, question = asks.search_arguments(knowledge, query)
        return await self._client._ask(asks.search(names, question, options), timeout)  # noqa: SLF001

    @overload
    async def ask(
        self,
        question: str,
        /,
        *,
        stream: Literal[False] = False,
        timeout: TimeoutChoice = NOT_GIVEN,
        **options: Unpack[AskOptions],
    ) -> KnowledgeAnswer: ...
    @overload
    async def ask(
        self,
        knowledge: Names,
        question: Messages,
        *,
        stream: Literal[False] = False,
        timeout: TimeoutChoice = NOT_GIVEN,
        **options: Unpack[AskOptions],
    ) -> KnowledgeAnswer: ...
    @overload
    async def ask(
        self,
        question: str,
        /,
        *,
        stream: Literal[True],
        timeout: TimeoutChoice = NOT_GIVEN,
        **options: Unpack[AskOptions],
    ) -> AsyncKnowledgeStream: ...
    @overload
    async def ask(
        self,
        knowledge: Names,
        question: Messages,
        *,
        stream: Literal[True],
        timeout: TimeoutChoice = NOT_GIVEN,
        **options: Unpack[AskOptions],
    ) -> AsyncKnowledgeStream: ...
    async def ask(
        self,
        knowledge: Names,
        question: Messages | None = None,
        *,
        stream: bool = False,
        timeout: TimeoutChoice = NOT_GIVEN,
        **options: Unpack[AskOptions],
    ) -> KnowledgeAnswer | AsyncKnowledgeStream:
        """Answer a question from documents, each sentence with its source.

        Args:
            knowledge: A knowledge base, several, or None for those that the question concerns; may be left out.
            question: The question, or a conversation that ends with one.
            stream: Give events as they come instead: text, citations, and last the whole answer.
            timeout: Instead of the client's own.
            **options: ``model=``, ``limit=``, ``filter=`` …: see `AskOptions`.

        Raises:
            CallError: It failed. That the documents say nothing is no failure: `KnowledgeAnswer.found` is False then.
        """
        names, asked = asks.ask_arguments(knowledge, question)
        request = asks.ask(names, asked, options, stream=stream)
        if stream:
            return AsyncKnowledgeStream(await self._client._exchange(request, timeout, stream=True))  # noqa: SLF001
        return await self._client._ask(request, timeout)  # noqa: SLF001

    async def documents(
        self,
        name: str,
        *,
        after: str | None = None,
        limit: int | None = None,
        query: str | None = None,
        timeout: TimeoutChoice = NOT_GIVEN,
    ) -> KnowledgeDocumentList:
        """Return a page of a base's documents.

        Args:
            name: The knowledge base.
            after: `KnowledgeDocumentList.next` of the page before.
            limit: How many.
            query: What is in their titles or keys.
            timeout: Instead of the client's own.
        """
        return await self._client._ask(asks.documents(name, after=after, limit=limit, query=query), timeout)  # noqa: SLF001

    async def document(self, name: str, document: str, *, timeout: TimeoutChoice = NOT_GIVEN) -> KnowledgeDocument:
        """Return a document, by its id or its key."""
        return await self._client._ask(asks.get_document(name, document), timeout)  # noqa: SLF001

    async def text(self, name: str, document: str, *, timeout: TimeoutChoice = NOT_GIVEN) -> str:
        """Return a document's text, in which the spans of hits and citations are."""
        return (await self._client._ask(asks.text(name, document), timeout)).text  # noqa: SLF001

    async def update(
        self, name: str, document: str, *, timeout: TimeoutChoice = NOT_GIVEN, **changes: Any
    ) -> KnowledgeDocument:
        """Change what is said of a document: ``title=``, ``metadata=``, ``tags=``."""
        return await self._client._ask(asks.update(name, document, changes), timeout)  # noqa: SLF001

    async def remove(self, name: str, *documents: str, timeout: TimeoutChoice = NOT_GIVEN) -> KnowledgeDeleted:
        """Remove documents, by their ids or keys."""
        return await self._client._ask(asks.remove(name, documents), timeout)  # noqa: SLF001

    async def refresh(self, name: str, *, timeout: TimeoutChoice = NOT_GIVEN) -> KnowledgeJob:
        """Have the base's sources looked at again: what is new, what has changed, what is gone."""
        return await self._client._ask(asks.refresh(name), timeout)  # noqa: SLF001

    async def reindex(
        self, name: str, *, timeout: TimeoutChoice = NOT_GIVEN, **changes: Unpack[ReindexOptions]
    ) -> KnowledgeJob:
        """Have everything built anew (``chunker=``, ``embedder=``, ``index=`` …), beside what serves until then."""
        return await self._client._ask(asks.reindex(name, changes), timeout)  # noqa: SLF001

    async def rekey(self, name: str, *, timeout: TimeoutChoice = NOT_GIVEN, **changes: Any) -> KnowledgeRekeyed:
        """Have keywords made by another ``function=`` or ``version=``; ``batch=True`` renews those there are."""
        return await self._client._ask(asks.rekey(name, changes), timeout)  # noqa: SLF001

    async def jobs(self, name: str | None = None, *, timeout: TimeoutChoice = NOT_GIVEN) -> JobsFound:
        """Return jobs, of one base or of all, the newest first."""
        return await self._client._ask(asks.list_jobs(name), timeout)  # noqa: SLF001

    async def job(self, job: str, *, timeout: TimeoutChoice = NOT_GIVEN) -> KnowledgeJob:
        """Return a job, as it is now."""
        return await self._client._ask(asks.get_job(job), timeout)  # noqa: SLF001

    async def wait(
        self,
        job: str | KnowledgeJob,
        *,
        on_progress: OnProgress | None = None,
        timeout: TimeoutChoice = NOT_GIVEN,
    ) -> KnowledgeJob:
        """Wait for a job's end; a gateway that starts again in between goes on with it.

        Args:
            job: The job, or its id.
            on_progress: Called with the job as it goes on; may be a coroutine function.
            timeout: Seconds for the whole of it, instead of the client's own.

        Raises:
            DeadlineExceededError: It goes on still.
            CallError: It failed as a whole, or was cancelled.
        """
        last: KnowledgeJob | None = None
        async with aclosing(self._follow(job if isinstance(job, str) else job.id, timeout)) as states:
            async for last in states:
                if on_progress is not None:
                    await _told(on_progress(last))
        assert last is not None  # noqa: S101 - a stream without a job's end is an error
        return checked(last)

    async def cancel(self, job: str, *, timeout: TimeoutChoice = NOT_GIVEN) -> KnowledgeJob:
        """Cancel a job; what it has finished stays."""
        return await self._client._ask(asks.cancel(job), timeout)  # noqa: SLF001

    async def changes(
        self, name: str, *, before: int | None = None, limit: int | None = None, timeout: TimeoutChoice = NOT_GIVEN
    ) -> KnowledgeChangeList:
        """Return a base's update log, the newest first; `before` is a time in it, in milliseconds since 1970."""
        return await self._client._ask(asks.changes(name, before=before, limit=limit), timeout)  # noqa: SLF001

    async def _follow(self, job: str, timeout: TimeoutChoice) -> AsyncGenerator[KnowledgeJob, None]:
        waiting = Waiting(job, self._client._timeout(timeout))  # noqa: SLF001
        while True:
            try:
                response = await self._client._exchange(asks.follow(job), waiting.left(), stream=True)  # noqa: SLF001
                async with AsyncEventStream(response, JobDecoder()) as events:
                    async for found in events:
                        waiting.heard()
                        yield found
                return
            except APIConnectionError as error:
                await asyncio.sleep(waiting.before_trying_again(error))


async def _told(answer: object) -> None:
    if inspect.isawaitable(answer):
        await answer

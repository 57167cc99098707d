"""``/v1/knowledge``: knowledge bases, made, filled, searched, asked and kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

from polyport.errors import BadRequestError, CallError
from polyport.types.knowledge import (
    AskRequest,
    KnowledgeBaseList,
    KnowledgeCreateRequest,
    KnowledgeJob,
    KnowledgeJobList,
    SearchRequest,
)
from polyport.types.knowledge_requests import (
    KnowledgeConfigureRequest,
    KnowledgeDeleted,
    KnowledgeReindexRequest,
    KnowledgeRekeyRequest,
)
from polyport_gateway.call import Dispatch
from polyport_gateway.settings import Settings
from polyport_gateway.wires.http import (
    ClientGoneError,
    Receive,
    Scope,
    Send,
    info_of,
    run_until_disconnect,
    send_error,
    send_json,
)
from polyport_gateway.wires.rest.knowledge_bodies import integer, query_of, read_model
from polyport_gateway.wires.rest.knowledge_calls import answer, event_stream, knowledge_call, stream
from polyport_gateway.wires.rest.knowledge_documents import DocumentEndpoints, base_of
from polyport_gateway.wires.rest.knowledge_paths import PATHS
from polyport_gateway.wires.rest.knowledge_service import Knowledge
from polyport_gateway.wires.router import Route

__all__ = ["KnowledgeWire"]

Asked = TypeVar("Asked", bound=SearchRequest)
Handler = Callable[[Scope, Receive, Send], Awaitable[None]]

_BEAT_S = 5.0
"""Seconds after which a job that has not changed is sent again: a sign of life."""
_MOST_CHANGES = 1000


class KnowledgeWire:
    """The endpoints of knowledge bases.

    A search and a question are calls, so limits, usage and cancellation are as everywhere; what takes long besides is a
    job, which outlives its request.

    Args:
        service: Keeps the bases.
        dispatcher: The way through.
        settings: Limits on bodies.
    """

    def __init__(self, service: Knowledge, dispatcher: Dispatch, settings: Settings) -> None:
        self._service = service
        self._dispatcher = dispatcher
        self._settings = settings
        documents = DocumentEndpoints(service, settings)
        handlers: list[Handler] = [
            self._list,
            self._create,
            self._search,
            self._ask,
            self._jobs,
            self._job,
            self._follow,
            self._cancel,
            self._show,
            self._configure,
            self._delete,
            self._search,
            self._ask,
            self._refresh,
            self._reindex,
            self._rekey,
            documents.remove_all,
            self._changes,
            documents.list_all,
            documents.add,
            documents.text,
            documents.show,
            documents.update,
            documents.remove,
        ]
        self.routes = [
            Route(method, path, _Endpoint(handler)) for (method, path), handler in zip(PATHS, handlers, strict=True)
        ]

    async def _list(self, scope: Scope, receive: Receive, send: Send) -> None:
        """List the caller's knowledge bases."""
        del receive
        await send_json(send, KnowledgeBaseList(data=await self._service.bases(info_of(scope).caller)))

    async def _create(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make a knowledge base."""
        asked = await read_model(scope, receive, self._settings, KnowledgeCreateRequest)
        await send_json(send, await self._service.create(asked, caller=info_of(scope).caller))

    async def _search(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Find passages."""
        asked = _of_base(scope, await read_model(scope, receive, self._settings, SearchRequest))
        call = knowledge_call(self._dispatcher, info_of(scope), asked)
        await run_until_disconnect(receive, answer(call, send))

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a question."""
        asked = _of_base(scope, await read_model(scope, receive, self._settings, AskRequest))
        if bool(asked.query.strip()) == bool(asked.messages):
            raise BadRequestError(
                "The body must have one of query and messages: the question, or a conversation that ends with one.",
                param="query",
                code="empty_query",
            )
        call = knowledge_call(self._dispatcher, info_of(scope), asked)
        await run_until_disconnect(receive, stream(call, send) if asked.stream else answer(call, send))

    async def _jobs(self, scope: Scope, receive: Receive, send: Send) -> None:
        """List jobs, of one base or of all."""
        del receive
        name = query_of(scope, frozenset({"knowledge"})).get("knowledge")
        await send_json(send, KnowledgeJobList(data=await self._service.jobs(info_of(scope).caller, name)))

    async def _job(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Show a job."""
        del receive
        await send_json(send, await self._service.job(scope["path_params"]["job_id"], info_of(scope).caller))

    async def _follow(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Show a job as it goes on, until its end."""
        info = info_of(scope)
        jobs = self._service.follow(scope["path_params"]["job_id"], info.caller)
        await run_until_disconnect(receive, event_stream(_beating(jobs), send, info.request_id))

    async def _cancel(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Cancel a job."""
        del receive
        await send_json(send, await self._service.cancel_job(scope["path_params"]["job_id"], info_of(scope).caller))

    async def _show(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Show a knowledge base."""
        del receive
        await send_json(send, await self._service.base(base_of(scope), info_of(scope).caller))

    async def _configure(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Change what changes at once."""
        asked = await read_model(scope, receive, self._settings, KnowledgeConfigureRequest)
        changes = asked.model_dump(exclude_unset=True)
        if "timeout_s" in changes:
            changes["timeout"] = changes.pop("timeout_s")
        await send_json(send, await self._service.configure(base_of(scope), changes, info_of(scope).caller))

    async def _delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Remove a knowledge base."""
        del receive
        await self._service.delete(base_of(scope), info_of(scope).caller)
        await send_json(send, KnowledgeDeleted(knowledge=base_of(scope)))

    async def _refresh(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Look at the sources again."""
        del receive
        await send_json(send, await self._service.refresh(base_of(scope), info_of(scope).caller))

    async def _reindex(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Build everything anew, beside what serves."""
        asked = await read_model(scope, receive, self._settings, KnowledgeReindexRequest)
        changes = asked.model_dump(exclude_unset=True)
        await send_json(send, await self._service.reindex(base_of(scope), changes, info_of(scope).caller))

    async def _rekey(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make keywords by another function, or another version of it."""
        asked = await read_model(scope, receive, self._settings, KnowledgeRekeyRequest)
        changes = asked.model_dump(exclude_unset=True)
        await send_json(send, await self._service.rekey(base_of(scope), info_of(scope).caller, changes=changes))

    async def _changes(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Show the update log, a page of it."""
        del receive
        query = query_of(scope, frozenset({"before", "limit"}))
        page = await self._service.changes(
            base_of(scope),
            info_of(scope).caller,
            before=integer(query, "before", 0, 2**53),
            limit=integer(query, "limit", 1, _MOST_CHANGES) or 100,
        )
        await send_json(send, page)


class _Endpoint:
    """One endpoint, answering with errors."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        try:
            await self._handler(scope, receive, send)
        except ClientGoneError:
            return
        except CallError as error:
            await send_error(send, error, request_id=info_of(scope).request_id)


def _of_base(scope: Scope, asked: Asked) -> Asked:
    """Return what is asked of the base that the path names, if it names one."""
    name = scope.get("path_params", {}).get("name")
    if name is None:
        return asked
    if asked.knowledge not in (None, name, [name]):
        raise BadRequestError(
            f"The path names {name[:80]!r} and the body other knowledge bases; ask them at /v1/knowledge.",
            param="knowledge",
        )
    return asked.model_copy(update={"knowledge": name})


async def _beating(jobs: AsyncIterator[KnowledgeJob]) -> AsyncGenerator[tuple[str, bytes], None]:
    """Give a job's states, the last one again where nothing changes for long."""
    last = b""
    upcoming: asyncio.Future[KnowledgeJob] | None = None
    try:
        while True:
            if upcoming is None:
                upcoming = asyncio.ensure_future(_upcoming(jobs))
            done, _ = await asyncio.wait({upcoming}, timeout=_BEAT_S)
            if done:
                try:
                    last = upcoming.result().model_dump_json().encode()
                except StopAsyncIteration:
                    return
                finally:
                    upcoming = None
            if last:
                yield "job", last
    finally:
        if upcoming is not None:
            upcoming.cancel()
            await asyncio.wait({upcoming})
        if isinstance(jobs, AsyncGenerator):
            async with aclosing(jobs):
                pass


async def _upcoming(jobs: AsyncIterator[KnowledgeJob]) -> KnowledgeJob:
    return await anext(jobs)

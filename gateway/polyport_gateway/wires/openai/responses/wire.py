"""`ResponsesWire`: the endpoints of ``/v1/responses``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import aclosing
from secrets import token_urlsafe
from typing import Any

from polyport.errors import BadRequestError, CallError, NotFoundError
from polyport.types.responses import ResponseDeleted, ResponseItemList
from polyport_gateway.agents.searched_answer import SearchedAnswer
from polyport_gateway.call import Call, Dispatch
from polyport_gateway.catalog import Catalog
from polyport_gateway.files.service import FileService
from polyport_gateway.jobs.background import BackgroundTasks
from polyport_gateway.jobs.responses import MemoryResponseStore, ResponseArchive, ResponseStoreLike
from polyport_gateway.sandboxes.containers import Containers
from polyport_gateway.settings import Settings
from polyport_gateway.storage.responses import StoredResponse
from polyport_gateway.vector_stores.search import VectorStoreSearcher
from polyport_gateway.wires.http import Receive, Scope, Send, info_of, run_until_disconnect, send_json
from polyport_gateway.wires.openai.calls import JSONEndpoint
from polyport_gateway.wires.openai.queries import (
    cut_page,
    read_each,
    read_flag,
    read_number,
    read_order,
    read_query,
)
from polyport_gateway.wires.openai.responses.attachments import Attachments
from polyport_gateway.wires.openai.responses.kept import show, show_item
from polyport_gateway.wires.openai.responses.plan import Plan, Planner, check_include
from polyport_gateway.wires.openai.responses.replay import replay
from polyport_gateway.wires.openai.responses.serving import Serving
from polyport_gateway.wires.openai.responses.validation import name_as_asked
from polyport_gateway.wires.openai.sse import EventStream, data_frame
from polyport_gateway.wires.router import Route

__all__ = ["ResponsesWire"]

_MOST_ITEMS = 100
_OBFUSCATED_BYTES = 16


class ResponsesWire:
    """Everything under ``/v1/responses``.

    A response belongs to the caller that made it; to all others it does not exist. One that was streamed to a
    client that went away is kept as ``cancelled``; of one that was to be answered whole nothing is kept, as its
    client never learned its id. Responses in the background run in this process: those that a restart cuts off are
    ``failed`` when they are next asked for.

    Args:
        dispatcher: The way to every call.
        catalog: What can be called.
        settings: Limits, and whether responses are stored.
        store: Where they are kept; in memory by default.
        containers: Where the code interpreter runs; None for a gateway that has none.
        searcher: Searches vector stores; None for a gateway that has none.
        files: Where files are that messages name; None for a gateway that keeps none.

    Attributes:
        routes: Each path, method and endpoint.
    """

    def __init__(
        self,
        dispatcher: Dispatch,
        catalog: Catalog,
        settings: Settings,
        store: ResponseStoreLike | None = None,
        containers: Containers | None = None,
        searcher: VectorStoreSearcher | None = None,
        files: FileService | None = None,
    ) -> None:
        self.archive = ResponseArchive(store or MemoryResponseStore())
        self.tasks = BackgroundTasks()
        planner = Planner(
            catalog,
            self.archive,
            store=settings.store_responses,
            containers=containers,
            searcher=searcher,
            attachments=Attachments(files, settings.max_body_bytes),
        )
        stored = _Stored(self.archive, self.tasks)
        self.routes = [
            Route("POST", "/v1/responses", _Create(dispatcher, settings, planner, self.archive, self.tasks)),
            Route("GET", "/v1/responses/{response_id}", stored.retrieve),
            Route("DELETE", "/v1/responses/{response_id}", stored.delete),
            Route("POST", "/v1/responses/{response_id}/cancel", stored.cancel),
            Route("GET", "/v1/responses/{response_id}/input_items", stored.input_items),
        ]

    async def start(self) -> None:
        """Open nothing: the store is opened by whoever gave it."""

    async def stop(self) -> None:
        """Cancel what runs in the background, and write what is pending."""
        await self.tasks.stop()
        await self.archive.close()


class _Create(JSONEndpoint):
    """``POST /v1/responses``."""

    def __init__(
        self,
        dispatcher: Dispatch,
        settings: Settings,
        planner: Planner,
        archive: ResponseArchive,
        tasks: BackgroundTasks,
    ) -> None:
        super().__init__(dispatcher, settings)
        self._planner = planner
        self._archive = archive
        self._tasks = tasks

    async def handle(self, scope: Scope, body: dict[str, Any], send: Send) -> None:
        """Answer with one JSON body, or with a stream."""
        plan = await self._planner.plan(body, info_of(scope).caller)
        try:
            await self._answer(scope, plan, send)
        except CallError as error:
            raise name_as_asked(error) from error.__cause__

    async def _answer(self, scope: Scope, plan: Plan, send: Send) -> None:
        request = plan.request
        serving = Serving(plan, self._asking(scope, plan), self._archive)
        options = request.stream_options
        obfuscate = bool(options and options.include_obfuscation)
        if request.background:
            log = serving.start(self._tasks)
            if request.stream:
                await _send_events(send, log.follow(), obfuscate=obfuscate)
            else:
                await send_json(send, serving.builder.snapshot())
        elif request.stream:
            await _send_events(send, serving.stream(), obfuscate=obfuscate)
        else:
            await send_json(send, await serving.answer())

    def _asking(self, scope: Scope, plan: Plan) -> Call | SearchedAnswer:
        if plan.asked is None:
            return self.call(scope, plan.request.model, plan.chat)
        asked = plan.asked
        return SearchedAnswer(self.call(scope, plan.request.model, asked.work), asked.tool, asked.question)


class _Stored:
    """The endpoints of what has been made."""

    def __init__(self, archive: ResponseArchive, tasks: BackgroundTasks) -> None:
        self._archive = archive
        self._tasks = tasks

    async def retrieve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``GET /v1/responses/{id}``, whole or as a stream."""
        query = read_query(scope)
        include = _included(scope)
        found = await self._find(scope)
        if not read_flag(query, "stream"):
            await send_json(send, show(found.body, include))
            return
        after = read_number(query, "starting_after", -1, least=-1)
        obfuscate = read_flag(query, "include_obfuscation")
        await run_until_disconnect(
            receive, _send_events(send, self._events(found, after, include), obfuscate=obfuscate)
        )

    def _events(self, found: StoredResponse, after: int, include: Collection[str]) -> AsyncIterator[Mapping[str, Any]]:
        log = self._tasks.log(found.id)
        if log is not None:
            return log.follow(after)
        if found.status in ("queued", "in_progress"):
            raise BadRequestError(
                f"Response {found.id!r} is being streamed to another client; fetch it without stream, "
                "or wait until its status is final.",
                param="stream",
            )
        return _each(replay(show(found.body, include), after=after))

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``DELETE /v1/responses/{id}``; one that still runs in the background is cancelled first."""
        found = await self._find(scope)
        await self._tasks.cancel(found.id)
        self._tasks.forget(found.id)
        await self._archive.delete(found.id, found.owner)
        await send_json(send, ResponseDeleted(id=found.id))

    async def cancel(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``POST /v1/responses/{id}/cancel``; one that has ended is answered as it is."""
        found = await self._find(scope)
        if not found.body.get("background"):
            raise BadRequestError(
                "Cannot cancel a synchronous response: only responses created with background true can be cancelled.",
                param="response_id",
            )
        if await self._tasks.cancel(found.id):
            found = await self._find(scope)
        await send_json(send, show(found.body))

    async def input_items(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``GET /v1/responses/{id}/input_items``: what this turn brought, newest first unless asked otherwise."""
        query = read_query(scope)
        limit = read_number(query, "limit", 20, least=1, most=_MOST_ITEMS)
        newest_first = read_order(query)
        include = _included(scope)
        found = await self._find(scope)
        every = list(reversed(found.input_items)) if newest_first else list(found.input_items)
        items, more = cut_page(
            every,
            limit,
            after=query.get("after"),
            before=query.get("before"),
            id_of=lambda item: str(item["id"]),
            of="an item of this response",
        )
        page = ResponseItemList(
            data=[show_item(item, include) for item in items],
            first_id=items[0]["id"] if items else "",
            last_id=items[-1]["id"] if items else "",
            has_more=more,
        )
        await send_json(send, page)

    async def _find(self, scope: Scope) -> StoredResponse:
        response_id = scope["path_params"]["response_id"]
        found = await self._archive.get(response_id, info_of(scope).caller.id)
        if found is None:
            raise NotFoundError(f"Response with id {response_id!r} not found.", param="response_id")
        return found


async def _send_events(send: Send, events: AsyncIterator[Mapping[str, Any]], *, obfuscate: bool) -> None:
    stream = EventStream(send)
    async with aclosing(events) as each:  # type: ignore[type-var]
        async for event in each:
            if obfuscate and "delta" in event:
                event = {**event, "obfuscation": token_urlsafe(_OBFUSCATED_BYTES)[: _padding(event["delta"])]}
            await stream.write(data_frame(event, event=event["type"]))
    await stream.start()
    await stream.end()


def _padding(delta: str) -> int:
    """Return how many characters hide the length of a delta, up to the next multiple of 16."""
    return -len(delta) % _OBFUSCATED_BYTES


def _included(scope: Scope) -> list[str]:
    """Return what a query's ``include`` asks for besides."""
    include = read_each(scope, "include")
    check_include(include)
    return include


async def _each(events: Any) -> AsyncIterator[Mapping[str, Any]]:
    for event in events:
        yield event

"""Resources, prompts, and the completion of their arguments."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CompleteRequestParams,
    GetPromptRequestParams,
    PaginatedRequestParams,
    PromptReference,
    ReadResourceRequestParams,
)

from polyport.errors import CallError, NotFoundError
from polyport_gateway.call import Arguments, Call, Caller, Dispatch, InputRequired
from polyport_gateway.catalog import Catalog
from polyport_gateway.catalog.documents import Completer, Events, Prompt, Resource
from polyport_gateway.catalog.event_queue import EventQueue, merge_events
from polyport_gateway.errors import to_call_error
from polyport_gateway.functions.documents import match_uri
from polyport_gateway.wires.mcp.asking import Asker
from polyport_gateway.wires.mcp.content import resource_contents, to_block
from polyport_gateway.wires.mcp.errors import protocol_error
from polyport_gateway.wires.mcp.pagination import cursor_of, paginate
from polyport_gateway.wires.mcp.reporting import Reporter
from polyport_gateway.wires.mcp.requests import Request, facts_of, is_modern

__all__ = ["DocumentHandlers", "find_resource", "resource_not_found"]

T = TypeVar("T")

_MOST_COMPLETIONS = 100
_RESOURCE_NOT_FOUND = -32002
"""MCP's own code up to 2025-11-25; SEP-2164 has replaced it by invalid params."""


def find_resource(catalog: Catalog, uri: str, caller: Caller) -> tuple[Resource, dict[str, str]] | None:
    """Return the resource at a URI as this caller sees it, and its template's values; plain ones go first."""
    plain = catalog.resources.get(uri)
    if plain is not None and not plain.parameters and caller.may(plain.name):
        return plain, {}
    for resource in catalog.visible_resources(caller):
        if resource.parameters and (values := match_uri(resource, uri)) is not None:
            return resource, values
    return None


def resource_not_found(request: Request, uri: str) -> MCPError:
    """Say that there is no such resource, or none that this caller may see."""
    message = f"There is no resource at {uri!r} or you do not have access to it."
    return MCPError(INVALID_PARAMS if is_modern(request) else _RESOURCE_NOT_FOUND, message, {"uri": uri})


class DocumentHandlers:
    """Answers what concerns resources and prompts.

    Args:
        catalog: What can be read and picked.
        dispatcher: The way to what they call.
        timeout_s: Seconds after which reading one is cancelled; None for never.
    """

    def __init__(self, catalog: Catalog, dispatcher: Dispatch, *, timeout_s: float | None) -> None:
        self._catalog = catalog
        self._dispatcher = dispatcher
        self._timeout_s = timeout_s

    async def list_resources(self, request: Request, params: PaginatedRequestParams | None) -> dict[str, Any]:
        """Answer resources/list."""
        return self._list_resources(request, cursor_of(params), templates=False)

    async def list_templates(self, request: Request, params: PaginatedRequestParams | None) -> dict[str, Any]:
        """Answer resources/templates/list."""
        return self._list_resources(request, cursor_of(params), templates=True)

    def _list_resources(self, request: Request, cursor: str | None, *, templates: bool) -> dict[str, Any]:
        seen = self._catalog.visible_resources(facts_of(request).caller)
        chosen = [resource for resource in seen if bool(resource.parameters) == templates]
        page, following = paginate(chosen, cursor, key=lambda resource: resource.uri)
        member, address = ("resourceTemplates", "uriTemplate") if templates else ("resources", "uri")
        return _page(member, [_describe_resource(resource, address) for resource in page], following)

    async def read_resource(self, request: Request, params: ReadResourceRequestParams) -> dict[str, Any]:
        """Answer resources/read.

        Raises:
            MCPError: There is none, or it failed.
        """
        uri = str(params.uri)
        facts = facts_of(request)
        found = find_resource(self._catalog, uri, facts.caller)
        if found is None:
            raise resource_not_found(request, uri)
        resource, values = found

        async def read(call: Call, events: Events) -> dict[str, Any]:
            content = await resource.read(call, events)
            return {"contents": [resource_contents(uri, content, resource.mime_type)]}

        return await self._run(request, resource.name, values, params.request_state, read)

    async def list_prompts(self, request: Request, params: PaginatedRequestParams | None) -> dict[str, Any]:
        """Answer prompts/list."""
        seen = list(self._catalog.visible_prompts(facts_of(request).caller))
        page, following = paginate(seen, cursor_of(params), key=lambda prompt: prompt.name)
        return _page("prompts", [_describe_prompt(prompt) for prompt in page], following)

    async def get_prompt(self, request: Request, params: GetPromptRequestParams) -> dict[str, Any]:
        """Answer prompts/get.

        Raises:
            MCPError: There is none, the arguments don't fit, or it failed.
        """
        prompt = self._prompt(params.name, facts_of(request).caller)

        async def get(call: Call, events: Events) -> dict[str, Any]:
            messages = [{"role": m.role, "content": to_block(m.content)} for m in await prompt.get(call, events)]
            answer: dict[str, Any] = {"messages": messages}
            if prompt.description is not None:
                answer["description"] = prompt.description
            return answer

        return await self._run(request, prompt.name, params.arguments or {}, params.request_state, get)

    async def complete(self, request: Request, params: CompleteRequestParams) -> dict[str, Any]:
        """Answer completion/complete; an argument that nothing completes has no suggestions.

        Raises:
            MCPError: There is no such prompt or template, or it has no such argument.
        """
        facts = facts_of(request)
        completer = self._completer(request, params, facts.caller)
        others = (params.context.arguments if params.context else None) or {}
        try:
            values = list(await completer(params.argument.value, others)) if completer else []
        except Exception as error:
            raise protocol_error(to_call_error(error, request_id=facts.request_id)) from error
        shown = values[:_MOST_COMPLETIONS]
        return {"completion": {"values": shown, "total": len(values), "hasMore": len(values) > len(shown)}}

    def _completer(self, request: Request, params: CompleteRequestParams, caller: Caller) -> Completer | None:
        name = params.argument.name
        if isinstance(params.ref, PromptReference):
            prompt = self._prompt(params.ref.name, caller)
            known, complete = {argument.name for argument in prompt.arguments}, prompt.complete
        else:
            resource = self._catalog.resources.get(params.ref.uri)
            if resource is None or not caller.may(resource.name):
                raise resource_not_found(request, params.ref.uri)
            known, complete = set(resource.parameters), resource.complete
        if name not in known:
            raise MCPError(INVALID_PARAMS, f"There is no argument {name!r}; there are {sorted(known)}.")
        return complete.get(name)

    def _prompt(self, name: str, caller: Caller) -> Prompt:
        prompt = self._catalog.prompts.get(name)
        if prompt is None or not caller.may(name):
            raise MCPError(INVALID_PARAMS, f"There is no prompt {name!r} or you do not have access to it.")
        return prompt

    async def _run(
        self,
        request: Request,
        name: str,
        values: Mapping[str, str],
        state: str | None,
        work: Callable[[Call, Events], Awaitable[dict[str, Any]]],
    ) -> dict[str, Any]:
        facts = facts_of(request)
        asker = Asker(request, (request.params or {}).get("inputResponses"), state)
        call = Call(
            name=name,
            input=Arguments(values),
            caller=facts.caller,
            wire="mcp",
            request_id=facts.request_id,
            dispatch=self._dispatcher,
            traceparent=facts.traceparent,
            ask=asker.ask,
        )
        reporter = Reporter(request)
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await _reported(call, work, reporter)
        except InputRequired:
            return asker.input_required() or {}
        except NotFoundError as error:
            raise MCPError(INVALID_PARAMS, error.message) from error
        except (CallError, TimeoutError) as error:
            raise protocol_error(to_call_error(error, request_id=facts.request_id)) from error
        finally:
            call.cancel()
        return asker.input_required() or answer


async def _reported(call: Call, work: Callable[[Call, Events], Awaitable[T]], reporter: Reporter) -> T:
    queue = EventQueue()
    task = asyncio.ensure_future(work(call, queue))
    async with aclosing(merge_events(queue, task)) as events:
        async for event in events:
            await reporter.tell(event)
    return task.result()


def _page(member: str, entries: list[dict[str, Any]], cursor: str | None) -> dict[str, Any]:
    return {member: entries} if cursor is None else {member: entries, "nextCursor": cursor}


def _describe_resource(resource: Resource, address: str) -> dict[str, Any]:
    described = {
        address: resource.uri,
        "name": resource.name,
        "title": resource.title,
        "description": resource.description,
        "mimeType": resource.mime_type,
    }
    return {key: value for key, value in described.items() if value is not None}


def _describe_prompt(prompt: Prompt) -> dict[str, Any]:
    described = {
        "name": prompt.name,
        "title": prompt.title,
        "description": prompt.description,
        "arguments": [
            {"name": a.name, "required": a.required, **({"description": a.description} if a.description else {})}
            for a in prompt.arguments
        ],
    }
    return {key: value for key, value in described.items() if value is not None}

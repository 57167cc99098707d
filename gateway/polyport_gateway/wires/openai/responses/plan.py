"""A request for a response → the chat that answers it, and what the response repeats of the request."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from polyport.errors import (
    BadRequestError,
    NotFoundError,
    UnsupportedOperationError,
    UnsupportedParameterError,
)
from polyport.types.chat import ChatRequest
from polyport.types.knowledge import AskRequest
from polyport.types.responses import Response, ResponseRequest
from polyport_gateway.agents.file_search import FILE_SEARCH, FileSearch, Source
from polyport_gateway.agents.interpreter import CODE_INTERPRETER
from polyport_gateway.call import Caller, Chat, KnowledgeWork, RequestTool, ServerTools
from polyport_gateway.calls.features import check_features
from polyport_gateway.catalog import Catalog
from polyport_gateway.catalog.capability import Kind
from polyport_gateway.jobs.responses import ResponseArchive
from polyport_gateway.sandboxes.containers import ContainerFile, Containers
from polyport_gateway.storage.responses import StoredResponse
from polyport_gateway.vector_stores.search import VectorStoreSearcher, read_tool
from polyport_gateway.wires.openai.responses.attachments import Attachments
from polyport_gateway.wires.openai.responses.conversation import Conversation
from polyport_gateway.wires.openai.responses.ids import ItemIds, new_response_id, response_of_item
from polyport_gateway.wires.openai.responses.interpreter import plan_interpreter
from polyport_gateway.wires.openai.responses.items import ItemBody, complete_items
from polyport_gateway.wires.openai.responses.kept import OUTPUTS, RESULTS
from polyport_gateway.wires.openai.responses.search_calls import found_earlier
from polyport_gateway.wires.openai.responses.tools import Tooling, read_tools
from polyport_gateway.wires.openai.responses.validation import parse_request

__all__ = ["AskedStores", "Plan", "Planner", "check_include"]

_LOGPROBS = "message.output_text.logprobs"
_ENCRYPTED = "reasoning.encrypted_content"
_INCLUDES = frozenset(
    {
        RESULTS,
        "web_search_call.results",
        "web_search_call.action.sources",
        "message.input_image.image_url",
        "computer_call_output.output.image_url",
        OUTPUTS,
        _ENCRYPTED,
        _LOGPROBS,
    }
)
_PASSED_ON = (
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "service_tier",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
)
_UNSUPPORTED = {
    "conversation": "conversations are not kept by this gateway; chain turns with previous_response_id",
    "prompt": "prompt templates are not supported; send the text itself",
}
_UNSUPPORTED_UNKNOWN = {
    "context_management": "contexts are not compacted by this gateway",
    "moderation": "responses are not moderated by this gateway; ask /v1/moderations",
    "prompt_cache_options": "the model's cache can't be steered",
}


@dataclass(slots=True)
class Plan:
    """All that answering takes.

    Attributes:
        request: As it was validated.
        chat: What is asked of the capability.
        response: The response as it begins: its id, and what it repeats of the request.
        input_items: The items of this turn, in full.
        labels: Names of tools, with the label under which their calls are shown.
        default_label: The label of tools that an agent brings itself.
        listings: Per label, the tools to list first: those that this conversation has not shown yet.
        approvals: Ids of approval requests that this conversation knows.
        summary: Whether reasoning is shown as a summary.
        code_outputs: Whether the outputs of code are shown.
        files: Files that the code has written in earlier turns.
        search_results: Whether the results of searches are shown.
        sources: By mark, what searches of earlier turns have found; None where the model can't search.
        asked: What a knowledge base is asked about vector stores, where it is what is called.
    """

    request: ResponseRequest
    chat: Chat
    response: Response
    input_items: list[ItemBody]
    labels: dict[str, str]
    default_label: str
    listings: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    approvals: frozenset[str] = frozenset()
    summary: bool = False
    code_outputs: bool = False
    files: tuple[ContainerFile, ...] = ()
    search_results: bool = False
    sources: Mapping[int, Source] | None = None
    asked: AskedStores | None = None


@dataclass(frozen=True, slots=True)
class AskedStores:
    """A question to a knowledge base about itself and vector stores.

    Attributes:
        tool: Searches the stores.
        question: What is asked.
        work: The same, with the conversation before it, for the knowledge base.
    """

    tool: FileSearch
    question: str
    work: KnowledgeWork


class Planner:
    """Plans responses.

    Args:
        catalog: What can be called.
        archive: Earlier responses.
        store: Whether responses are kept at all.
        containers: Where code is run; None for a gateway that runs none.
        searcher: Searches vector stores; None for a gateway that has none.
        attachments: Puts files into messages.
    """

    def __init__(
        self,
        catalog: Catalog,
        archive: ResponseArchive,
        *,
        store: bool,
        containers: Containers | None = None,
        searcher: VectorStoreSearcher | None = None,
        attachments: Attachments | None = None,
    ) -> None:
        self._catalog = catalog
        self._searcher = searcher
        self._attachments = attachments or Attachments()
        self._containers = containers
        self._archive = archive
        self._store = store

    async def plan(self, body: Mapping[str, Any], caller: Caller) -> Plan:
        """Understand a request.

        Raises:
            CallError: It is not a request for a response, asks for what the gateway can't do, or names what this
                caller can't see.
        """
        request = parse_request(body)
        kind = self._kind(request, caller)
        _check_supported(request)
        store = self._store and request.store is not False
        if request.background and not store:
            raise BadRequestError(
                "background responses are fetched later, so they need store to be true"
                + ("." if self._store else ", and this gateway stores none (store_responses)."),
                param="background",
            )
        tooling = read_tools(request, self._catalog, caller)
        _check_tools(request, tooling, kind)
        response_id = new_response_id()
        input_items = await complete_items(request.input, ItemIds(response_id, inputs=True), self._lookup(caller))
        conversation = Conversation(tooling.labels)
        items = [
            *(
                dict(item)
                for turn in await self._history(request.previous_response_id, caller)
                for item in (*turn.input_items, *turn.body.get("output", ()))
            ),
            *input_items,
        ]
        for item in items:
            conversation.add(item)
        interpreter = None
        if tooling.interpreter is not None:
            interpreter = await plan_interpreter(
                tooling.interpreter, tooling.interpreter_at, items, self._containers, caller
            )
        sources = None if tooling.search is None else found_earlier(items)
        search = await self._search(tooling, caller, sources or {})
        asks = search is not None and kind == "knowledge"
        given: tuple[RequestTool | None, ...] = (
            None if interpreter is None else interpreter.tool,
            None if asks else search,
        )
        own = tuple(tool for tool in given if tool is not None)
        messages = await self._attachments.attach(conversation.messages(), caller)
        chat = _chat(request, tooling, conversation, messages, kind, own)
        if asks and (capability := self._catalog.find(request.model)) is not None:
            # It is asked in another form, which has no place for what a chat can't have either.
            check_features(capability, chat)
        return Plan(
            request=request,
            chat=chat,
            response=_response(request, response_id, tooling, store=store),
            input_items=input_items,
            labels=tooling.labels,
            default_label=self._catalog.name or "polyport",
            listings={label: its for label, its in tooling.listings.items() if label not in conversation.listed},
            approvals=conversation.requested,
            summary=_wants_summary(request),
            code_outputs=OUTPUTS in (request.include or ()),
            files=interpreter.files if interpreter is not None else (),
            search_results=RESULTS in (request.include or ()),
            sources=None if asks else sources,
            asked=_asked(chat, search) if search is not None and asks else None,
        )

    async def _search(self, tooling: Tooling, caller: Caller, sources: Mapping[int, Source]) -> FileSearch | None:
        """Return the tool that searches the request's vector stores.

        Raises:
            UnsupportedOperationError: This gateway has none.
            NotFoundError: The caller has no such store.
            BadRequestError: A store has expired.
        """
        asked, where = tooling.search, tooling.search_at
        if asked is None or tooling.choice == "none":
            return None
        if self._searcher is None:
            raise UnsupportedOperationError("This gateway has no vector stores for file_search.", param=where)
        search = read_tool(asked)
        await self._searcher.check(search.stores, caller, param=f"{where}.vector_store_ids")
        return FileSearch(self._searcher, search, marked=max(sources, default=0))

    def _kind(self, request: ResponseRequest, caller: Caller) -> Kind:
        """Return what is called; a name that isn't there is left for the dispatcher to refuse, as on every wire.

        Raises:
            NotFoundError: It isn't there, and the call would run in the background.
        """
        if request.background:
            return self._catalog.resolve(request.model, caller).kind
        capability = self._catalog.find(request.model)
        return capability.kind if capability is not None and self._catalog.allows(request.model, caller) else "model"

    async def _history(self, previous: str | None, caller: Caller) -> list[StoredResponse]:
        if previous is None:
            return []
        turns = await self._archive.history(previous, caller.id)
        if not turns:
            raise BadRequestError(
                f"Previous response with id {previous!r} not found.",
                param="previous_response_id",
                code="previous_response_not_found",
            )
        if turns[-1].status in ("queued", "in_progress"):
            raise BadRequestError(
                f"Previous response with id {previous!r} is still being made; wait until its status is final.",
                param="previous_response_id",
                code="previous_response_in_progress",
            )
        return turns

    def _lookup(self, caller: Caller) -> Any:
        async def find(item_id: str) -> ItemBody:
            response_id = response_of_item(item_id)
            stored = await self._archive.get(response_id, caller.id) if response_id else None
            if stored is not None:
                for item in (*stored.input_items, *stored.body.get("output", ())):
                    if item.get("id") == item_id:
                        return dict(item)
            raise NotFoundError(
                f"Item with id {item_id!r} not found; only items of stored responses can be referenced.", param="input"
            )

        return find


def _check_supported(request: ResponseRequest) -> None:
    for name, why in _UNSUPPORTED.items():
        if getattr(request, name) is not None:
            raise UnsupportedParameterError(f"{name} is not supported: {why}.", param=name)
    for name, value in request.unknown.items():
        if name in _UNSUPPORTED_UNKNOWN and value is not None:
            raise UnsupportedParameterError(f"{name} is not supported: {_UNSUPPORTED_UNKNOWN[name]}.", param=name)
        if name in ChatRequest.model_fields:
            raise UnsupportedParameterError(
                f"{name} is a parameter of /v1/chat/completions, not of /v1/responses.", param=name
            )
    if request.truncation == "auto":
        raise UnsupportedParameterError(
            "truncation auto is not supported: this gateway drops nothing of a conversation; use disabled.",
            param="truncation",
        )
    check_include(request.include or ())
    _check_reasoning(request)
    for name in request.text.unknown if request.text else ():
        raise UnsupportedParameterError(f"text.{name} is not supported; leave it out.", param=f"text.{name}")


def check_include(included: Iterable[str]) -> None:
    """Refuse what there is not to be included.

    Raises:
        BadRequestError: It is unknown.
        UnsupportedParameterError: This gateway does not have it.
    """
    for include in included:
        if include not in _INCLUDES:
            known = ", ".join(sorted(_INCLUDES))
            raise BadRequestError(f"include names {include!r}; known are {known}.", param="include")
        if include == _ENCRYPTED:
            raise UnsupportedParameterError("Encrypted content is not supported with this model.", param="include")


def _check_reasoning(request: ResponseRequest) -> None:
    reasoning = request.reasoning
    if reasoning is None:
        return
    if "concise" in (reasoning.summary, reasoning.generate_summary):
        raise UnsupportedParameterError(
            "reasoning.summary concise is not supported: reasoning is shown whole; use auto or detailed.",
            param="reasoning.summary",
        )
    for name, value in reasoning.unknown.items():
        if value not in (None, "auto"):
            raise UnsupportedParameterError(
                f"reasoning.{name} is not supported; leave it out.", param=f"reasoning.{name}"
            )


def _check_tools(request: ResponseRequest, tooling: Tooling, kind: Kind) -> None:
    searches = tooling.search is not None and kind != "knowledge"
    if (tooling.listings or tooling.interpreter or searches) and kind != "model":
        raise UnsupportedParameterError(
            f"{request.model!r} is a {kind}; only a model takes tools of this gateway.", param="tools"
        )
    client = {tool["function"]["name"] for tool in tooling.client}
    if both := sorted(client & tooling.labels.keys()):
        raise BadRequestError(
            f"The tools {', '.join(map(repr, both))} are given as functions and are also tools of this gateway; "
            "rename yours.",
            param="tools",
        )
    for name, given in ((CODE_INTERPRETER, tooling.interpreter), (FILE_SEARCH, tooling.search)):
        if given is not None and name in client | tooling.labels.keys():
            raise BadRequestError(
                f"A tool is called {name!r} as OpenAI's own is, which is given too; rename it, or leave one out.",
                param="tools",
            )


def _chat(
    request: ResponseRequest,
    tooling: Tooling,
    conversation: Conversation,
    messages: list[dict[str, Any]],
    kind: Kind,
    own: tuple[RequestTool, ...],
) -> Chat:
    if request.instructions:
        messages.insert(0, {"role": "system", "content": request.instructions})
    if not messages:
        raise BadRequestError("input is empty: give a text or at least one item.", param="input")
    body: dict[str, Any] = {"model": request.model, "messages": messages}
    for name in _PASSED_ON:
        if (value := getattr(request, name)) is not None:
            body[name] = value
    body |= {name: value for name, value in request.unknown.items() if value is not None}
    body |= _renamed(request)
    if tooling.client:
        body["tools"] = tooling.client
    if tooling.choice is not None:
        body["tool_choice"] = tooling.choice
    if request.parallel_tool_calls is not None and tooling.any:
        body["parallel_tool_calls"] = request.parallel_tool_calls
    if request.stream or request.background:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    chat = Chat.from_body(body)
    return Chat(chat.request, body, _server_tools(request, tooling, conversation, kind, own))


def _asked(chat: Chat, search: FileSearch) -> AskedStores:
    messages = [
        {"role": message.role, "content": message.content} for message in chat.messages() if message.role != "tool"
    ]
    question = next((said["content"] for said in reversed(messages) if said["role"] == "user"), "")
    if not question.strip():
        raise BadRequestError("input asks nothing: its last user message has no text.", param="input")
    asked = search.asked
    request = AskRequest(
        messages=messages,
        knowledge=list(dict.fromkeys([chat.request.model, *asked.stores])),
        limit=asked.limit,
        filter=None if asked.filters is None else dict(asked.filters),
        mode=asked.mode,
        rerank=asked.rerank,
    )
    return AskedStores(search, question, KnowledgeWork(request))


def _renamed(request: ResponseRequest) -> dict[str, Any]:
    """Return the members that a chat has under another name."""
    body: dict[str, Any] = {}
    if request.max_output_tokens is not None:
        body["max_completion_tokens"] = request.max_output_tokens
    if request.top_logprobs or _LOGPROBS in (request.include or ()):
        body["logprobs"] = True
        if request.top_logprobs:
            body["top_logprobs"] = request.top_logprobs
    if request.reasoning is not None and request.reasoning.effort is not None:
        body["reasoning_effort"] = request.reasoning.effort
    if request.text is not None:
        if request.text.verbosity is not None:
            body["verbosity"] = request.text.verbosity
        if request.text.format is not None and request.text.format.get("type") != "text":
            body["response_format"] = _response_format(request.text.format)
    return body


def _response_format(given: Mapping[str, Any]) -> dict[str, Any]:
    kind = given.get("type")
    if kind != "json_schema":
        return dict(given)
    if not isinstance(given.get("name"), str) or not isinstance(given.get("schema"), dict):
        raise BadRequestError(
            "text.format of type json_schema needs name (a string) and schema (an object).", param="text.format"
        )
    return {"type": "json_schema", "json_schema": {key: value for key, value in given.items() if key != "type"}}


def _server_tools(
    request: ResponseRequest,
    tooling: Tooling,
    conversation: Conversation,
    kind: Kind,
    own: tuple[RequestTool, ...],
) -> ServerTools | None:
    if tooling.labels or own:
        return ServerTools(
            names=frozenset(tooling.labels),
            label=next(iter(tooling.listings), "polyport"),
            approve=frozenset(tooling.approve),
            approved=dict(conversation.approved),
            max_calls=request.max_tool_calls,
            own=own,
        )
    if kind == "agent" and request.max_tool_calls is not None:
        return ServerTools(names=frozenset(), max_calls=request.max_tool_calls)
    return None


def _wants_summary(request: ResponseRequest) -> bool:
    reasoning = request.reasoning
    return reasoning is not None and (reasoning.summary or reasoning.generate_summary) is not None


def _response(request: ResponseRequest, response_id: str, tooling: Tooling, *, store: bool) -> Response:
    text: dict[str, Any] = {"format": (request.text and request.text.format) or {"type": "text"}}
    if request.text is not None and request.text.verbosity is not None:
        text["verbosity"] = request.text.verbosity
    reasoning = request.reasoning
    members: dict[str, Any] = {
        name: value
        for name in (
            "instructions",
            "max_output_tokens",
            "max_tool_calls",
            "metadata",
            "parallel_tool_calls",
            "previous_response_id",
            "presence_penalty",
            "frequency_penalty",
            "prompt_cache_key",
            "safety_identifier",
            "service_tier",
            "temperature",
            "tool_choice",
            "top_logprobs",
            "top_p",
            "user",
        )
        if (value := getattr(request, name)) is not None
    }
    if reasoning is not None:
        summary = reasoning.summary or reasoning.generate_summary
        members["reasoning"] = {"effort": reasoning.effort, "summary": summary}
    return Response(
        id=response_id,
        created_at=int(time.time()),
        status="queued" if request.background else "in_progress",
        background=bool(request.background),
        model=request.model,
        store=store,
        text=text,
        tools=tooling.shown,
        **members,
    )

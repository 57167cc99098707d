"""The tool loop: a model takes turns, the gateway makes the calls it asks for.

Each turn and each tool call is a `Call` of its own through the same dispatcher, so limits, deadlines,
access rules and records hold for it as for any other. What the loop promises:

- text and reasoning go out as they come; calls of one turn run in parallel; results go back to the model, and
  out as events, in the order in which the model asked;
- a tool that fails, arguments that are no JSON and unknown names are told to the model, which may mend them;
- tokens of all turns and tools are summed into one `Usage`; one `Finish` ends the stream;
- when a turn also calls tools of the client's, the gateway's are run first, then the turn finishes with
  ``tool_calls``; the client's calls went out as deltas. A call that waits for approval ends the turn likewise,
  with ``stop``, after those of the same turn that need none;
- leaving the stream cancels everything that runs.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from polyport.errors import CallCancelledError, DeadlineExceededError, InternalServerError
from polyport.events import (
    ApprovalRequest,
    Finish,
    FinishReason,
    Log,
    Progress,
    ServerToolCall,
    ServerToolDelta,
    ServerToolResult,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from polyport_gateway.agents.approvals import find_open_calls
from polyport_gateway.agents.parallel import Outcome, OwnCall, Runnable, closing, run_calls
from polyport_gateway.agents.tools import ToolRequest, ToolTable
from polyport_gateway.agents.turn import Turn
from polyport_gateway.call import Arguments, Call, CallEvent, Chat, ServerTools
from polyport_gateway.catalog.capability import Capability

__all__ = ["MAX_DEPTH", "run_loop"]

MAX_DEPTH = 8
"""How deep agents may call agents."""

_OWN_MEMBERS = frozenset({"model", "messages", "tools", "stream", "stream_options", "max_tool_calls"})
_ENDED_EARLY = frozenset({"length", "content_filter"})


async def run_loop(
    call: Call,
    *,
    model: str,
    chat: Chat,
    tools: Sequence[Capability],
    instructions: str | None = None,
    max_steps: int,
    server_tools: ServerTools | None = None,
    granted: frozenset[str] = frozenset(),
) -> AsyncGenerator[CallEvent, None]:
    """Continue a conversation with a model that has tools.

    Args:
        call: The call that this answers; turns and tool calls become its children.
        model: Name of the model that takes the turns.
        chat: The conversation; its ``tools`` are the client's and go to the model beside `tools`.
        tools: What the gateway calls by itself.
        instructions: A system prompt put before the conversation.
        max_steps: The most turns.
        server_tools: Approvals and the limit of tool calls; none of either by default.
        granted: Names that the children may reach whatever the caller's allow-list says.

    Raises:
        BadRequestError: A tool of the client's has the name of one of ours.
        InternalServerError: ``step_limit``: the model still wants tools after `max_steps` turns; ``agent_depth``:
            agents call each other too deep.
        CallError: The model failed.
    """
    if call.depth >= MAX_DEPTH:
        raise InternalServerError(
            f"{call.name!r} was not run: agents may call each other {MAX_DEPTH} deep, and this call is deeper. "
            "Give the agents fewer agents as tools.",
            code="agent_depth",
        )
    loop = _Loop(call, model, chat, tools, instructions, server_tools or ServerTools(), granted)
    async with aclosing(loop.run(max_steps)) as events:
        async for event in events:
            yield event


class _Loop:
    """The state of one loop: the conversation as it grows, what was spent, what is still allowed."""

    def __init__(
        self,
        call: Call,
        model: str,
        chat: Chat,
        tools: Sequence[Capability],
        instructions: str | None,
        server_tools: ServerTools,
        granted: frozenset[str],
    ) -> None:
        self._call = call
        self._model = model
        self._server_tools = server_tools
        self._granted = granted
        self._table = ToolTable(tools, chat.request.tools or [], server_tools.own)
        self._body = self._base_body(chat)
        self._messages = [self._as_model_knows(message) for message in chat.body["messages"]]
        if instructions:
            self._messages.insert(0, {"role": "system", "content": instructions})
        self._usage: Usage | None = None
        self._calls_made = 0
        self._news = 0

    def _base_body(self, chat: Chat) -> dict[str, Any]:
        """Return what every turn's request has in common."""
        body = {key: value for key, value in chat.body.items() if key not in _OWN_MEMBERS}
        body["model"] = self._model
        if "tool_choice" in body:
            body["tool_choice"] = self._table.alias_choice(body["tool_choice"])
        if definitions := [*(chat.body.get("tools") or []), *self._table.definitions]:
            body["tools"] = definitions
        if chat.stream:
            body["stream"] = True
            body["stream_options"] = {"include_usage": True}
        return body

    def _as_model_knows(self, message: dict[str, Any]) -> dict[str, Any]:
        """Return a message with our tools under the names that the model knows them by."""
        if not message.get("tool_calls"):
            return dict(message)
        calls = []
        for call in message["tool_calls"]:
            function = call.get("function")
            if function:
                call = {**call, "function": {**function, "name": self._table.alias(function["name"])}}
            calls.append(call)
        return {**message, "tool_calls": calls}

    async def run(self, max_steps: int) -> AsyncGenerator[CallEvent, None]:
        """Take turns until one needs no tools."""
        waiting: list[ToolRequest] = []
        async with aclosing(self._resume(waiting)) as events:
            async for event in events:
                yield event
        reason: FinishReason | None = "stop" if waiting else None
        step = 0
        while reason is None:
            step += 1
            self._check_time()
            turn = Turn(self._table)
            async with aclosing(self._take(turn)) as events:
                async for event in events:
                    yield event
            requests = [] if turn.reason in _ENDED_EARLY else turn.requests
            waiting = [request for request in requests if self._waits(request)]
            reason = _end_of(turn, requests, waiting)
            runnable = [request for request in requests if request not in waiting]
            if reason is None and step >= max_steps:
                raise self._step_limit(max_steps, runnable)
            self._messages.append(turn.message())
            async with aclosing(self._make(runnable, len(self._messages))) as events:
                async for event in events:
                    yield event
            # A choice that forces a tool holds for the first turn; kept, the loop would never end.
            if self._body.get("tool_choice") not in (None, "auto", "none"):
                del self._body["tool_choice"]
        for request in waiting:
            yield ApprovalRequest(request.id, request.name, request.arguments)
        if self._usage is not None:
            yield self._usage
        yield Finish(reason)

    async def _take(self, turn: Turn) -> AsyncGenerator[CallEvent, None]:
        """Let the model take a turn."""
        chat = Chat.from_body({**self._body, "messages": list(self._messages)})
        async with closing(self._call.child(self._model, chat, granted=self._granted).run()) as events:
            async for event in events:
                match event:
                    case Usage():
                        self._spend(event)
                    case Finish():
                        turn.reason = event.reason
                    case ToolCallDelta():
                        for delta in turn.add(event):
                            yield delta
                        if (piece := turn.own_piece(event)) and not self._spent_all_calls(piece.place):
                            session = await piece.tool.open()
                            yield ServerToolDelta(piece.id, piece.tool.name, piece.arguments, session)
                    case TextDelta():
                        turn.text.append(event.text)
                        yield event
                    case Progress():
                        yield self._in_order(event)
                    case _:
                        yield event

    async def _resume(self, waiting: list[ToolRequest]) -> AsyncGenerator[CallEvent, None]:
        """Answer the calls that earlier turns left open; those without a decision are added to `waiting`."""
        # Last message first, so that the positions of those before stay true.
        for calls in reversed(find_open_calls(self._messages, self._table, self._server_tools)):
            answers = [_tool_message(id_, text) for id_, text in calls.answers.items()]
            self._messages[calls.position : calls.position] = answers
            async with aclosing(self._make(calls.run, calls.position + len(answers))) as events:
                async for event in events:
                    yield event
            waiting.extend(calls.waiting)

    async def _make(self, requests: Sequence[ToolRequest], position: int) -> AsyncGenerator[CallEvent, None]:
        """Make calls in parallel and put their results into the conversation at `position`."""
        outcomes: dict[int, Outcome] = {}
        children: list[Runnable] = []
        at: list[int] = []
        ignored: set[int] = set()
        for index, request in enumerate(requests):
            if self._spent_all_calls():
                # OpenAI's max_tool_calls: further attempts are ignored. The model is told, so that it goes on.
                ignored.add(index)
                limit = self._server_tools.max_calls
                outcomes[index] = Outcome(f"Not called: the limit of {limit} tool calls is used up.", error=True)
                continue
            self._calls_made += 1
            own = self._table.own(request.name)
            session = await own.open() if own is not None else None
            yield ServerToolCall(request.id, request.name, request.arguments, session)
            child = self._child(request)
            if isinstance(child, Outcome):
                outcomes[index] = child
            else:
                children.append(child)
                at.append(index)
        shown = 0
        async with aclosing(run_calls(children)) as news:
            async for item in news:
                if isinstance(item, Progress):
                    yield self._in_order(item)
                elif isinstance(item, Log):
                    yield item
                else:
                    outcomes[at[item[0]]] = item[1]
                    self._spend(item[1].usage)
                    while shown in outcomes:
                        if shown not in ignored:
                            yield _shown(requests[shown], outcomes[shown])
                        shown += 1
        for index in range(shown, len(requests)):
            if index not in ignored:
                yield _shown(requests[index], outcomes[index])
        self._messages[position:position] = [
            _tool_message(request.id, outcomes[index].output) for index, request in enumerate(requests)
        ]

    def _child(self, request: ToolRequest) -> Runnable | Outcome:
        """Return the call that a request asks for, or what is wrong with it."""
        if (own := self._table.own(request.name)) is not None:
            return OwnCall(own, self._call, request.arguments)
        values = self._table.parse(request)
        if isinstance(values, str):
            return Outcome(values, error=True)
        return self._call.child(request.name, Arguments(values), granted=self._granted)

    def _waits(self, request: ToolRequest) -> bool:
        return self._table.is_ours(request.name) and self._server_tools.needs_approval(request.name)

    def _spent_all_calls(self, more: int = 0) -> bool:
        limit = self._server_tools.max_calls
        return limit is not None and self._calls_made + more >= limit

    def _spend(self, usage: Usage | None) -> None:
        if usage is not None:
            self._usage = usage if self._usage is None else self._usage + usage

    def _in_order(self, event: Progress) -> Progress:
        """Number progress anew: it comes from several tools, and its receiver wants it to grow."""
        self._news += 1
        return Progress(self._news, None, event.message)

    def _check_time(self) -> None:
        if not self._call.cancelled:
            return
        if self._call.remaining() == 0.0:
            raise DeadlineExceededError(
                f"The call of {self._call.name!r} took longer than its deadline and was cancelled."
            )
        raise CallCancelledError(f"The call of {self._call.name!r} was cancelled.")

    def _step_limit(self, max_steps: int, requests: Sequence[ToolRequest]) -> InternalServerError:
        wanted = ", ".join(sorted({request.name for request in requests}))
        return InternalServerError(
            f"{self._call.name!r} gave no answer within {max_steps} model turns: the last one still asks for {wanted}. "
            "Ask for less in one go, or register an agent with a larger max_steps.",
            code="step_limit",
        )


def _end_of(turn: Turn, requests: Sequence[ToolRequest], waiting: Sequence[ToolRequest]) -> FinishReason | None:
    """Return how the whole answer ends with this turn; None if the model goes on."""
    if turn.reason in _ENDED_EARLY:
        return turn.reason
    if turn.has_client_calls:
        return "tool_calls"
    if waiting or not requests:
        return "stop"
    return None


def _tool_message(id_: str, text: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id_, "content": text}


def _shown(request: ToolRequest, outcome: Outcome) -> ServerToolResult:
    return ServerToolResult(request.id, request.name, outcome.output, error=outcome.error, value=outcome.value)

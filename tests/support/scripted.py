"""A dispatcher that plays scripts: what each name answers, turn by turn."""

import inspect
import json
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field

from polyport.errors import NotFoundError
from polyport.events import Finish, Result, TextDelta, ToolCallDelta, Usage
from polyport_gateway.call import LOCAL, Call, Chat
from polyport_gateway.catalog.capability import ALL_FEATURES, CHAT_TOOL, ToolSchema


def text(*pieces, usage=None, reason="stop"):
    """A turn that says something."""
    return [*(TextDelta(piece) for piece in pieces), *([usage] if usage else []), Finish(reason)]


def tool_calls(*calls, before=(), usage=None, reason="tool_calls"):
    """A turn that asks for tools: (id, name, arguments), arguments as a dict or as JSON text."""
    events = [TextDelta(piece) for piece in before]
    for index, (id_, name, arguments) in enumerate(calls):
        raw = arguments if isinstance(arguments, str) else json.dumps(arguments)
        half = len(raw) // 2
        events.append(ToolCallDelta(index=index, id=id_, name=name, arguments=raw[:half]))
        events.append(ToolCallDelta(index=index, arguments=raw[half:]))
    return [*events, *([usage] if usage else []), Finish(reason)]


@dataclass
class ScriptedDispatch:
    """Answers each model from its list of turns and each tool from its function; keeps every call."""

    turns: dict[str, Iterable] = field(default_factory=dict)
    tools: dict[str, Callable] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    def __post_init__(self):
        self._turns = {name: iter(turns) for name, turns in self.turns.items()}

    async def stream(self, call: Call) -> AsyncIterator:
        self.calls.append(call)
        if call.name in self._turns:
            turn = next(self._turns[call.name])
            for event in turn(call) if callable(turn) else turn:
                if isinstance(event, Exception):
                    raise event
                yield event
            return
        if call.name not in self.tools:
            raise NotFoundError(f"no {call.name}", code="model_not_found")
        answer = self.tools[call.name](call)
        if inspect.isasyncgen(answer):
            async for event in answer:
                yield event
            return
        if inspect.isawaitable(answer):
            answer = await answer
        yield Result(answer, answer if isinstance(answer, str) else json.dumps(answer))
        yield Finish()

    def bodies(self, model):
        """What the model was asked, turn by turn."""
        return [call.input.body for call in self.calls if call.name == model]


class FakeCapability:
    """A name in a catalogue."""

    def __init__(
        self, name, *, kind="function", operations=("tool",), features=ALL_FEATURES, description="", tool=None
    ):
        self.name, self.kind, self.description = name, kind, description or f"Does {name}."
        self.operations = frozenset(operations)
        self.features = features
        self.tool = tool or (CHAT_TOOL if "chat" in operations else ToolSchema(input={"type": "object"}))
        self.timeout = None

    def invoke(self, call):
        raise AssertionError("called past the dispatcher")

    async def start(self): ...

    async def close(self): ...


def model(name="m", features=ALL_FEATURES):
    return FakeCapability(name, kind="model", operations=("chat",), features=features)


def make_call(dispatch, name="agent", messages=None, **options):
    body = {"model": name, "messages": messages or [{"role": "user", "content": "hi"}], **options.pop("body", {})}
    chat = Chat.from_body(body)
    if server_tools := options.pop("server_tools", None):
        chat = Chat(chat.request, chat.body, server_tools)
    options = {"caller": LOCAL, "wire": "test", "request_id": "req_1", **options}
    return Call(name=name, input=chat, dispatch=dispatch, **options)


async def collect(events):
    return [event async for event in events]


USAGE = Usage(prompt_tokens=10, completion_tokens=2)

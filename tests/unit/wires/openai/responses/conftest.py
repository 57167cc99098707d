"""The wire by itself: an ASGI client without a socket, over scripted capabilities."""

import asyncio
import json
from dataclasses import dataclass, field

import pytest

from polyport_gateway.call import Caller
from polyport_gateway.catalog import Catalog
from polyport_gateway.jobs.responses import MemoryResponseStore
from polyport_gateway.settings import Settings
from polyport_gateway.wires.http import RequestInfo
from polyport_gateway.wires.openai.responses.wire import ResponsesWire
from polyport_gateway.wires.router import Router
from tests.support.scripted import FakeCapability, ScriptedDispatch, model


@dataclass
class Answer:
    status: int = 0
    body: bytes = b""
    headers: dict = field(default_factory=dict)

    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json()["error"]

    def events(self):
        """Every SSE event; its `event:` line must name the type in its data."""
        found = []
        for frame in self.body.decode().split("\n\n"):
            if not frame:
                continue
            name, data = frame.split("\n")
            event = json.loads(data.removeprefix("data: "))
            assert name == f"event: {event['type']}"
            found.append(event)
        assert [event["sequence_number"] for event in found] == list(range(len(found)))
        return found

    def types(self):
        return [event["type"] for event in self.events()]


class Wire:
    """The wire, and what it stands on."""

    def __init__(self, turns=None, capabilities=(), settings=None, store=None):
        self.dispatch = ScriptedDispatch(turns=turns or {})
        self.catalog = Catalog("shop")
        for capability in capabilities or (model("m"),):
            self.catalog.add(capability)
        self.store = store or MemoryResponseStore()
        self.wire = ResponsesWire(self.dispatch, self.catalog, settings or Settings(), self.store)
        self.router = Router(self.wire.routes)

    async def request(self, method, path, body=None, caller="local", allow=None, receive=None):
        answer = Answer()
        path, _, query = path.partition("?")
        scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": []}
        scope["polyport"] = RequestInfo("req_1", Caller(caller, caller, allow))
        sent = [{"type": "http.request", "body": json.dumps(body or {}).encode()}]

        async def given():
            if not sent:
                await asyncio.Event().wait()
            return sent.pop()

        async def send(message):
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = dict(message["headers"])
            else:
                answer.body += message["body"]

        await self.router(scope, receive or given, send)
        return answer

    async def create(self, given="hi", **members):
        caller = {key: members.pop(key) for key in ("caller", "allow", "receive") if key in members}
        return await self.request("POST", "/v1/responses", {"model": "m", "input": given, **members}, **caller)

    def messages(self, turn=-1):
        """What the model was asked."""
        return self.dispatch.bodies("m")[turn]["messages"]

    def chat(self, turn=-1):
        return self.dispatch.calls[turn].input


@pytest.fixture
def shop():
    """A catalogue with a model, two functions, a pipeline and an agent."""
    from polyport.declarations import Annotations
    from polyport_gateway.catalog.capability import ToolSchema

    look = ToolSchema(input={"type": "object", "properties": {}}, annotations=Annotations(read_only=True))
    return (
        model("m"),
        FakeCapability("look", tool=look),
        FakeCapability("sell"),
        FakeCapability("ask", kind="pipeline", operations=("chat",), features=frozenset()),
        FakeCapability("helper", kind="agent", operations=("chat",)),
    )


@pytest.fixture
def make_wire():
    return Wire

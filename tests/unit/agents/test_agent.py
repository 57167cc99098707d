import pytest

from polyport.declarations import AgentDeclaration
from polyport.errors import BadRequestError, ConfigurationError, UnsupportedParameterError
from polyport.events import Finish, ServerToolResult, TextDelta
from polyport_gateway.agents import AgentCapability, check_agents, with_server_tools
from polyport_gateway.call import Caller, ServerTools
from polyport_gateway.catalog import Capability, Catalog
from tests.support.scripted import FakeCapability, ScriptedDispatch, collect, make_call, model, text, tool_calls


def catalog(*capabilities, agents=()):
    found = Catalog("test")
    for agent in agents:
        found.add(AgentCapability(agent, found))
    for capability in capabilities:
        found.add(capability)
    return found


def agent(name="helper", model="m", tools=(), **options):
    return AgentDeclaration(name=name, model=model, tools=tuple(tools), **options)


class TestAgent:
    def test_is_a_capability(self):
        found = catalog(model(), agents=[agent()])
        assert isinstance(found.find("helper"), Capability)

    @pytest.mark.parametrize(
        ("declaration", "message"),
        [
            (agent(model="nope"), "there is no model 'nope'"),
            (agent(tools=["ad"]), "there is no tool 'ad'; did you mean 'add'?"),
            (agent(model="add"), "its model 'add' is a function that doesn't chat"),
            (agent(model="plain", tools=["add"]), "'plain' can't call tools"),
            (agent(tools=["helper"]), "uses itself: helper → helper"),
            (agent(tools=["other"]), "uses itself: helper → other → helper"),
        ],
    )
    def test_a_wrong_declaration_is_named(self, declaration, message):
        found = catalog(
            model(),
            model("plain", features=frozenset({"stop"})),
            FakeCapability("add"),
            agents=[declaration, agent("other", tools=["helper"])],
        )
        with pytest.raises(ConfigurationError, match=r"agent '(helper|other)'") as caught:
            check_agents(found)
        assert message in str(caught.value)

    def test_honours_no_more_than_its_model(self):
        found = catalog(model("plain", features=frozenset({"stop", "n"})), agents=[agent(model="plain")])
        check_agents(found)
        assert found.find("helper").features == {"stop"}

    @pytest.mark.anyio
    async def test_opens_its_model_and_tools_to_a_caller_who_may_use_it_alone(self):
        found = catalog(model(), FakeCapability("add"), agents=[agent(tools=["add"], instructions="Add.")])
        dispatch = ScriptedDispatch({"m": [tool_calls(("c", "add", {})), text("x")]}, {"add": lambda call: "3"})
        call = make_call(dispatch, "helper", caller=Caller("k", "k", frozenset({"helper"})))
        events = await collect(found.find("helper").invoke(call))
        assert events[-3:] == [ServerToolResult("c", "add", "3"), TextDelta("x"), Finish("stop")]
        assert all(call.granted == {"m", "add"} for call in dispatch.calls)
        for child in dispatch.calls:
            assert found.resolve(child.name, child.caller, granted=child.granted)

    def test_takes_no_tools_from_a_request(self):
        found = catalog(model(), agents=[agent()])
        tool = {"type": "function", "function": {"name": "mine"}}
        with pytest.raises(UnsupportedParameterError, match="takes none from a request"):
            found.find("helper").invoke(make_call(None, "helper", body={"tools": [tool]}))
        with pytest.raises(UnsupportedParameterError, match="takes no others"):
            found.find("helper").invoke(make_call(None, "helper", server_tools=ServerTools()))

    @pytest.mark.anyio
    async def test_a_caller_cant_approve_calls_it_made_up(self):
        found = catalog(model(), FakeCapability("add"), agents=[agent(tools=["add"])])
        dispatch = ScriptedDispatch({"m": [text("x")]}, {"add": lambda call: "3"})
        messages = [
            {"role": "user", "content": "hi"},
            {
                "role": "assistant",
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "add", "arguments": "{}"}}],
            },
        ]
        given = ServerTools(names=frozenset(), approved={"c": True})
        await collect(found.find("helper").invoke(make_call(dispatch, "helper", messages, server_tools=given)))
        assert [call.name for call in dispatch.calls] == ["m"]


class TestServerTools:
    @pytest.mark.anyio
    async def test_offers_what_the_caller_sees_without_the_model_itself(self):
        found = catalog(
            model(), FakeCapability("add"), FakeCapability("secret"), FakeCapability("e", operations=("embedding",))
        )
        dispatch = ScriptedDispatch({"m": [text("x")]})
        caller = Caller("k", "k", frozenset({"m", "add", "e"}))
        call = make_call(dispatch, "m", caller=caller, server_tools=ServerTools())
        await collect(with_server_tools(found.find("m"), found).invoke(call))
        assert [tool["function"]["name"] for tool in dispatch.bodies("m")[0]["tools"]] == ["add"]
        assert dispatch.calls[0].input.server_tools is None

    @pytest.mark.parametrize("name", ["secret", "missing", "m"])
    def test_unknown_and_forbidden_names_look_alike(self, name):
        found = catalog(model(), FakeCapability("secret"))
        caller = Caller("k", "k", frozenset({"m"}))
        call = make_call(None, "m", caller=caller, server_tools=ServerTools(names=frozenset({name})))
        with pytest.raises(BadRequestError) as caught:
            with_server_tools(found.find("m"), found).invoke(call)
        assert caught.value.message == f"The tool '{name}' does not exist or you do not have access to it."
        assert caught.value.code == "tool_not_found"

    @pytest.mark.parametrize(
        ("features", "body", "param"),
        [
            (frozenset({"stop"}), {}, "tools"),
            (frozenset({"*"}), {"n": 2}, "n"),
            (frozenset({"*"}), {"functions": [{"name": "f"}]}, "functions"),
        ],
    )
    def test_refuses_what_the_loop_cant_do(self, features, body, param):
        found = catalog(model(features=features))
        call = make_call(None, "m", body=body, server_tools=ServerTools())
        with pytest.raises(UnsupportedParameterError) as caught:
            with_server_tools(found.find("m"), found).invoke(call)
        assert caught.value.param == param

    def test_only_models_take_them(self):
        found = catalog(FakeCapability("add"))
        with pytest.raises(UnsupportedParameterError, match="only a model"):
            with_server_tools(found.find("add"), found)

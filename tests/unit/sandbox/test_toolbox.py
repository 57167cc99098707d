from __future__ import annotations

import ast
import asyncio
import contextlib
import json
import logging
import secrets
import struct
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyport.errors import ConfigurationError, PermissionDeniedError
from polyport_sandbox import InvalidRunError, Sandbox, ToolDescription, ToolLimits
from polyport_sandbox.inside.sources import tools_module
from polyport_sandbox.toolbox import BoundedToolHost, serve_tools
from tests.support.channels import MemoryChannel, StreamChannel, channel_pair
from tests.support.scripted_sandbox import ScriptedProvider

ADD = {
    "type": "object",
    "properties": {"a": {"type": "integer", "description": "the first"}, "b": {"type": "integer", "default": 10}},
    "required": ["a"],
}


class Host:
    """Tools that do what their name says."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.cancelled = 0
        self.running = self.most_running = 0
        self.described = 0

    def describe(self) -> Sequence[ToolDescription]:
        self.described += 1
        names = ("echo", "slow", "deny", "misuse", "crash", "nothing-json", "large", "files.read")
        return [
            ToolDescription("add", "Add two integers.", ADD),
            *(ToolDescription(name, name, {"type": "object"}) for name in names),
            ToolDescription(
                "odd", "Odd names.", {"properties": {"from": {"type": "string"}, "x-y": {}, "z": {}}, "required": ["z"]}
            ),
        ]

    async def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        self.calls.append((name, arguments))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            return await self.answer(name, arguments)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1

    async def answer(self, name: str, arguments: Mapping[str, Any]) -> Any:
        await asyncio.sleep(0)
        if name == "add":
            return arguments["a"] + arguments.get("b", 10)
        if name == "slow":
            await asyncio.sleep(arguments.get("seconds", 0.1))
        if name == "deny":
            raise PermissionDeniedError("Not for you.", request_id="req_1")
        if name == "misuse":
            raise ConfigurationError("A setting is wrong.")
        if name == "crash":
            raise RuntimeError("password=hunter2")
        if name == "nothing-json":
            return {1, 2}
        if name == "large":
            return "x" * arguments["bytes"]
        return dict(arguments)


@contextlib.asynccontextmanager
async def served(host: Any, limits: ToolLimits | None = None) -> AsyncIterator[MemoryChannel]:
    inside, outside = channel_pair()
    task = asyncio.create_task(serve_tools(outside, host, limits=limits))
    try:
        yield inside
    finally:
        await inside.aclose()
        await asyncio.wait_for(task, 5)


async def ask(channel: MemoryChannel, request: Any) -> Any:
    data = request if isinstance(request, bytes) else json.dumps(request).encode()
    await channel.write(struct.pack(">I", len(data)) + data)
    (length,) = struct.unpack(">I", await channel.read_exactly(4))
    return json.loads(await channel.read_exactly(length))


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"op": "call", "name": name, "arguments": arguments}


@pytest.mark.anyio
async def test_tools_are_listed_and_called():
    host = Host()
    async with served(host) as channel:
        tools = (await ask(channel, {"op": "tools"}))["tools"]
        assert tools[0] == {"name": "add", "description": "Add two integers.", "input": ADD}
        assert await ask(channel, call("add", a=1, b=2)) == {"result": 3}
        assert await ask(channel, call("echo", text="文本\0\n", deep=[{"x": None}])) == {
            "result": {"text": "文本\0\n", "deep": [{"x": None}]}
        }
        await ask(channel, {"op": "tools"})
    assert host.described == 1


@pytest.mark.anyio
async def test_what_goes_wrong_becomes_a_message(caplog: pytest.LogCaptureFixture):
    async with served(Host()) as channel:
        assert await ask(channel, call("deny")) == {"error": "Not for you."}
        assert await ask(channel, call("misuse")) == {"error": "A setting is wrong."}
        assert "no tool 'nope'; there are: add, " in (await ask(channel, call("nope")))["error"]
        with caplog.at_level(logging.ERROR):
            assert await ask(channel, call("crash")) == {"error": "The tool failed."}
        assert "'crash'" in caplog.text
        assert await ask(channel, call("nothing-json")) == {"error": "The tool gave a result that is not JSON."}
        assert await ask(channel, call("add", a=1)) == {"result": 11}  # and the connection still stands


@pytest.mark.anyio
@pytest.mark.parametrize(
    "request_",
    [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"op":"run"}', b'{"op":"call"}',
     b'{"op":"call","name":1,"arguments":{}}', b'{"op":"call","name":"add","arguments":[]}', b"9" * 5000],
)  # fmt: skip
async def test_nonsense_is_answered_and_calls_nothing(request_: bytes):
    host = Host()
    async with served(host) as channel:
        assert list(await ask(channel, request_)) == ["error"]
        assert host.calls == []
        assert await ask(channel, call("add", a=1)) == {"result": 11}


@pytest.mark.anyio
async def test_requests_and_results_are_bounded():
    async with served(Host(), ToolLimits(request_bytes=100, response_bytes=100)) as channel:
        assert "more than the 100 allowed" in (await ask(channel, call("echo", x="y" * 200)))["error"]
        assert await ask(channel, call("large", bytes=50)) == {"result": "x" * 50}
        assert "more than the 100 allowed" in (await ask(channel, call("large", bytes=200)))["error"]
        await channel.write(struct.pack(">I", 0xFFFFFFFF))
        assert await channel.read(1) == b""  # this one ends the connection


@pytest.mark.anyio
async def test_calls_are_bounded_over_all_connections():
    host = Host()
    bounded = BoundedToolHost(host, ToolLimits(calls=6, in_flight=2))

    async def one() -> Any:
        async with served(bounded) as channel:
            return await ask(channel, call("slow", seconds=0.02))

    answers = await asyncio.gather(*(one() for _ in range(8)))
    assert host.most_running == 2
    assert sum("result" in answer for answer in answers) == 6
    assert sum("its 6 tool calls" in answer.get("error", "") for answer in answers) == 2
    bounded.renew()
    assert "result" in await one()


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["close", "speak"])
async def test_a_call_ends_with_its_connection(how: str):
    host = Host()
    inside, outside = channel_pair()
    task = asyncio.create_task(serve_tools(outside, host))
    data = json.dumps(call("slow", seconds=60)).encode()
    await inside.write(struct.pack(">I", len(data)) + data)
    async with asyncio.timeout(2):
        while not host.running:
            await asyncio.sleep(0.001)
        await (inside.aclose() if how == "close" else inside.write(b"out of turn"))
        await task
    assert (host.running, host.cancelled) == (0, 1)
    assert outside.closed


@pytest.mark.anyio
async def test_the_facade_bounds_what_it_hands_on():
    host, provider = Host(), ScriptedProvider()
    async with Sandbox(provider, tool_limits=ToolLimits(calls=2)) as box:
        assert (await box.run('call add {"a": 1}\ncall add {"a": 2}', tools=host)).stdout == b"11\n12\n"
        with pytest.raises(InvalidRunError, match="its 2 tool calls"):
            await box.run('call add {"a": 1}\n' * 3, tools=host)
        async with box.session(tools=host) as session:
            for _ in range(3):  # counted anew for each cell
                assert (await session.run('call add {"a": 1}\n' * 2)).stdout == b"11\n" * 2
    with pytest.raises(InvalidRunError, match="in_flight is 0"):
        ToolLimits(in_flight=0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=6), st.integers(1, 7))
def test_whatever_arrives_the_host_answers_or_ends(pieces: list[bytes], step: int):
    async def main() -> None:
        host = Host()
        inside, outside = channel_pair()
        task = asyncio.create_task(serve_tools(outside, host))
        data = b"".join(pieces)
        with contextlib.suppress(ConnectionError):
            for at in range(0, len(data), step):
                await inside.write(data[at : at + step])
        await inside.aclose()
        await asyncio.wait_for(task, 5)
        assert host.calls == []

    asyncio.run(main())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.text(max_size=5), st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=8),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
            max_leaves=6,
        ), max_size=4),
        max_size=5,
    ),
    st.integers(1, 9),
)  # fmt: skip
def test_frames_arrive_whole_however_they_are_cut(values: list[dict[str, Any]], step: int):
    async def main() -> None:
        async with served(Host()) as channel:
            for value in values:
                data = json.dumps(call("echo") | {"arguments": value}).encode()
                framed = struct.pack(">I", len(data)) + data
                for at in range(0, len(framed), step):
                    await channel.write(framed[at : at + step])
                    await asyncio.sleep(0)
                (length,) = struct.unpack(">I", await channel.read_exactly(4))
                assert json.loads(await channel.read_exactly(length)) == {"result": value}

    asyncio.run(main())


def test_the_module_is_python_3_9_and_stands_alone():
    tree = ast.parse(tools_module(), feature_version=(3, 9))
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    found |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in found} <= sys.stdlib_module_names


@pytest.fixture
async def inside(tmp_path: Path) -> AsyncIterator[Any]:
    """Run Python with the module, its connections served as the supervisor hands them on."""
    address = f"\0polyport-tools-{secrets.token_hex(8)}"
    (tmp_path / "polyport_tools.py").write_text(
        tools_module().replace(r'"\0polyport-tools"', repr(address)), encoding="utf-8"
    )
    host = Host()
    bounded = BoundedToolHost(host, ToolLimits(in_flight=4))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve_tools(StreamChannel(reader, writer), bounded)

    async def run(code: str, *, kill_when: Any = None) -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        if kill_when is not None:
            async with asyncio.timeout(10):
                while not kill_when():
                    await asyncio.sleep(0.01)
            process.kill()
        out, _ = await asyncio.wait_for(process.communicate(), 30)
        return out.decode()

    run.host = host  # type: ignore[attr-defined]
    async with await asyncio.start_unix_server(serve, address):
        yield run


@pytest.mark.anyio
async def test_python_sees_plain_functions(inside: Any):
    out = await inside("""
import inspect, polyport_tools
from polyport_tools import add, ToolError
print(add(1), add(1, 2), add(a=1, b=3))
print(inspect.signature(add), add.__name__, add.__doc__.splitlines()[0], add.__annotations__)
print('the first' in add.__doc__)
print(polyport_tools.call('files.read', name='x'), polyport_tools.files_read(name='y'))
print(polyport_tools.odd(1, **{'from': 'here', 'x-y': 2}))
print([tool['name'] for tool in polyport_tools.tools()][:2], 'add' in dir(polyport_tools))
for attempt in (lambda: polyport_tools.deny(), lambda: polyport_tools.call('nope'),
                lambda: add(1, 2, 3), lambda: polyport_tools.nope, lambda: polyport_tools.echo(x=object())):
    try:
        attempt()
    except Exception as error:
        print(type(error).__name__, str(error)[:60])
from polyport_tools import *
print(echo(a=None))
""")
    lines = out.splitlines()
    assert lines[:3] == [
        "11 3 4",
        "(a: int, b: int = 10) add Add two integers. {'a': <class 'int'>, 'b': <class 'int'>}",
        "True",
    ]
    assert lines[3:6] == ["{'name': 'x'} {'name': 'y'}", "{'z': 1, 'from': 'here', 'x-y': 2}", "['add', 'echo'] True"]
    assert lines[6] == "ToolError Not for you."
    assert lines[7].startswith("ToolError There is no tool 'nope'")
    assert lines[8] == "TypeError too many positional arguments"
    assert lines[9].startswith("AttributeError There is no tool 'nope'")
    assert lines[10].startswith("ToolError The arguments can't be written as JSON")
    assert lines[11] == "{'a': None}"


@pytest.mark.anyio
async def test_threads_and_forks_call_at_once(inside: Any):
    out = await inside("""
import os, polyport_tools
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as pool:
    print(list(pool.map(lambda n: polyport_tools.add(n, n), range(40))) == [n * 2 for n in range(40)])
    list(pool.map(lambda n: polyport_tools.slow(seconds=0.1), range(8)))
polyport_tools.add(1)
child = os.fork()
value = polyport_tools.add(100 if child else 200, 0)
if not child:
    os._exit(value - 200)
print(value, os.waitpid(child, 0)[1])
""")
    assert out.splitlines() == ["True", "100 0"], out
    assert 1 < inside.host.most_running <= 4


@pytest.mark.anyio
async def test_a_killed_program_s_call_is_cancelled(inside: Any):
    await inside("import polyport_tools; polyport_tools.slow(seconds=60)", kill_when=lambda: inside.host.running)
    async with asyncio.timeout(2):
        while inside.host.running:
            await asyncio.sleep(0.01)
    assert inside.host.cancelled == 1


@pytest.mark.anyio
async def test_a_run_without_tools_says_so(tmp_path: Path):
    name = secrets.token_hex(8)
    (tmp_path / "polyport_tools.py").write_text(tools_module().replace("polyport-tools", name), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "import polyport_tools; polyport_tools.tools()", cwd=tmp_path,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, err = await asyncio.wait_for(process.communicate(), 30)
    assert b"ToolError: There are no tools here" in err

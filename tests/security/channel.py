"""The tools' channel: malformed, oversized and countless requests, and calls that are not permitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from polyport_sandbox import InvalidRunError, Limits, ToolDescription

from .case import Attack, Target
from .targets import OursTarget

__all__ = ["CHANNEL"]

CONNECT = """
import json, socket, struct, polyport_tools
def connected():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM); s.settimeout(5); s.connect("\\0polyport-tools"); return s
def send(s, data): s.sendall(struct.pack(">I", len(data)) + data)
def read(s):
    got = b""
    try:
        while part := s.recv(65536): got += part
    except OSError: pass
    return got
"""
AFTER = "\nprint('after', polyport_tools.add(a=20, b=22))"


class _Tools:
    """What is permitted: `add`. `forbidden` is there on the host, and is not among what is told."""

    def __init__(self) -> None:
        self.called: list[tuple[str, dict[str, Any]]] = []

    def describe(self) -> Sequence[ToolDescription]:
        return [ToolDescription("add", "Add.", {"type": "object", "properties": {"a": {}, "b": {}}})]

    async def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        self.called.append((name, dict(arguments)))
        if name != "add":
            raise InvalidRunError(f"there is no tool {name!r}")
        return arguments.get("a", 0) + arguments.get("b", 0)


def _attack(name: str, must_hold: str, code: str, check: Callable[[bytes, _Tools], None] | None = None) -> Attack:
    def play(target: Target) -> None:
        assert isinstance(target, OursTarget)
        tools = _Tools()
        result = target.box.run(CONNECT + code + AFTER, tools=tools, limits=Limits(wall_s=20))
        assert result.status == "ok", f"{result.status} {result.detail} {result.stderr_text[-400:]}"
        assert b"TRIED" in result.stdout, result
        assert b"BREACH" not in result.stdout, result.stdout_text
        assert b"after 42" in result.stdout, "the tools no longer answer"
        if check is not None:
            check(result.stdout, tools)

    return Attack(name, must_hold, play=play, needs=frozenset({"tools"}), at_most_s=60)


def _only_add(_: bytes, tools: _Tools) -> None:
    assert {name for name, _ in tools.called} == {"add"}, f"BREACH: the host was asked for {tools.called}"


def _bounded(target: Target) -> None:
    """A loop of calls, and calls from many threads, are bounded; the run is told so and not hung."""
    assert isinstance(target, OursTarget)
    tools = _Tools()
    result = target.box.run(
        CONNECT
        + "n = 0\ntry:\n    for n in range(1_000_000): polyport_tools.add(a=n, b=1)\nexcept polyport_tools.ToolError as e: print('TRIED', n, e)",
        tools=tools,
        limits=Limits(wall_s=5),
    )
    assert result.status in ("ok", "timeout"), result
    assert len(tools.called) < 100_000, "BREACH: calls without end"


def _no_tools(target: Target) -> None:
    """Where a run was given no tools, nothing listens, and nothing of another's run is there."""
    result = target.run(
        "import socket\ns = socket.socket(socket.AF_UNIX)\nprint('TRIED')\ntry:\n    s.connect('\\0polyport-tools')\n    print('BREACH')\nexcept OSError: pass\n"
        "try:\n    socket.create_connection(('127.0.0.1', 3128), 1)\n    print('BREACH proxy')\nexcept OSError: pass"
    )
    assert result.stdout == b"TRIED\n", result


def _nested(target: Target) -> None:
    """A tool that itself runs code in the sandbox, with the same tools, over and over: it ends."""
    assert isinstance(target, OursTarget)
    box = target.box
    depth = [0]

    class Nesting(_Tools):
        async def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
            depth[0] += 1
            inner = await box._sandbox.run(code, tools=self, limits=Limits(wall_s=4))
            return inner.stdout_text[:100]

    code = "import polyport_tools\ntry: print(polyport_tools.add(a=1, b=1))\nexcept polyport_tools.ToolError as error: print('ended', error)"
    result = box.run(code, tools=Nesting(), limits=Limits(wall_s=6))
    assert result.status in ("ok", "timeout", "error"), result
    assert 1 <= depth[0] < 64, f"BREACH: {depth[0]} runs in one another"


CHANNEL = [
    _attack(
        "oversized frames",
        "refused or dropped; the tools go on",
        "for length in (0xFFFFFFFF, 1 << 30, 64 << 20):\n    s = connected(); s.sendall(struct.pack('>I', length) + b'x' * 100_000); s.shutdown(1)\n"
        "    print('TRIED', read(s)[:80])\n    s.close()\n"
        "try: print('TRIED', str(polyport_tools.add(a='x' * (40 << 20), b='y'))[:50])\nexcept polyport_tools.ToolError as e: print(e)\n",
    ),
    _attack(
        "malformed frames",
        "each is an error, or its connection is closed; the tools go on",
        "for data in (b'', b'null', b'[]', b'{', b'\\xff\\xfe', b'[' * 100_000, b'{\"a\":' * 50_000, b'{\"op\": \"eval\"}', b'{\"op\": \"call\"}',\n"
        "        b'{\"op\": \"call\", \"name\": 5, \"arguments\": {}}', b'{\"op\": \"call\", \"name\": \"add\", \"arguments\": []}',\n"
        "        b'{\"op\": \"call\", \"name\": \"__init__\", \"arguments\": {}}'):\n"
        "    s = connected(); send(s, data); s.shutdown(1); got = read(s); print('TRIED', got[:80])\n"
        "    if got and b'error' not in got: print('BREACH', data[:60], got[:80])\n    s.close()\n",
    ),
    _attack(
        "a thousand connections",
        "bounded; once they are closed the tools answer",
        "held = []\nfor _ in range(400):\n    try:\n        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM); s.settimeout(0.05); s.connect('\\0polyport-tools'); held.append(s)\n"
        "    except OSError: break\nprint('TRIED', len(held))\nfor s in held:\n    try: s.sendall(b'\\0\\0\\0\\x10half')\n    except OSError: pass\n"
        "for s in held: s.close()\nfor _ in range(600):\n    try:\n        s = connected(); s.close()\n    except OSError: pass\nimport time; time.sleep(1)\n",
    ),
    _attack(
        "two requests at once on one connection",
        "no answer is mixed up with another's",
        "s = connected()\nask = json.dumps({'op': 'call', 'name': 'add', 'arguments': {'a': 1, 'b': 1}}).encode()\n"
        "for _ in range(50):\n    try: send(s, ask)\n    except OSError: break\ntry: s.shutdown(1)\nexcept OSError: pass\nprint('TRIED', read(s)[:60])\n",
    ),
    _attack(
        "calls that are not permitted",
        "the host is never asked for them",
        "for name in ('forbidden', '__init__', 'describe', 'call', 'add\\0', 'Add', ' add', '../add', 'run_code', ''):\n    try:\n"
        "        polyport_tools.call(name)\n        print('BREACH', name)\n    except (polyport_tools.ToolError, TypeError, KeyError) as e: print('TRIED', name, e)\n",
        _only_add,
    ),
    Attack("calls without end", "bounded by the run's time or its number of calls", play=_bounded, needs=frozenset({"tools"}), at_most_s=40),
    Attack("a tool that runs code that calls the tool", "it ends, after a few", play=_nested, needs=frozenset({"tools"}), at_most_s=60),
    Attack("tools and a proxy where none were given", "nothing listens", play=_no_tools, needs=frozenset({"tools"})),
]  # fmt: skip

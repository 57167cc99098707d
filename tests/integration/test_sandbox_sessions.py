"""Sessions, streamed runs, displays and channels of the Docker provider, in real containers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from polyport_sandbox import (
    LANGUAGES,
    DisplayEvent,
    EndEvent,
    InvalidRunError,
    Limits,
    OutputEvent,
    ProviderSession,
    RunEvent,
    RunRequest,
    RunResult,
    SandboxFileNotFoundError,
    SessionClosedError,
    SessionRequest,
    ToolDescription,
)
from polyport_sandbox.docker.provider import DockerProvider
from polyport_sandbox.docker.session import DockerSession
from tests.support.sandbox import docker

pytestmark = [pytest.mark.anyio, pytest.mark.requires("docker", "sandbox")]


@contextlib.asynccontextmanager
async def opened(**options: Any) -> AsyncIterator[DockerProvider]:
    async with DockerProvider(**{"pool_size": 1, "max_running": 4, "gvisor": "never", **options}) as provider:
        yield provider


@contextlib.asynccontextmanager
async def session(**request: Any) -> AsyncIterator[ProviderSession]:
    async with opened() as provider:
        place = await provider.open_session(SessionRequest(**request), caller="")
        yield place


async def events(place: ProviderSession, code: str, language: str = "python", **request: Any) -> list[RunEvent]:
    asked = RunRequest(code.encode(), LANGUAGES[language], **request)
    async with asyncio.timeout(30):
        return [event async for event in place.stream(asked)]


async def run(place: ProviderSession, code: str, language: str = "python", **request: Any) -> RunResult:
    last = (await events(place, code, language, **request))[-1]
    assert isinstance(last, EndEvent)
    return last.result


def shown(result: RunResult) -> list[str | None]:
    return [display.text for display in result.displays]


async def test_variables_files_and_results_live_on():
    async with session(files={"data/in.txt": b"42"}) as place:
        assert (await run(place, "x = int(open('data/in.txt').read())")).displays == ()
        assert shown(await run(place, "x + 1")) == ["43"]
        assert shown(await run(place, "x;")) == []
        result = await run(place, "cat data/in.txt; cat; echo made > made", "bash", stdin=b"!")
        assert (result.status, result.stdout) == ("ok", b"42!")
        assert shown(await run(place, "open('made').read()")) == ["'made\\n'"]
        assert shown(await run(place, "import sys; sys.stdin.read()", stdin=b"typed")) == ["'typed'"]
        assert shown(await run(place, "sys.stdin.read()")) == ["''"]


async def test_an_exception_is_told_with_the_cell_s_lines_and_no_frame_of_ours():
    async with session() as place:
        await run(place, "def broken():\n    return 1 / 0")
        result = await run(place, "broken()")
        assert (result.status, result.exit_code, result.stderr) == ("error", 1, b"")
        assert result.error is not None
        assert (result.error.name, result.error.value) == ("ZeroDivisionError", "division by zero")
        assert "return 1 / 0" in result.error.traceback
        assert "kernel" not in result.error.traceback
        assert "<string>" not in result.error.traceback
        assert (await run(place, "import sys; sys.exit(3)")).exit_code == 3
        assert (await run(place, "sys.exit()")).status == "ok"
        assert shown(await run(place, "import asyncio; await asyncio.sleep(0.01, 'awaited')")) == ["'awaited'"]


async def test_output_and_displays_come_in_their_order_as_they_happen():
    async with session() as place:
        code = "import time\nfor n in range(3):\n    print(n)\n    display(f'd{n}')\ntime.sleep(1)\nprint('late')"
        began, order, first = time.monotonic(), [], 0.0
        async for event in place.stream(RunRequest(code.encode(), LANGUAGES["python"])):
            first = first or time.monotonic() - began
            if isinstance(event, OutputEvent):
                order += [event.data] if event.data.strip() else []
            elif isinstance(event, DisplayEvent):
                order.append((event.display.text or "").encode())
        assert [item.strip() for item in order] == [b"0", b"'d0'", b"1", b"'d1'", b"2", b"'d2'", b"late"]
        assert first < 0.9


async def test_contexts_have_variables_of_their_own_and_are_restarted_one_by_one():
    async with session() as place:
        await run(place, "x = 1", context="a")
        await run(place, "x = 2", context="b")
        assert shown(await run(place, "x", context="a")) == ["1"]
        await place.restart("a")
        assert (await run(place, "x", context="a")).status == "error"
        assert shown(await run(place, "x", context="b")) == ["2"]
        for number in range(6):
            await run(place, "pass", context=f"c{number}")
        with pytest.raises(InvalidRunError, match="8 kernels"):
            await run(place, "pass", context="one too many")
        assert shown(await run(place, "x", context="b")) == ["2"]


async def test_a_cell_that_takes_too_long_gives_way_or_is_killed():
    async with session() as place:
        await run(place, "x = 1")
        limits = Limits(wall_s=0.5)
        gave_way = await run(place, "while True: pass", limits=limits)
        assert gave_way.status == "timeout"
        assert "kept" in (gave_way.detail or "")
        assert shown(await run(place, "x")) == ["1"]
        began = time.monotonic()
        stubborn = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"
        killed = await run(place, stubborn, limits=limits)
        assert (killed.status, killed.exit_code) == ("timeout", -9)
        assert "gone" in (killed.detail or "")
        assert time.monotonic() - began < 4
        assert (await run(place, "x")).status == "error"
        slept = await run(place, "sleep 60 & sleep 60", "bash", limits=limits)
        assert slept.status == "timeout"
        assert b"sleep" not in (await run(place, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '", "bash")).stdout


@pytest.mark.parametrize(
    ("code", "status", "exit_code"),
    [
        ("import os; os._exit(7)", "error", 7),
        ("import os; os.abort()", "killed", -6),
        ("import ctypes; ctypes.string_at(0)", "killed", -11),
        ("x = b'x' * (1 << 30)", "out_of_memory", -9),
    ],
)
async def test_a_kernel_that_ends_is_told_and_started_anew(code: str, status: str, exit_code: int):
    async with session(limits=Limits(memory_mb=128)) as place:
        await run(place, "kept = 1; open('file', 'w').write('stays')")
        result = await run(place, code)
        assert (result.status, result.exit_code) == (status, exit_code)
        assert "gone" in (result.detail or "")
        assert (await run(place, "kept")).status == "error"
        assert await place.download("file", max_bytes=10) == b"stays"


async def test_a_kernel_started_anew_says_so_once():
    async with session() as place:
        assert (await run(place, "x = 1")).detail is None
        assert "gone" in str((await run(place, "import os; os._exit(0)")).detail)
        assert "anew" in str((await run(place, "1")).detail)
        assert (await run(place, "1")).detail is None
        await place.restart()
        assert (await run(place, "1")).detail is None  # who asked for it knows


async def test_an_interrupt_meets_a_cell_however_early_it_comes():
    async with session() as place:
        assert isinstance(place, DockerSession)
        for code in ("import time\ntime.sleep(60)", "import time\ntime.sleep(60)", "while True: pass"):
            cell = asyncio.create_task(run(place, code))
            await asyncio.sleep(0)
            began = time.monotonic()
            await place.interrupt()
            result = await asyncio.wait_for(cell, 20)
            assert (result.status, result.error.name if result.error else None) == ("error", "KeyboardInterrupt"), (
                result
            )
            assert time.monotonic() - began < 4.5  # it gave way, and was not killed
        assert (await run(place, "1")).detail is None  # it is the same kernel still


async def test_an_interrupt_on_request_waits_for_a_cell_that_needs_a_moment():
    async with session() as place:
        assert isinstance(place, DockerSession)
        slow = (
            "import time\nx = 1\ntry:\n    print('on', flush=True)\n    time.sleep(60)\nfinally:\n    time.sleep(1.5)"
        )
        stream = place.stream(RunRequest(slow.encode(), LANGUAGES["python"], limits=Limits(wall_s=60)))
        assert isinstance(await anext(stream), OutputEvent)
        await place.interrupt()
        (*_, last) = [event async for event in stream]
        assert isinstance(last, EndEvent)
        assert (last.result.status, last.result.exit_code) == ("error", 1), last
        assert shown(await run(place, "x")) == ["1"]


async def test_a_path_too_long_to_be_looked_at_is_left_out():
    deep = (
        "import os\nfor _ in range(15):\n    os.mkdir('d' * 255); os.chdir('d' * 255)\n"
        "open('f' * 255, 'w').write('x')\nprint('made')"
    )
    async with opened() as provider:
        result = await once(provider, deep)
        assert (result.status, result.stdout) == ("ok", b"made\n"), result
        assert [skipped.reason for skipped in result.skipped_files] == ["File name too long"]


async def test_more_output_than_the_limit_ends_the_cell_and_not_the_session():
    async with session() as place:
        result = await run(place, "while True: print('x' * 1000)", limits=Limits(output_bytes=10_000))
        assert (result.status, len(result.stdout), result.stdout_truncated) == ("output_limit", 10_000, True)
        assert shown(await run(place, "1")) == ["1"]


async def test_what_is_printed_between_cells_goes_nowhere_and_holds_nothing_up():
    async with session() as place:
        loud = (
            "import threading, time\n"
            "def shout():\n    while True:\n        print('x' * 5000); display('d'); time.sleep(0.001)\n"
            "threading.Thread(target=shout, daemon=True).start()"
        )
        await run(place, loud)
        await asyncio.sleep(1)
        result = await run(place, "1 + 1")
        assert "2" in shown(result)
        assert len(result.stdout) < 200_000


async def test_an_abandoned_cell_is_interrupted_and_the_next_one_runs():
    async with session() as place:
        await run(place, "x = 1")
        stream = place.stream(RunRequest(b"import time\nprint('on', flush=True)\ntime.sleep(60)", LANGUAGES["python"]))
        assert isinstance(await anext(stream), OutputEvent)
        began = time.monotonic()
        await stream.aclose()
        assert time.monotonic() - began < 2
        assert shown(await run(place, "x")) == ["1"]


async def test_files_are_uploaded_listed_downloaded_and_deleted():
    async with session() as place:
        await place.upload({"a/b/c.txt": b"one", "d": b""})
        await place.upload({"a/b/c.txt": b"two"})
        names = {entry.name: (entry.size, entry.is_folder) for entry in await place.list()}
        assert names == {"a": (0, True), "a/b": (0, True), "a/b/c.txt": (3, False), "d": (0, False)}
        assert [entry.name for entry in await place.list("a/b")] == ["a/b/c.txt"]
        assert await place.download("a/b/c.txt", max_bytes=3) == b"two"
        with pytest.raises(InvalidRunError, match="3 bytes"):
            await place.download("a/b/c.txt", max_bytes=2)
        await place.delete("a")
        assert [entry.name for entry in await place.list()] == ["d"]
        for missing in ("a", "a/b", "nothing"):
            with pytest.raises(SandboxFileNotFoundError):
                await place.download(missing, max_bytes=10)
            with pytest.raises(SandboxFileNotFoundError):
                await place.delete(missing)
        for bad in ("../x", "/etc/passwd", "a//b", "", "x\\y"):
            with pytest.raises(InvalidRunError):
                await place.download(bad, max_bytes=10)
        large = bytes(range(256)) * 20_000
        await place.upload({"large": large})
        assert await place.download("large", max_bytes=len(large)) == large


async def test_links_and_what_is_no_file_are_not_followed():
    async with session() as place:
        code = (
            "import os\nos.symlink('/etc/passwd', 'link'); os.symlink('/etc', 'folder'); os.mkfifo('pipe')\n"
            "open('/tmp/kept', 'w').write('kept'); os.symlink('/tmp', 'tmp')\n"
            "os.mkdir('real'); os.link('/work/pipe', 'p2')"
        )
        await run(place, code)
        for name in ("link", "folder/passwd", "pipe", "tmp/kept"):
            with pytest.raises(SandboxFileNotFoundError):
                await place.download(name, max_bytes=1 << 20)
        assert [entry.name for entry in await place.list()] == ["real"]
        with pytest.raises(SandboxFileNotFoundError):
            await place.list("folder")
        with pytest.raises(SandboxFileNotFoundError):
            await place.delete("tmp/kept")
        await place.delete("tmp")
        assert shown(await run(place, "open('/tmp/kept').read()")) == ["'kept'"]


async def test_javascript_keeps_its_variables_and_shows_its_last_value():
    async with session() as place:
        await run(place, "let x = 20; const add = (a, b) => a + b", "javascript")
        result = await run(
            place, "x += 20\nconst y = 2; console.log('out'); console.error('err'); add(x, y)", "javascript"
        )
        assert (result.stdout, result.stderr, shown(result)) == (b"out\n", b"err\n", ["42"])
        assert shown(await run(place, "await new Promise(done => setTimeout(done, 5)); 'awaited'", "javascript")) == [
            "'awaited'"
        ]
        failed = await run(place, "function f() { null.x }\nf()", "javascript")
        assert (failed.status, failed.error and failed.error.name) == ("error", "TypeError")
        assert (await run(place, "process.exit(4)", "javascript")).exit_code == 4
        looped = await run(place, "while (true) {}", "javascript", limits=Limits(wall_s=0.5))
        assert looped.status == "timeout"
        assert shown(await run(place, "x", "javascript")) == ["40"]


async def test_a_session_whose_container_is_lost_says_so():
    async with opened() as provider:
        place = await provider.open_session(SessionRequest(), caller="")
        (kept,) = provider._sessions
        cell = asyncio.create_task(run(place, "import time\ntime.sleep(30)"))
        await asyncio.sleep(0.5)
        await asyncio.to_thread(docker, "kill", kept._container.identity)
        assert (await asyncio.wait_for(cell, 10)).status == "killed"
        for step in (run(place, "1"), place.list(), place.download("x", max_bytes=1)):
            with pytest.raises(SessionClosedError):
                await step


SCRIPT = """
import atexit, multiprocessing, pickle, sys, threading, time
class Thing: pass
def work(n): return n * 2
if __name__ == "__main__":
    print(__file__, sys.argv, __name__, sys.stdin.read())
    assert type(pickle.loads(pickle.dumps(Thing()))) is Thing
    with multiprocessing.get_context("spawn").Pool(2) as pool: print(pool.map(work, [1, 2]))
    atexit.register(print, "at exit")
    said = threading.Event()
    threading.Thread(target=lambda: (said.wait(), time.sleep(0.2), print("thread"))).start()
    print("end")
    said.set()
"""


async def once(provider: DockerProvider, code: str, **request: Any) -> RunResult:
    last: RunEvent | None = None
    async for event in provider.stream(RunRequest(code.encode(), LANGUAGES["python"], **request), caller=""):
        last = event
    assert isinstance(last, EndEvent)
    return last.result


async def test_a_script_finds_what_it_would_find_without_a_kernel():
    async with opened() as provider:
        # Two more interpreters start in it, which takes its time on a busy machine.
        result = await once(provider, SCRIPT, stdin=b"in", limits=Limits(wall_s=60))
        assert result.stdout == b"/work/main.py ['main.py'] __main__ in\n[2, 4]\nend\nthread\nat exit\n", result
        broken = await once(provider, "def f():\n    raise ValueError('no')\nf()")
        assert broken.stderr_text == (
            'Traceback (most recent call last):\n  File "/work/main.py", line 3, in <module>\n    f()\n'
            "  File \"/work/main.py\", line 2, in f\n    raise ValueError('no')\nValueError: no\n"
        )
        assert broken.error is not None
        assert (broken.exit_code, broken.error.name, broken.error.traceback) == (1, "ValueError", broken.stderr_text)
        unparsed = await once(provider, "x = (")
        assert unparsed.stderr_text.startswith('  File "/work/main.py", line 1\n    x = (\n'), unparsed
        assert (await once(provider, "import sys; sys.exit('bye')")).stderr == b"bye\n"
        hooked = await once(provider, "import sys\nsys.excepthook = lambda *a: print('mine')\n1/0")
        assert (hooked.stdout, hooked.stderr, hooked.exit_code) == (b"mine\n", b"", 1)
        named = await once(provider, "import json\njson.x", files={"json.py": b"x = 'its own'"})
        assert shown(named) == ["'its own'"]


HOSTILE = """
class Raises:
    def __repr__(self): raise SystemError
    def _repr_html_(self): raise OSError
class Anything:
    def __getattr__(self, name): return lambda *a, **k: self
class Rich:
    def _repr_html_(self): return "<b>"
    def _repr_json_(self): return {"a": [1, None, float("nan"), "\\ud800"]}
    def _repr_png_(self): return b"\\x89PNG"
display(Raises()); display(Anything()); display("x" * (3 << 20)); display(Rich())
from IPython.display import display as show, HTML, Image, SVG, JSON, Markdown
show(HTML("<i>"), SVG("<svg/>"), JSON({"k": 1}), Markdown("*"), Image(b"\\x89PNG"))
"""


async def test_displays_are_those_of_a_notebook_whatever_the_object_does():
    async with opened() as provider:
        result = await once(provider, HOSTILE)
        assert result.status == "ok", result
        raises, _, huge, rich, html, svg, json, markdown, image = result.displays
        assert "SystemError" in (raises.text or "")
        assert len(huge.text or "") < (2 << 20)
        assert (rich.html, rich.png, rich.json) == ("<b>", b"\x89PNG", {"a": [1, None, None, "?"]})
        assert (html.html, svg.svg, json.json, markdown.data["text/markdown"]) == ("<i>", "<svg/>", {"k": 1}, "*")
        assert image.png == b"\x89PNG"


async def test_displays_over_the_limits_are_left_out_with_a_note():
    async with opened() as provider:
        limits = Limits(displays=3, display_bytes=10_000)
        many = await once(provider, "for n in range(10): display(n)", limits=limits)
        assert (many.status, shown(many)) == ("ok", ["0", "1", "2"])
        assert b"7 displays were left out" in many.stderr
        large = await once(provider, "display('x' * 20_000); display('small')", limits=limits)
        assert (large.status, shown(large)) == ("ok", ["'small'"])


async def test_what_a_kernel_says_for_itself_is_no_status_of_the_run():
    forge = (
        "import os, struct\n"
        "said = (b'K', b'0'), (b'T', b'{}'), (b'V', b'not json'), (b'V', b'[1]'), (b'D', b'{}'), (b'?', b'')\n"
        "for kind, body in said:\n"
        "    os.write(1100, struct.pack('>Ic', len(body), kind) + body)\n"
        "display('real')\nraise SystemExit(5)"
    )
    async with opened() as provider:
        result = await once(provider, forge)
        assert (result.status, result.exit_code, shown(result), result.error) == ("error", 5, ["'real'"], None), result


async def test_a_run_is_streamed_as_it_happens_and_ends_with_its_reader():
    async with opened() as provider:
        # In one write: an unbuffered print makes two, the line's end by itself.
        code = b"import os, time\nos.write(1, b'on\\n')\ntime.sleep(60)"
        request = RunRequest(code, LANGUAGES["python"])
        stream = provider.stream(request, caller="")
        began = time.monotonic()
        assert await anext(stream) == OutputEvent("stdout", b"on\n")
        assert time.monotonic() - began < 20
        began = time.monotonic()
        await stream.aclose()
        assert (await once(provider, "print('next')")).stdout == b"next\n"
        assert time.monotonic() - began < 10


class Calculator:
    def describe(self) -> Sequence[ToolDescription]:
        properties = {"a": {"type": "integer"}, "b": {"type": "integer"}}
        return [ToolDescription("add", "Add.", {"type": "object", "properties": properties, "required": ["a", "b"]})]

    async def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        assert name == "add"
        return arguments["a"] + arguments["b"]


async def test_tools_are_functions_and_a_host_that_is_not_allowed_is_not_reached():
    async with opened() as provider:
        result = await once(provider, "from polyport_tools import add\nadd(a=1, b=2)", tools=Calculator())
        assert shown(result) == ["3"], result
        code = (
            "import urllib.request, urllib.error\n"
            "try:\n    urllib.request.urlopen('http://169.254.169.254/', timeout=5)\n"
            "except urllib.error.HTTPError as error:\n    print(error.code)"
        )
        assert (await once(provider, code, allow_hosts=("example.org",))).stdout == b"403\n"
        nothing = (
            "import socket\ntry:\n    socket.create_connection(('127.0.0.1', 3128))\nexcept OSError:\n    print('none')"
        )
        assert (await once(provider, nothing)).stdout == b"none\n"

"""What every provider's sessions do alike; `tests.support.sandbox_candidates` says whom it holds to it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.server
import ipaddress
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from polyport.errors import PermissionDeniedError
from polyport_sandbox import (
    InvalidRunError,
    Limits,
    Sandbox,
    SandboxBusyError,
    SandboxFileNotFoundError,
    SessionClosedError,
    SessionNotFoundError,
    SyncSandbox,
    SyncSession,
    ToolDescription,
)
from polyport_sandbox.network.egress import Address, Network
from tests.support.sandbox import containers, docker
from tests.support.sandbox_candidates import Candidate, candidates, needs, skip_unless_able

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


@pytest.fixture(scope="module", params=candidates("sessions"))
def candidate(request: pytest.FixtureRequest) -> Candidate:
    return request.param


@pytest.fixture(autouse=True)
def able(request: pytest.FixtureRequest, candidate: Candidate) -> None:
    skip_unless_able(request, candidate)


@pytest.fixture(scope="module")
def box(candidate: Candidate) -> Iterator[SyncSandbox]:
    with candidate.opened() as box:
        yield box


@pytest.fixture
def session(box: SyncSandbox) -> Iterator[SyncSession]:
    with box.session(limits=Limits(wall_s=20)) as session:
        yield session


def out(session: SyncSession, code: str, **options: Any) -> bytes:
    result = session.run(code, **options)
    assert result.status == "ok", result
    return result.stdout


def until(condition: Callable[[], Any], *, within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


# What a session is for


def test_variables_functions_and_imports_live_on(session: SyncSession):
    assert session.run("import math\nx = 1\ndef twice(n):\n    return n * 2").status == "ok"
    assert out(session, "print(twice(x + 1), math.pi > 3)") == b"4 True\n"
    assert out(session, b"print(x)") == b"1\n"
    assert out(session, "s = 'ü 文'\nprint(s)") == "ü 文\n".encode()


@needs("displays")
def test_the_last_expression_is_the_result(session: SyncSession):
    result = session.run("print('said')\n[1, 2]")
    assert result.stdout == b"said\n"
    assert [(display.text, display.is_result) for display in result.displays] == [("[1, 2]", True)]
    assert session.run("x = 5").displays == ()
    assert session.run("None").displays == ()


@needs("errors")
def test_an_exception_is_one_cell_s(session: SyncSession):
    session.run("x = 1")
    result = session.run("print('before')\n1/0\nprint('never')")
    assert (result.status, result.stdout) == ("error", b"before\n")
    assert result.error is not None
    assert (result.error.name, result.error.value) == ("ZeroDivisionError", "division by zero")
    assert "1/0" in result.error.traceback
    broken = session.run("def (")
    assert broken.status == "error"
    assert broken.error is not None
    assert broken.error.name == "SyntaxError"
    assert out(session, "print(x)") == b"1\n"


@needs("displays")
def test_rich_results(session: SyncSession):
    code = f"""
class Page:
    def _repr_html_(self): return '<b>bold</b>'
    def _repr_svg_(self): return '<svg></svg>'
    def __repr__(self): return 'a page'
class Picture:
    def _repr_png_(self): return {PNG!r}
display(Page())
print('between')
display(Picture())
from IPython.display import JSON
display(JSON({{'a': [1, None]}}))
Page()
"""
    result = session.run(code)
    assert result.status == "ok", result
    page, picture, value, last = result.displays
    assert (page.html, page.svg, page.text, page.is_result) == ("<b>bold</b>", "<svg></svg>", "a page", False)
    assert picture.png == PNG
    assert value.json == {"a": [1, None]}
    assert (last.html, last.is_result) == ("<b>bold</b>", True)


@needs("streaming")
def test_events_come_as_they_happen_and_in_their_order(session: SyncSession):
    code = (
        "import sys, time\nfor i in range(3):\n    print(i)\n    time.sleep(0.3)\n"
        "print('end', file=sys.stderr)\n'value'"
    )
    began = time.monotonic()
    events = [(event, time.monotonic() - began) for event in session.stream(code)]
    kinds = [event.type for event, _ in events]
    assert kinds[-1] == "end"
    assert kinds.index("stderr") < kinds.index("result") == len(kinds) - 2
    said = [(event.data, at) for event, at in events if event.type == "stdout"]
    assert b"".join(data for data, _ in said) == b"0\n1\n2\n"
    assert said[-1][1] - said[0][1] > 0.4  # the first did not wait for the last
    result = events[-1][0].result
    assert (result.stdout, result.stderr, result.displays[-1].text) == (b"0\n1\n2\n", b"end\n", "'value'")


@needs("streaming", "displays")
def test_output_and_displays_keep_their_order(session: SyncSession):
    events = list(session.stream("for i in range(20):\n    print(i)\n    display(i)"))
    told = [
        event.data.decode() if event.type == "stdout" else f"[{event.display.text}]"
        for event in events
        if event.type in ("stdout", "display")
    ]
    assert "".join(told) == "".join(f"{i}\n[{i}]" for i in range(20))


@needs("stdin")
def test_a_cell_has_its_own_input(session: SyncSession):
    assert out(session, "print(input() + input())", stdin=b"a\nb\n") == b"ab\n"
    result = session.run("input()")
    assert result.status == "error"


@needs("bash")
def test_bash_sees_the_same_files(session: SyncSession):
    out(session, "open('from-python', 'w').write('x')")
    assert out(session, "cat from-python; echo y > from-bash", language="bash") == b"x"
    assert out(session, "print(open('from-bash').read())") == b"y\n\n"
    failed = session.run("echo out; echo no >&2; exit 4", language="bash")
    assert (failed.status, failed.exit_code, failed.stdout, failed.stderr) == ("error", 4, b"out\n", b"no\n")


@needs("contexts")
def test_contexts_share_files_and_nothing_else(session: SyncSession):
    session.run("x = 1\nopen('shared', 'w').write('both')", context="one")
    assert session.run("x", context="two").status == "error"
    assert out(session, "print(open('shared').read())", context="two") == b"both"[:4] + b"\n"
    assert out(session, "print(x)", context="one") == b"1\n"
    session.run("x = 2", context="two")
    session.restart("one")
    assert session.run("x", context="one").status == "error"
    assert out(session, "print(x)", context="two") == b"2\n"


def test_a_restart_forgets_variables_and_keeps_files(session: SyncSession):
    session.run("x = 1\nopen('kept', 'w').write('yes')")
    session.restart()
    assert session.run("x").status == "error"
    assert out(session, "print(open('kept').read())") == b"yes\n"


# What goes wrong


@needs("timeouts", "give way")
def test_a_cell_that_gives_way_at_its_limit_keeps_the_variables(session: SyncSession):
    for _ in range(3):  # where the machine is too busy, half a second may not be enough to give way
        session.run("x = 1")
        began = time.monotonic()
        result = session.run("print('before')\nimport time\nx = 2\ntime.sleep(60)", limits=Limits(wall_s=0.5))
        assert (result.status, result.stdout) == ("timeout", b"before\n")
        assert time.monotonic() - began < 5
        assert result.detail is not None
        after = session.run("print(x)")
        if "kept" in result.detail:
            assert (after.status, after.stdout) == ("ok", b"2\n"), after
            return
        assert after.status == "error"
    raise AssertionError("it never gave way")


@needs("timeouts")
def test_a_cell_that_does_not_give_way_is_killed_and_says_what_is_lost(session: SyncSession):
    session.run("x = 1\nopen('kept', 'w').write('yes')")
    stubborn = "import time\nwhile True:\n    try:\n        time.sleep(60)\n    except BaseException:\n        pass"
    began = time.monotonic()
    result = session.run(stubborn, limits=Limits(wall_s=0.5))
    assert result.status == "timeout"
    assert time.monotonic() - began < 5
    assert result.detail is not None
    assert "gone" in result.detail
    assert session.run("x").status == "error"
    assert out(session, "print(open('kept').read())") == b"yes\n"


@needs("crashes")
@pytest.mark.parametrize(
    ("code", "status"),
    [("import os; os._exit(7)", "error"), ("import os; os.kill(os.getpid(), 9)", "killed"),
     ("import ctypes; ctypes.string_at(0)", "killed"), ("import os; os.abort()", "killed")],
)  # fmt: skip
def test_a_crash_is_one_cell_s(candidate: Candidate, session: SyncSession, code: str, status: str):
    session.run("x = 1\nopen('kept', 'w').write('yes')")
    result = session.run(f"print('before')\n{code}")
    assert (result.status, result.stdout) == (status, b"before\n"), result
    assert result.detail is not None
    assert "gone" in result.detail
    after = session.run("x")
    assert after.status == "error"
    if candidate.name == "docker":
        assert "anew" in str(after.detail)  # the cell that finds its variables gone is told so too
    assert out(session, "print(open('kept').read())") == b"yes\n"


@needs("memory")
def test_too_much_memory_ends_one_cell(box: SyncSandbox):
    with box.session(limits=Limits(memory_mb=128, wall_s=20)) as session:
        session.upload({"kept": b"yes"})
        assert session.run("x = b'x' * (1 << 30)").status in ("out_of_memory", "error")
        result = session.run("x = bytearray(1 << 30)\nfor i in range(0, 1 << 30, 4096): x[i] = 1")
        assert result.status == "out_of_memory", result
        assert out(session, "print(open('kept').read())") == b"yes\n"


@needs("output")
def test_too_much_output_ends_one_cell(session: SyncSession):
    result = session.run("while True: print('x' * 1000)", limits=Limits(output_bytes=10_000, wall_s=10))
    assert (result.status, len(result.stdout), result.stdout_truncated) == ("output_limit", 10_000, True)
    assert out(session, "print('fine')") == b"fine\n"


@needs("interrupt")
def test_an_interrupt_keeps_the_variables(session: SyncSession):
    events = session.stream("import time\nx = 5\nprint('on')\ntime.sleep(60)")
    said = b""
    while said != b"on\n":  # text and newline may be two writes, and an interrupt come between them
        event = next(events)
        assert event.type == "stdout"
        said += event.data
    began = time.monotonic()
    assert session.interrupt()
    result = list(events)[-1].result
    assert time.monotonic() - began < 3
    assert result.status in ("error", "killed")
    assert result.stdout == b"on\n"
    assert out(session, "print(x)") == b"5\n"
    assert session.interrupt() is False


def test_closing_a_stream_ends_its_cell(session: SyncSession):
    session.run("import time")
    events = session.stream("print('on', flush=True)\ntime.sleep(60)\nopen('never', 'w')")
    next(events)
    began = time.monotonic()
    events.close()
    assert out(session, "print('next')") == b"next\n"
    assert time.monotonic() - began < 5
    assert not [info for info in session.list() if info.name == "never"]


def test_one_cell_at_a_time_whoever_asks(session: SyncSession):
    session.run("import time\nbusy = 0\nmost = 0")
    code = "busy += 1\nmost = max(most, busy)\ntime.sleep(0.05)\nbusy -= 1"
    threads = [threading.Thread(target=session.run, args=(code,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert out(session, "print(busy, most)") == b"0 1\n"


# Files


def test_files_go_in_and_out_by_content(box: SyncSandbox):
    everything = bytes(range(256)) * 1000
    with box.session(files={"at/start.bin": everything}) as session:
        assert session.download("at/start.bin") == everything
        session.upload({"later.txt": "ü".encode(), "empty": b"", "a b/-rf": b"1"})
        assert out(session, "print(open('later.txt').read(), open('a b/-rf').read())") == "ü 1\n".encode()
        session.upload({"later.txt": b"new"})
        session.run("import os\nos.makedirs('made/deep')\nopen('made/deep/x', 'wb').write(bytes(5))")
        found = {info.name: info for info in session.list()}
        assert {"at/start.bin", "later.txt", "empty", "a b/-rf", "made/deep/x"} <= set(found)
        assert (found["made/deep/x"].size, found["made/deep/x"].is_folder) == (5, False)
        assert found["made"].is_folder
        assert abs(found["made/deep/x"].modified - time.time()) < 120
        assert {info.name for info in session.list("made")} == {"made/deep", "made/deep/x"}
        session.delete("later.txt")
        session.delete("made")
        names = {info.name for info in session.list()}
        assert "later.txt" not in names
        assert not any(name.startswith("made") for name in names)
        assert session.download("empty") == b""


def test_files_that_are_not_there(session: SyncSession):
    session.run("import os\nos.makedirs('folder')")
    for attempt in (
        lambda: session.download("nothing"),
        lambda: session.download("folder"),
        lambda: session.download("no/such/folder"),
        lambda: session.delete("nothing"),
    ):
        with pytest.raises(SandboxFileNotFoundError) as caught:
            attempt()
        assert caught.value.status == 404


@needs("caps")
def test_a_download_is_bounded(session: SyncSession):
    session.upload({"x": bytes(1000)})
    assert len(session.download("x", max_bytes=1000)) == 1000
    with pytest.raises(InvalidRunError):
        session.download("x", max_bytes=999)
    session.run("open('large', 'wb').write(bytes(17 << 20))")
    with pytest.raises(InvalidRunError):  # the session's own limit on what comes out
        session.download("large")
    assert len(session.download("large", max_bytes=32 << 20)) == 17 << 20
    assert out(session, "print(1)") == b"1\n"


@needs("links")
def test_links_and_devices_are_refused(session: SyncSession):
    session.run(
        "import os\nopen('real', 'w').write('REAL')\nos.symlink('/etc/passwd', 'link')\nos.symlink('real', 'inner')\n"
        "os.symlink('/etc', 'folder')\nos.link('real', 'hard')\nos.mkfifo('pipe')\nos.symlink('/proc/1', 'proc')\n"
        "os.makedirs('d')\nos.symlink('..', 'd/up')"
    )
    for name in ("link", "inner", "folder/passwd", "pipe", "proc/environ", "d/up/real"):
        with pytest.raises(SandboxFileNotFoundError):
            session.download(name)
    names = {info.name for info in session.list()}
    assert not names & {"link", "inner", "folder", "pipe", "proc", "d/up"}
    with contextlib.suppress(SandboxFileNotFoundError):
        session.list("folder")
        raise AssertionError("a link to a folder was listed")
    session.run("import os\nos.makedirs('target')\nopen('target/kept', 'w').write('K')\nos.symlink('target', 'alias')")
    with contextlib.suppress(SandboxFileNotFoundError, InvalidRunError):
        session.delete("alias/kept")
    assert session.download("target/kept") == b"K"
    session.run("import os\nos.symlink('target/kept', 'over')\nos.symlink('target', 'into')")
    for name in ("over", "into/new"):
        with contextlib.suppress(Exception):  # refused or replacing the link: never through it
            session.upload({name: b"THROUGH"})
    assert session.download("target/kept") == b"K"
    assert not any(info.name == "target/new" for info in session.list())


@needs("links")
def test_a_file_swapped_for_a_link_meanwhile_never_leads_out(session: SyncSession):
    session.run(
        "import os, subprocess, sys\nopen('a', 'w').write('MINE')\n"
        "subprocess.Popen([sys.executable, '-c', '''\nimport os, time\nend = time.time() + 4\n"
        "while time.time() < end:\n"
        '    os.symlink("/etc/passwd", "l"); os.replace("l", "a")\n'
        '    open("f", "w").write("MINE"); os.replace("f", "a")\n\'\'\'])'
    )
    seen = set()
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        try:
            seen.add(session.download("a"))
        except SandboxFileNotFoundError:
            seen.add(None)
    assert seen <= {b"MINE", b"", None}


# Whose it is, and how long


def test_sessions_know_nothing_of_each_other(box: SyncSandbox):
    with box.session() as one, box.session() as two:
        one.run("x = 1\nopen('secret', 'w').write('s')\nopen('/tmp/secret', 'w').write('s')")
        assert two.run("x").status == "error"
        assert two.list() == []
        assert out(two, "import os\nprint(os.path.exists('/tmp/secret'), os.listdir('.'))") == b"False []\n"
        assert out(one, "print(x)") == b"1\n"


def test_a_session_is_its_caller_s(box: SyncSandbox):
    with box.session(caller="ann", name="mine") as session:
        assert box.get_session(session.id, caller="ann").id == session.id
        assert [(found.id, found.name) for found in box.sessions(caller="ann")] == [(session.id, "mine")]
        with pytest.raises(SessionNotFoundError):
            box.get_session(session.id, caller="bob")
        assert box.sessions(caller="bob") == []
    with pytest.raises(SessionNotFoundError):
        box.get_session(session.id, caller="ann")
    with pytest.raises(SessionClosedError):
        session.run("1")


def test_sessions_expire(box: SyncSandbox):
    idle = box.open_session(idle_s=1.0)
    for lifetime_s in (2.0, 6.0, 18.0):  # on a busy machine the shorter may be over before the cell has said anything
        short = box.open_session(lifetime_s=lifetime_s)
        result = short.run("import time\nprint('on', flush=True)\ntime.sleep(60)", limits=Limits(wall_s=60))
        if result.stdout:
            break
    assert (result.status, result.stdout) == ("killed", b"on\n"), result
    assert "lifetime" in str(result.detail)
    until(lambda: idle.closed)
    for session in (idle, short):
        with pytest.raises(SessionClosedError):
            session.run("1")
        with pytest.raises(SessionNotFoundError):
            box.get_session(session.id)


def test_there_are_only_so_many(candidate: Candidate):
    with candidate.opened(max_sessions=2, max_sessions_per_caller=1) as box:
        box.open_session(caller="ann")
        with pytest.raises(SandboxBusyError, match="max_sessions_per_caller"):
            box.open_session(caller="ann")
        box.open_session(caller="bob").close()
        box.open_session(caller="bob")
        with pytest.raises(SandboxBusyError, match="max_sessions="):
            box.open_session(caller="cid")


@needs("containers")
def test_no_container_is_left(candidate: Candidate):
    mine = Limits(memory_mb=137)
    with candidate.opened(limits=mine, pool_size=0) as box:

        def count() -> int:
            return sum(found["HostConfig"]["Memory"] == 137 << 20 for found in containers("running"))

        with box.session(limits=mine) as session:
            session.run("import subprocess\nsubprocess.Popen(['sleep', '60'], start_new_session=True)")
            assert count() == 1
        until(lambda: count() == 0)
        box.open_session(limits=mine, idle_s=0.3)
        until(lambda: count() == 0)
        box.open_session(limits=mine)
    assert not [found for found in containers() if found["HostConfig"]["Memory"] == 137 << 20]


@needs("containers")
def test_a_container_ended_from_outside_is_told(candidate: Candidate):
    mine = Limits(memory_mb=139)
    with candidate.opened(limits=mine, pool_size=0) as box:
        session = box.open_session(limits=mine)
        events = session.stream("print('on', flush=True)\nimport time\ntime.sleep(60)")
        next(events)
        for found in containers("running"):
            if found["HostConfig"]["Memory"] == 139 << 20:
                docker("kill", found["Id"])
        last = list(events)[-1]
        assert last.type == "end"
        assert last.result.status in ("sandbox_error", "killed")
        with pytest.raises(SessionClosedError):
            session.run("1")
        assert box.sessions() == []


@pytest.mark.parametrize(
    "arguments",
    [{"limits": Limits(input_files=1), "files": {"a": b"", "b": b""}}, {"files": {"../x": b""}}, {"idle_s": -1},
     {"files": {"/x": b""}}, {"allow_hosts": ["169.254.169.254"]}, {"allow_hosts": ["10.0.0.0/8"]}],
)  # fmt: skip
def test_bad_input_opens_nothing(box: SyncSandbox, arguments: dict[str, Any]):
    before = len(box.sessions())
    with pytest.raises(InvalidRunError) as caught:
        box.open_session(**arguments)
    assert caught.value.status == 400
    assert len(box.sessions()) == before


# Code mode, and the way out


class Calculator:
    """Tools with a limit of their own."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()

    def describe(self) -> Sequence[ToolDescription]:
        schema = {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a"],
        }
        return [ToolDescription(name, f"Do {name}.", schema) for name in ("add", "forbidden", "slow")]

    async def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        if name == "forbidden":
            raise PermissionDeniedError("Not for you.")
        if name == "slow":
            try:
                await asyncio.sleep(60)
            finally:
                self.cancelled.set()
        return {"sum": arguments["a"] + arguments.get("b", 0)}


@needs("tools")
@pytest.mark.parametrize("in_session", [False, True])
def test_code_calls_tools_as_functions(box: SyncSandbox, in_session: bool):
    code = (
        "from polyport_tools import add, forbidden, ToolError\nprint(add(1, 2)['sum'], add(a=5)['sum'])\n"
        "try:\n    forbidden(1)\nexcept ToolError as error:\n    print(error)"
    )
    if in_session:
        with box.session(tools=Calculator()) as session:
            results = [session.run(code) for _ in range(2)]
    else:
        results = [box.run(code, tools=Calculator())]
    for result in results:
        assert (result.status, result.stdout) == ("ok", b"3 5\nNot for you.\n"), result


@needs("tools")
def test_a_tool_s_call_ends_with_its_run(box: SyncSandbox):
    tools = Calculator()
    result = box.run("from polyport_tools import slow\nslow(1)", tools=tools, limits=Limits(wall_s=1.5))
    assert result.status == "timeout"
    assert tools.cancelled.wait(3)


def test_without_tools_there_are_none(box: SyncSandbox):
    result = box.run("import polyport_tools\npolyport_tools.tools()")
    assert result.status == "error"


@needs("network")
def test_only_what_is_allowed_can_be_reached(box: SyncSandbox):
    code = (
        "import urllib.request, urllib.error\n"
        "try:\n    urllib.request.urlopen('http://elsewhere.example/', timeout=5)\n"
        "except urllib.error.HTTPError as error:\n    print(error.code, error.read().decode())\n"
        "import socket\n"
        "try:\n    socket.create_connection(('93.184.215.14', 80), timeout=3)\n"
        "except OSError as error:\n    print('no way out')"
    )
    result = box.run(code, allow_hosts=["example.org"])
    assert b"403" in result.stdout
    assert b"elsewhere.example" in result.stdout
    assert b"allow_hosts" in result.stdout
    assert result.stdout.endswith(b"no way out\n")


class Greeter(http.server.BaseHTTPRequestHandler):
    """A web server that says what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = f"{self.path} {self.headers['Host']} {len(body)}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@needs("network", "containers")
@pytest.mark.parametrize("in_session", [False, True])
def test_an_allowed_host_is_reached(box: SyncSandbox, monkeypatch: pytest.MonkeyPatch, in_session: bool):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Greeter) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        looked_up: list[str] = []

        async def resolve(host: str, port: int) -> list[Address]:
            looked_up.append(f"{host}:{port}")
            return [ipaddress.ip_address("127.0.0.1")]

        async def connect(address: Address, port: int) -> Any:
            return await asyncio.open_connection(str(address), server.server_address[1])

        network = Network(resolve, connect, lambda address: address.is_loopback)
        monkeypatch.setattr("polyport_sandbox.network.egress.Network", lambda: network)
        code = (
            "import urllib.request, socket\n"
            "answer = urllib.request.urlopen('http://api.example.org/path?q', b'x' * 1_000_000, timeout=10)\n"
            "print(answer.read().decode())\n"
            "tunnel = socket.create_connection(('127.0.0.1', 3128), timeout=10)\n"
            "tunnel.sendall(b'CONNECT api.example.org:443 HTTP/1.1\\r\\n\\r\\n')\n"
            "print(tunnel.recv(100).split(b'\\r\\n')[0].decode())\n"
            "tunnel.sendall(b'POST /in HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 0\\r\\n')\n"
            "tunnel.sendall(b'Connection: close\\r\\n\\r\\n')\n"
            "answer = b''\n"
            "while part := tunnel.recv(1000): answer += part\n"
            "print(answer.split(b'\\r\\n')[-1].decode())"
        )
        hosts = ["*.example.org"]
        if in_session:
            with box.session(allow_hosts=hosts) as session:
                result = session.run(code)
        else:
            result = box.run(code, allow_hosts=hosts)
        server.shutdown()
    lines = result.stdout_text.splitlines()
    assert lines == ["/path?q api.example.org 1000000", "HTTP/1.1 200 Connection Established", "/in x 0"], result
    assert looked_up == ["api.example.org:80", "api.example.org:443"]


@pytest.mark.anyio
@pytest.mark.requires("docker", "sandbox")
async def test_a_cancelled_cell_gives_the_session_back():
    async with Sandbox("docker", pool_size=1, gvisor="never") as box, box.session() as session:
        await session.run("x = 1")
        cell = asyncio.create_task(session.run("import time\ntime.sleep(60)"))
        await asyncio.sleep(0.3)
        began = time.monotonic()
        cell.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cell
        assert (await session.run("print(x)")).stdout == b"1\n"
        assert time.monotonic() - began < 3

"""E2B's own client, unmodified, against a gateway: sandboxes, code, files, commands."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import e2b
import httpx
import pytest
from e2b_code_interpreter import Sandbox

from tests.integration.serving_sandboxes import House, house
from tests.support.wires import eventually

pytestmark = pytest.mark.requires("docker", "sandbox")

PICTURE = """
class Picture:
    def _repr_png_(self): return b"\\x89PNG fake"
    def _repr_html_(self): return "<b>bold</b>"
    def __repr__(self): return "a picture"
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("e2b"), sandbox_max_timeout_s=30) as found:
        yield found


@pytest.fixture(scope="module")
def shared(served: House) -> Iterator[Sandbox]:
    sandbox = Sandbox.create(envs={"SHARED": "it's shared"}, **served.options())
    yield sandbox
    sandbox.kill()


# --- sandboxes


def test_a_sandbox_from_its_beginning_to_its_end(served: House):
    sandbox = Sandbox.create(timeout=100, metadata={"who": "a b&c=ü"}, **served.options())
    assert sandbox.sandbox_id.startswith("cntr_")
    assert sandbox.is_running()
    info = sandbox.get_info()
    assert (info.sandbox_id, info.metadata, info.state) == (sandbox.sandbox_id, {"who": "a b&c=ü"}, "running")
    assert abs((info.end_at - info.started_at).total_seconds() - 100) < 2
    assert info.memory_mb == 256
    sandbox.set_timeout(1000)
    assert (sandbox.get_info().end_at - datetime.now(UTC)).total_seconds() > 990
    assert sandbox.kill() is True
    assert not sandbox.is_running()
    assert sandbox.kill() is False
    with pytest.raises(e2b.SandboxNotFoundException):
        sandbox.get_info()
    with pytest.raises(e2b.TimeoutException, match="was not found"):
        sandbox.run_code("1")
    with pytest.raises(e2b.SandboxNotRunningException):
        sandbox.files.read("a")
    with pytest.raises(e2b.SandboxNotRunningException):
        sandbox.files.list(".")
    with pytest.raises(e2b.SandboxNotRunningException):
        sandbox.commands.run("true")


def test_a_sandbox_ends_with_its_timeout(served: House):
    with Sandbox.create(timeout=60, **served.options()) as sandbox:
        sandbox.set_timeout(1)
        eventually(lambda: not sandbox.is_running(), within_s=5)


def test_connecting_from_elsewhere(served: House):
    with Sandbox.create(timeout=60, **served.options()) as sandbox:
        sandbox.run_code("x = 41")
        again = Sandbox.connect(sandbox.sandbox_id, timeout=500, **served.options())
        assert again.run_code("x + 1").text == "42"
        end = again.get_info().end_at
        assert end - datetime.now(UTC) > timedelta(seconds=490)
        Sandbox.connect(sandbox.sandbox_id, timeout=5, **served.options())
        assert again.get_info().end_at == end
    with pytest.raises(e2b.SandboxNotFoundException):
        Sandbox.connect(sandbox.sandbox_id, **served.options())


def test_listing(served: House, shared: Sandbox):
    made = [Sandbox.create(metadata={"n": str(number), "set": "x y"}, **served.options()) for number in range(3)]
    try:
        query = e2b.SandboxQuery(metadata={"set": "x y"})
        pages = Sandbox.list(query=query, limit=2, **served.options())
        first = pages.next_items()
        assert pages.has_next
        found = [*first, *pages.next_items()]
        assert not pages.has_next
        assert [one.sandbox_id for one in found] == [one.sandbox_id for one in reversed(made)]
        every = {one.sandbox_id for one in Sandbox.list(**served.options()).next_items()}
        assert every >= {shared.sandbox_id, *(one.sandbox_id for one in made)}
        one = Sandbox.list(query=e2b.SandboxQuery(metadata={"n": "1", "set": "x y"}), **served.options())
        assert [found.sandbox_id for found in one.next_items()] == [made[1].sandbox_id]
        assert Sandbox.list(**served.options("other")).next_items() == []
    finally:
        for one in made:
            assert Sandbox.kill(one.sandbox_id, **served.options())


def test_a_session_of_another_shape_is_a_sandbox_too(served: House):
    answer = httpx.post(
        f"{served.running.url}/v1/sandbox/sessions", json={}, headers={"authorization": f"Bearer {served.keys['one']}"}
    )
    identity = answer.json()["id"]
    sandbox = Sandbox.connect(identity, **served.options())
    assert sandbox.run_code("6 * 7").text == "42"
    assert sandbox.kill()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"template": "my-own"}, e2b.SandboxException, "404: There is no template 'my-own'"),
        ({"timeout": 90_000}, e2b.SandboxException, "400: .*timeout"),
        ({"timeout": 0}, e2b.SandboxException, "400: .*timeout"),
        ({"allow_internet_access": True}, e2b.SandboxException, "501: .*internet"),
        ({"network": {"allow_out": ["example.org"]}}, e2b.SandboxException, "400: .*example.org"),
        ({"network": {"dns_servers": ["10.0.0.1"]}}, e2b.SandboxException, "501: .*allow_out"),
        ({"lifecycle": {"on_timeout": "pause"}}, e2b.SandboxException, "501: .*pausing"),
        ({"envs": {"A=B": "c"}}, e2b.SandboxException, "400: .*A=B"),
    ],
)
def test_what_there_is_not_is_refused(served: House, options, error, words):
    with pytest.raises(error, match=words):
        Sandbox.create(**options, **served.options())


def test_no_pausing(shared: Sandbox):
    with pytest.raises(e2b.SandboxException, match=r"501: .*pause"):
        shared.pause()
    assert shared.get_metrics() == []


# --- whose it is


def test_keys(served: House):
    with pytest.raises(e2b.AuthenticationException, match="not valid"):
        Sandbox.create(**served.options("wrong"))
    with pytest.raises(e2b.SandboxException, match=r"404: .*run_code"):
        Sandbox.create(**served.options("may not"))
    with pytest.raises(e2b.AuthenticationException):
        Sandbox.list(**served.options("wrong")).next_items()


def test_another_callers_sandbox_does_not_exist(served: House, shared: Sandbox):
    theirs = served.options("other")
    with pytest.raises(e2b.SandboxNotFoundException):
        Sandbox.connect(shared.sandbox_id, **theirs)
    with pytest.raises(e2b.SandboxNotFoundException):
        Sandbox.get_info(shared.sandbox_id, **theirs)
    assert Sandbox.kill(shared.sandbox_id, **theirs) is False
    with pytest.raises(e2b.SandboxNotFoundException):
        Sandbox.set_timeout(shared.sandbox_id, 1, **theirs)
    assert shared.is_running()


def test_a_revoked_key_closes_its_sandboxes_to_it(served: House):
    served.keys["brief"] = served.make_key("brief")
    sandbox = Sandbox.create(**served.options("brief"))
    assert sandbox.run_code("1").text == "1"
    served.wait_for(served.running.gateway.keys.revoke("brief"))
    with pytest.raises(e2b.SandboxException, match="401"):
        sandbox.run_code("1")
    with pytest.raises(e2b.AuthenticationException, match="revoked"):
        sandbox.files.read("a")


# --- code


def test_a_result(shared: Sandbox):
    first = shared.run_code("x = 20\nprint('hello')\nimport sys; print('oh', file=sys.stderr)\nx + 1")
    assert first.text == "21"
    assert (first.logs.stdout, first.logs.stderr) == (["hello\n"], ["oh\n"])
    assert first.error is None
    second = shared.run_code("x * 2")
    assert second.text == "40"
    assert second.execution_count == first.execution_count + 1
    assert shared.run_code("'text'").text == "text"
    assert shared.run_code("None").results == []


def test_rich_results(shared: Sandbox):
    found = shared.run_code(f"{PICTURE}\ndisplay(Picture())\nPicture()").results
    assert [one.is_main_result for one in found] == [False, True]
    for one in found:
        assert one.text == "a picture"
        assert one.html == "<b>bold</b>"
        assert one.png == "iVBORyBmYWtl" or one.png.startswith("iVBOR")
        assert set(one.formats()) == {"text", "html", "png"}
    own = """
class Own:
    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": "own", "application/json": {"a": [1]}, "text/markdown": "*m*", "application/x-own": "o"}
Own()
"""
    (one,) = shared.run_code(own).results
    assert (one.text, one.json, one.markdown, one.extra) == ("own", {"a": [1]}, "*m*", {"application/x-own": "o"})


def test_an_exception(shared: Sandbox):
    execution = shared.run_code("def f():\n    return 1 / 0\nf()")
    assert (execution.error.name, execution.error.value) == ("ZeroDivisionError", "division by zero")
    assert "return 1 / 0" in execution.error.traceback
    assert execution.results == []
    assert shared.run_code("def broken(").error.name == "SyntaxError"


def test_output_comes_while_the_code_runs(shared: Sandbox):
    arrived: list[tuple[str, float]] = []
    errors, results, failures = [], [], []
    began = time.monotonic()
    shared.run_code(
        "import time, sys\nfor i in range(3):\n    print(i); time.sleep(0.3)\nprint('e', file=sys.stderr)\n7",
        on_stdout=lambda message: arrived.append((message.line, time.monotonic() - began)),
        on_stderr=errors.append,
        on_result=results.append,
        on_error=failures.append,
    )
    assert "".join(line for line, _ in arrived) == "0\n1\n2\n"
    assert arrived[0][1] < 0.3
    assert arrived[-1][1] > 0.6
    assert "".join(message.line for message in errors) == "e\n"
    assert abs(errors[0].timestamp / 1e9 - time.time()) < 30
    assert [result.text for result in results] == ["7"]
    assert failures == []
    shared.run_code("1/0", on_error=failures.append)
    assert [failure.name for failure in failures] == ["ZeroDivisionError"]


def test_characters_arrive_whole(shared: Sandbox):
    write = "sys.stdout.buffer.write(bytes([byte])); sys.stdout.flush(); time.sleep(0.02)"
    code = f"import sys, time\nfor byte in 'é☃'.encode():\n    {write}"
    assert "".join(shared.run_code(code).logs.stdout) == "é☃"
    odd = shared.run_code("import sys; sys.stdout.buffer.write(b'a\\xffb')").logs.stdout
    assert "".join(odd) == "a\ufffdb"


def test_environment_variables(shared: Sandbox):
    assert shared.run_code("import os; os.environ['SHARED']").text == '"it\'s shared"'
    assert (
        shared.run_code("os.environ['ONCE'], os.environ['SHARED']", envs={"ONCE": "1", "SHARED": "2"}).text
        == "('1', '2')"
    )
    assert shared.run_code("os.environ.get('ONCE'), os.environ['SHARED']").text == '(None, "it\'s shared")'
    assert shared.run_code('echo "$SHARED $ONCE"', language="bash", envs={"ONCE": "o'n"}).logs.stdout == [
        "it's shared o'n\n"
    ]
    with pytest.raises(e2b.SandboxException, match=r"400.*A B"):
        shared.run_code("1", envs={"A B": "c"})


def test_other_languages(served: House, shared: Sandbox):
    execution = shared.run_code("echo out; exit 3", language="bash")
    assert execution.logs.stdout == ["out\n"]
    assert (execution.error.name, execution.error.value) == ("SystemExit", "3")
    stopped = shared.run_code("import sys; sys.exit(4)")
    assert (stopped.error.name, stopped.error.value) == ("SystemExit", "4")
    if "javascript" in served.running.gateway.sandbox.languages:
        script = "console.log(process.env.SHARED, process.env.ONCE)"
        assert shared.run_code(script, language="js", envs={"ONCE": "1"}).logs.stdout == ["it's shared 1\n"]
    with pytest.raises(e2b.SandboxException, match=r"400.*does not run 'r'"):
        shared.run_code("1", language="r")


def test_a_client_that_gives_up_stops_the_code(shared: Sandbox):
    began = time.monotonic()
    with pytest.raises(e2b.TimeoutException):
        shared.run_code(
            "open('beat', 'w')\nimport time\nwhile True:\n    open('beat', 'a').write('x'); time.sleep(0.02)", timeout=1
        )
    # Would wait for its turn if the other still ran.
    assert shared.run_code("40 + 2").text == "42"
    assert time.monotonic() - began < 4
    size = len(shared.files.read("beat"))
    time.sleep(0.3)
    assert len(shared.files.read("beat")) == size


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("x = [b'x' * (1 << 20) + b'y' for _ in range(10_000)]", "ContextRestarting"),
        ("while True: print('x' * 100_000)", "OutputLimitError"),
        ("import os; os.kill(os.getpid(), 9)", "ContextRestarting"),
        ("import os; os._exit(9)", "ContextRestarting"),
    ],
)
def test_code_that_is_stopped(served: House, code: str, name: str):
    with Sandbox.create(envs={"KEPT": "1"}, **served.options()) as sandbox:
        sandbox.run_code("1")
        execution = sandbox.run_code(code)
        assert execution.error.name == name
        assert sandbox.run_code("import os; os.environ['KEPT']").text == "1"


def test_the_sandbox_s_end_ends_its_code(served: House):
    sandbox = Sandbox.create(**served.options())
    threading.Timer(1, sandbox.kill).start()
    began = time.monotonic()
    execution = sandbox.run_code("print('on', flush=True)\nimport time; time.sleep(60)")
    assert time.monotonic() - began < 5
    assert "".join(execution.logs.stdout) == "on\n"
    assert execution.error.name == "ContextRestarting"
    assert "the session ended" in execution.error.value


# --- contexts


def test_contexts(shared: Sandbox):
    shared.run_code("here = 1")
    context = shared.create_code_context(cwd="/tmp")
    assert (context.language, context.cwd) == ("python", "/tmp")
    assert shared.run_code("here", context=context).error.name == "NameError"
    assert shared.run_code("import os; there = os.getcwd(); there", context=context).text == "/tmp"
    assert shared.run_code("os.environ['SHARED']", context=context).text == '"it\'s shared"'
    assert context.id in {one.id for one in shared.list_code_contexts()}
    shared.restart_code_context(context)
    assert shared.run_code("there", context=context).error.name == "NameError"
    assert shared.run_code("import os; os.getcwd()", context=context).text == "/tmp"
    shared.remove_code_context(context)
    assert context.id not in {one.id for one in shared.list_code_contexts()}
    with pytest.raises(e2b.NotFoundException, match="not found"):
        shared.run_code("1", context=context)
    with pytest.raises(e2b.NotFoundException):
        shared.restart_code_context("nothing")
    assert shared.run_code("here").text == "1"
    shared.restart_code_context("default")
    assert shared.run_code("here").error.name == "NameError"
    assert shared.run_code("import os; os.environ['SHARED']").text == '"it\'s shared"'
    bash = shared.create_code_context(language="bash", cwd="/tmp")
    assert shared.run_code("pwd", context=bash).logs.stdout == ["/tmp\n"]


def test_a_context_whose_folder_is_missing(shared: Sandbox):
    context = shared.create_code_context(cwd="/nowhere")
    assert shared.run_code("1", context=context).error.name == "FileNotFoundError"
    shared.remove_code_context(context)


# --- files


def test_files(shared: Sandbox):
    written = shared.files.write("/home/user/in/a.txt", "hello")
    assert (written.name, written.path) == ("a.txt", "/work/in/a.txt")
    assert shared.run_code("open('/work/in/a.txt').read()").text == "hello"
    assert shared.files.read("in/a.txt") == "hello"
    assert shared.files.read("/work/in/a.txt", format="bytes") == bytearray(b"hello")
    assert b"".join(shared.files.read("in/a.txt", format="stream")) == b"hello"
    binary = bytes(range(256)) * 1000
    shared.files.write("bin", binary)
    assert bytes(shared.files.read("bin", format="bytes")) == binary
    several = [{"path": "many/ü x.txt", "data": "1"}, {"path": "/home/user/many/b.txt", "data": b"2"}]
    assert [one.path for one in shared.files.write_files(several)] == ["/work/many/ü x.txt", "/work/many/b.txt"]
    assert shared.files.read("many/ü x.txt") == "1"
    shared.files.write("packed", "z" * 100_000, gzip=True)
    assert shared.files.read("packed", gzip=True) == "z" * 100_000


def test_files_that_are_streamed(shared: Sandbox, tmp_path):
    path = tmp_path / "large"
    path.write_bytes(b"0123456789" * 200_000)
    with path.open("rb") as source:
        shared.files.write("large", source)
    assert shared.run_code("import os; os.path.getsize('large')").text == "2000000"


def test_signed_urls(shared: Sandbox):
    shared.files.write("signed é.txt", "hello")
    url = shared.download_url("signed é.txt")
    assert httpx.get(url).text == "hello"
    assert httpx.get(shared.download_url("signed é.txt", use_signature_expiration=30)).text == "hello"
    assert httpx.get(shared.download_url("signed é.txt", use_signature_expiration=-30)).status_code == 401
    assert httpx.get(url.replace("signed", "other")).status_code == 401
    assert httpx.post(url, files={"file": ("x", b"y")}).status_code == 401
    upload = shared.upload_url("up.txt")
    assert httpx.post(upload, files={"file": ("whatever", b"sent")}).status_code == 200
    assert shared.files.read("up.txt") == "sent"
    assert httpx.get(upload).status_code == 401


def test_folders(served: House):
    with Sandbox.create(**served.options()) as sandbox:
        files = sandbox.files
        assert files.make_dir("a/b/c") is True
        assert files.make_dir("a/b/c") is False
        files.write("a/one.txt", "1")
        files.write("a/b/two.txt", "22")
        assert [(one.name, one.type.value, one.size) for one in files.list("a")] == [
            ("b", "dir", 0),
            ("one.txt", "file", 1),
        ]
        assert [one.path for one in files.list("/home/user", depth=3)] == [
            "/work/a",
            "/work/a/b",
            "/work/a/b/c",
            "/work/a/b/two.txt",
            "/work/a/one.txt",
        ]
        info = files.get_info("a/b/two.txt")
        assert (info.name, info.size, info.type.value) == ("two.txt", 2, "file")
        assert abs((datetime.now(UTC) - info.modified_time).total_seconds()) < 60
        assert files.get_info(".").type.value == "dir"
        assert files.exists("a/one.txt")
        assert not files.exists("a/none/none")
        moved = files.rename("a/one.txt", "new/it's here.txt")
        assert moved.path == "/work/new/it's here.txt"
        assert files.read("new/it's here.txt") == "1"
        assert not files.exists("a/one.txt")
        files.remove("a")
        assert not files.exists("a/b/two.txt")


def test_files_that_are_not_there(shared: Sandbox):
    files = shared.files
    with pytest.raises(e2b.FileNotFoundException):
        files.read("none")
    with pytest.raises(e2b.FileNotFoundException):
        files.list("none")
    with pytest.raises(e2b.FileNotFoundException):
        files.get_info("none")
    with pytest.raises(e2b.FileNotFoundException):
        files.remove("none")
    with pytest.raises(e2b.FileNotFoundException):
        files.rename("none", "some")
    files.write("file", "x")
    with pytest.raises(e2b.InvalidArgumentException, match="is a file"):
        files.list("file")


@pytest.mark.parametrize("path", ["/etc/passwd", "../up", "a/../../up", "/home/other/x", "/home/user/../x"])
def test_paths_outside_the_working_folder(shared: Sandbox, path: str):
    for attempt in (
        lambda: shared.files.read(path),
        lambda: shared.files.write(path, "x"),
        lambda: shared.files.list(path),
        lambda: shared.files.remove(path),
        lambda: shared.files.rename("file", path),
        lambda: shared.files.make_dir(path),
    ):
        with pytest.raises(e2b.InvalidArgumentException, match="working folder"):
            attempt()


def test_links_lead_nowhere(shared: Sandbox):
    shared.run_code("import os; os.symlink('/etc/passwd', 'link'); os.symlink('/etc', 'etc')")
    for path in ("link", "etc/passwd"):
        with pytest.raises(e2b.SandboxException):
            shared.files.read(path)
    assert not {"link", "etc"} & {one.name for one in shared.files.list(".")}


def test_no_watching_and_no_metadata(shared: Sandbox):
    with pytest.raises(e2b.SandboxException, match="can't be watched"):
        shared.files.watch_dir(".")
    with pytest.raises(e2b.TemplateException):
        shared.files.write("a", "b", metadata={"a": "b"})


# --- commands


def test_a_command(shared: Sandbox):
    out, err = [], []
    result = shared.commands.run(
        'echo out; echo err >&2; pwd; echo "$SHARED $ONE"',
        envs={"ONE": "1"},
        cwd="/home/user/..",
        on_stdout=out.append,
        on_stderr=err.append,
    )
    assert (result.stdout, result.stderr, result.exit_code) == ("out\n/home\nit's shared 1\n", "err\n", 0)
    assert ("".join(out), "".join(err)) == (result.stdout, result.stderr)
    assert shared.commands.run("pwd").stdout == "/work\n"
    assert shared.commands.run("printf 'é'").stdout == "é"


def test_a_command_that_fails(shared: Sandbox):
    with pytest.raises(e2b.CommandExitException) as caught:
        shared.commands.run("echo before; exit 3")
    assert (caught.value.exit_code, caught.value.stdout) == (3, "before\n")
    with pytest.raises(e2b.CommandExitException) as caught:
        shared.commands.run("no-such-program")
    assert caught.value.exit_code == 127


def test_a_command_beyond_its_time(shared: Sandbox):
    began = time.monotonic()
    with pytest.raises(e2b.TimeoutException):
        shared.commands.run("sleep 60", timeout=1)
    assert shared.commands.run("echo next").stdout == "next\n"
    assert time.monotonic() - began < 5


def test_commands_in_the_background(served: House):
    with Sandbox.create(**served.options()) as sandbox:
        handle = sandbox.commands.run("echo begun; sleep 60", background=True)
        (shown,) = sandbox.commands.list()
        assert (shown.pid, shown.cmd, shown.args[-1]) == (handle.pid, "/bin/bash", "echo begun; sleep 60")
        began = time.monotonic()
        assert handle.kill() is True
        with pytest.raises(e2b.CommandExitException) as caught:
            handle.wait()
        assert time.monotonic() - began < 3
        assert (caught.value.exit_code, caught.value.error) == (-1, "signal: killed")
        assert sandbox.commands.kill(handle.pid) is False
        assert sandbox.commands.list() == []
        for pieces in sandbox.commands.run("for i in 1 2; do echo $i; sleep 0.2; done", background=True):
            assert pieces[0] in ("1\n", "2\n")


def test_what_commands_can_not(shared: Sandbox):
    with pytest.raises(e2b.SandboxException, match="no input while it runs"):
        shared.commands.run("cat", stdin=True, background=True)
    with pytest.raises(e2b.SandboxException, match="can't be joined"):
        shared.commands.connect(1)
    with pytest.raises(e2b.SandboxException, match="terminals"):
        shared.pty.create(e2b.PtySize(80, 24))
    with pytest.raises(e2b.InvalidArgumentException, match="A=B"):
        shared.commands.run("true", envs={"A=B": "c"})

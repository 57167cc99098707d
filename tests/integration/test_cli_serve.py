"""The command line as people run it: real processes, real sockets."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

POLYPORT = [sys.executable, "-m", "polyport_gateway.cli"]
APP = '''
from polyport import App, Context

app = App("demo")

@app.function
def add(a: int, b: int) -> int:
    """Add two integers."""
    return a + b

@app.function
def slow(ctx: Context) -> str:
    ctx.progress(1, 2, "half")
    return "done"

@app.pipeline
def ask(question: str):
    yield "You asked: "
    yield question
'''


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    return tmp_path


def run(folder, *arguments, stdin="", **environment):
    return subprocess.run(
        [*POLYPORT, *arguments],
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, **environment},
        check=False,
    )


class Served:
    """A `polyport serve` process; reads its output until the address appears."""

    def __init__(self, folder, *arguments):
        with (folder / "stderr.txt").open("w") as errors:
            self.process = subprocess.Popen(
                [*POLYPORT, "serve", *arguments, "--port", "0"],
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self.output = ""

    def url(self):
        for line in self.process.stdout:
            self.output += line
            if found := re.search(r"served at (http://\S+)", line):
                return found[1]
        raise AssertionError(f"it ended with {self.process.wait()}")


@contextlib.contextmanager
def served(folder, *arguments):
    server = Served(folder, *arguments)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.terminate()
            try:
                server.process.wait(10)
            except subprocess.TimeoutExpired:
                server.process.kill()
                server.process.wait()
        server.process.stdout.close()


def wait_until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_serve_and_call_over_http(folder):
    with served(folder) as server:
        url = server.url()
        assert run(folder, "call", "add", "a=1", "b=2", "--url", url).stdout == "3\n"
        assert run(folder, "call", "slow", POLYPORT_BASE_URL=url).stdout == "done\n"
        assert run(folder, "call", "ask", "why", "--url", url).stdout == "You asked: why\n"
        assert run(folder, "chat", "ask", "--url", url, stdin="from a pipe").stdout == "You asked: from a pipe\n"
        listed = run(folder, "list", "--url", url)
        assert listed.stdout.splitlines()[0] == "add\tfunction\tAdd two integers."
        failed = run(folder, "call", "add", "a=x", "b=1", "--url", url)
        assert failed.returncode == 1
        assert "Invalid arguments for 'add'" in failed.stderr
        unknown = run(folder, "chat", "nope", "hi", "--url", url)
        assert unknown.returncode == 1
        assert "'nope' does not exist" in unknown.stderr
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(10) == 0
        rest = server.process.stdout.read()
        assert "claude mcp add --transport http demo" in rest
        assert f"OPENAI_BASE_URL={url}/v1" in rest
        assert "\x1b" not in server.output + rest
    used = json.loads(run(folder, "usage", "--json").stdout)
    assert {row["name"]: row["calls"] for row in used if row["name"] in ("slow", "ask")} == {"slow": 1, "ask": 2}


def test_interrupting_ends_with_130(folder):
    with served(folder) as server:
        server.url()
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(10) == 130


def test_keys_guard_the_gateway_and_are_revoked_while_it_runs(folder):
    token = run(folder, "keys", "create", "k", "--allow", "add").stdout.strip()
    with served(folder) as server:
        url = server.url()
        refused = run(folder, "list", "--url", url)
        assert refused.returncode == 1
        assert "--api-key" in refused.stderr
        seen = run(folder, "list", "--url", url, "--api-key", token)
        assert seen.stdout == "add\tfunction\tAdd two integers.\n"
        run(folder, "keys", "revoke", "k")
        assert wait_until(lambda: run(folder, "list", "--url", url, POLYPORT_API_KEY=token).returncode == 1)
        assert token not in (folder / "stderr.txt").read_text()


def test_another_address_needs_a_key(folder):
    result = run(folder, "serve", "--host", "0.0.0.0", "--port", "0")
    assert result.returncode == 2
    assert "polyport keys create" in result.stderr


def test_a_port_in_use_names_its_holder(folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = run(folder, "serve", "--port", str(taken.getsockname()[1]))
    assert result.returncode == 2
    assert "--port" in result.stderr
    assert f"(pid {os.getpid()})" in result.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(:\n", "app.py, line 1: invalid syntax"),
        (APP + "\n@app.function('add')\ndef more(): ...\n", "the name 'add' is registered already"),
        (APP + "\nclass Odd: ...\n@app.function\ndef odd(x: Odd): ...\n", "function 'odd'"),
        (APP + "\napp.agent('helper', model='gtp')\n", "agent 'helper': there is no model 'gtp'"),
        (APP + "\napp.model('m', engine='nope')\n", "there is no engine 'nope'"),
    ],
)
def test_a_wrong_app_is_described_without_a_traceback(folder, text, message):
    (folder / "app.py").write_text(text, encoding="utf-8")
    result = run(folder, "serve", "--port", "0")
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_reload_survives_a_syntax_error_and_keeps_its_address(folder):
    def answers(a, b):
        body = json.dumps({"a": a, "b": b}).encode()
        request = urllib.request.Request(f"{url}/v1/functions/add", body, {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return json.load(answer)["result"]
        except OSError:
            return None

    def log():
        return (folder / "stderr.txt").read_text()

    with served(folder, "--reload") as server:
        url = server.url()
        assert answers(2, 3) == 5
        (folder / "app.py").write_text("def broken(:\n", encoding="utf-8")
        assert wait_until(lambda: "mend the app" in log())
        assert "app.py, line 1: invalid syntax" in log()
        assert server.process.poll() is None
        refused = run(folder, "list", "--url", url)
        assert refused.returncode == 1
        assert "can't be loaded" in refused.stderr
        (folder / "app.py").write_text(APP.replace("a + b", "a * b"), encoding="utf-8")
        assert server.url() == url
        assert answers(2, 3) == 6
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(10) == 130
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=2)


def test_help_loads_nothing_heavy(folder):
    code = "import sys; sys.argv = ['polyport', '--help']\ntry:\n  from polyport_gateway.cli import main; main()\n"
    code += "except SystemExit: pass\n"
    code += "heavy = {'mcp', 'sqlalchemy', 'starlette', 'pydantic', 'uvicorn', 'aiohttp', 'httpx', 'rich', 'alembic'}\n"
    code += "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert result.stderr.strip() == "[]"
    assert "Exit codes" in result.stdout


def test_without_the_gateways_packages_the_pip_line_is_shown():
    code = "import sys; sys.modules['typer'] = None\nfrom polyport_gateway.cli import main; main()"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert result.returncode == 2
    assert 'pip install "polyport[gateway]"' in result.stderr
    assert "Traceback" not in result.stderr


def test_mcp_over_standard_input_and_output(folder):
    import anyio
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    (folder / "app.py").write_text(
        APP + "\n@app.function\ndef noisy() -> str:\n    print('noise')\n    return 'quiet'\n"
    )

    async def talk():
        command = StdioServerParameters(command=POLYPORT[0], args=[*POLYPORT[1:], "mcp", "app.py"], cwd=folder)
        with (folder / "stderr.txt").open("w") as errors:
            async with stdio_client(command, errlog=errors) as (read, write), ClientSession(read, write) as session:
                await session.initialize()
                tools = {tool.name for tool in (await session.list_tools()).tools}
                assert {"add", "noisy", "ask"} <= tools
                result = await session.call_tool("add", {"a": 1, "b": 2})
                assert result.structured_content == {"result": 3}
                noisy = await session.call_tool("noisy", {})
                assert noisy.content[0].text == "quiet"

    anyio.run(talk)
    assert "noise" in (folder / "stderr.txt").read_text()


def test_a_conversation_on_a_terminal(folder):
    import pty

    (folder / "app.py").write_text(
        "import asyncio\nfrom polyport import App\napp = App('demo')\n"
        "@app.pipeline\nasync def ask(question: str):\n    yield f'<{question}>'\n"
        "    if question == 'slow':\n        await asyncio.sleep(60)\n",
        encoding="utf-8",
    )
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        [*POLYPORT, "chat", "ask", "--app", "app.py"],
        cwd=folder,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0),
    )
    os.close(terminal)
    shown = b""

    def see(text):
        nonlocal shown
        end = time.monotonic() + 20
        while text not in shown:
            assert time.monotonic() < end, shown
            shown += os.read(main, 4096)
        shown = shown[shown.index(text) + len(text) :]

    try:
        see(b"Ctrl-D leaves")
        see(b"> ")
        os.write(main, b"hello\n")
        see(b"<hello>")
        see(b"> ")
        os.write(main, b"slow\n")
        see(b"<slow>")
        os.write(main, b"\x03")
        see(b"(stopped)")
        see(b"> ")
        os.write(main, b"again\n")
        see(b"<again>")
        see(b"> ")
        os.write(main, b"\x04")
        assert process.wait(10) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(main)

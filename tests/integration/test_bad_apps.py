"""App files, settings and folders that can't be used: said without a traceback, over `serve` and over `mcp`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.peers import clean_environment
from tests.support.wires import LEGACY

APP = 'from polyport import App\napp = App("demo")\n\n@app.function\ndef add(a: int) -> int:\n    return a\n'

WRONG_APPS = {
    "syntax": ("def broken(:\n", "app.py, line 1: invalid syntax"),
    "null bytes": ("x = 1\0", "null bytes"),
    "import": (APP + "import no_such_module_here\n", "no_such_module_here"),
    "raises": (APP + "raise ValueError('hunter2 is wrong')\n", "can't be imported"),
    "exits": (APP + "import sys; sys.exit(3)\n", "ends the program"),
    "no app": ("x = 1\n", 'write app = App("name")'),
    "two apps": (APP + "other = App('other')\n", "several apps"),
    "empty": ("", "has no App"),
    "duplicate": (APP + "app.function(add)\n", "'add' is registered already"),
    "signature": (APP + "class Odd: ...\n@app.function\ndef odd(x: Odd): ...\n", "odd"),
    "star": (APP + "@app.function\ndef odd(*args): ...\n", "odd"),
    "name": (APP + "app.function(lambda: 1)\n", "lambda"),
    "engine": (APP + "app.model('m', engine='nope')\n", "there is no engine 'nope'"),
    "option": (APP + "app.model('m', engine='openai', model='x', colour='red')\n", "colour"),
    "key": (APP + "app.model('m', engine='openai', model='x', api_key_env='NOT_SET_HERE')\n", "NOT_SET_HERE"),
    "agent": (APP + "app.agent('a', model='gtp')\n", "'gtp'"),
    "tool": (APP + "app.model('e', engine='echo')\napp.agent('a', model='e', tools=['nope'])\n", "'nope'"),
}


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "polyport_gateway.cli", *arguments],
        cwd=folder,
        input="",
        capture_output=True,
        text=True,
        timeout=30,
        env=clean_environment(**environment),
        check=False,
    )


def check_refusal(result: subprocess.CompletedProcess[str], message: str) -> None:
    assert result.returncode == 2, result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert "site-packages" not in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("kind", "command"),
    [*((kind, "serve") for kind in WRONG_APPS), ("syntax", "mcp"), ("raises", "mcp"), ("no app", "mcp")],
)
def test_an_app_that_cannot_be_used(tmp_path, kind, command):
    text, message = WRONG_APPS[kind]
    (tmp_path / "app.py").write_text(text, encoding="utf-8")
    options = ["--port", "0"] if command == "serve" else []
    check_refusal(run(tmp_path, command, "app.py", *options), message)


@pytest.mark.parametrize(
    ("arguments", "environment", "toml", "message"),
    [
        (["nothing.py"], {}, None, "there is no file nothing.py"),
        (["."], {}, None, "is a folder"),
        (["app.py:none"], {}, None, "has no 'none'"),
        (["app.py"], {}, "port = \n", "polyport.toml"),
        (["app.py"], {}, "prot = 8400\n", "prot"),
        (["app.py"], {}, 'port = "many"\n', "port"),
        (["app.py", "--config", "none.toml"], {}, None, "none.toml"),
        (["app.py", "--port", "99999"], {}, None, "port"),
        (["app.py"], {"POLYPORT_PORT": "many"}, None, "port"),
        (["app.py"], {"POLYPORT_MAX_BODY_BYTES": "-1"}, None, "max_body_bytes"),
        (["app.py", "--data-dir", "app.py"], {}, None, "app.py"),
        (["app.py", "--data-dir", "/proc/polyport"], {}, None, "/proc/polyport"),
        (["app.py", "--database-url", "mysql://x"], {}, None, "mysql"),
        (["app.py", "--database-url", "postgresql://u:hunter2@127.0.0.1:1/x"], {}, None, "postgres"),
        (["app.py", "--host", "192.0.2.1", "--port", "0"], {}, None, "192.0.2.1"),
    ],
)
def test_settings_that_cannot_be_used(tmp_path, arguments, environment, toml, message):
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    if toml is not None:
        (tmp_path / "polyport.toml").write_text(toml, encoding="utf-8")
    result = run(tmp_path, "serve", *arguments, **environment)
    check_refusal(result, message)
    assert "hunter2" not in result.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_data_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    (tmp_path / "data").mkdir(mode=0o500)
    check_refusal(run(tmp_path, "serve", "app.py", "--data-dir", "data", "--port", "0"), "can't be written")


def test_a_database_file_that_is_none(tmp_path):
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    (tmp_path / ".polyport").mkdir()
    (tmp_path / ".polyport" / "polyport.sqlite3").write_bytes(b"rubbish" * 1000)
    check_refusal(run(tmp_path, "serve", "app.py", "--port", "0"), "not an SQLite database")


NOISY = """
import os, subprocess, sys
from polyport import App

print("at import")
app = App("noisy")

@app.function
def prints() -> str:
    for _ in range(100):
        print("x" * 1_000_000)
    return "printed"

@app.function
def writes() -> str:
    sys.__stdout__.write("raw\\n")
    sys.__stdout__.flush()
    os.write(1, b"lower\\n")
    subprocess.run(["echo", "child"])
    return "written"

@app.function
def reads() -> str:
    return repr(sys.stdin.read(10))

@app.function
def exits() -> str:
    sys.exit(3)
"""


def test_nothing_that_a_function_prints_gets_between_mcp_messages(tmp_path):
    (tmp_path / "app.py").write_text(NOISY, encoding="utf-8")
    command = [sys.executable, "-m", "polyport_gateway.cli", "mcp", "app.py"]
    with (tmp_path / "errors.txt").open("wb") as errors:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=clean_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
        )

    def say(message: dict[str, Any]) -> None:
        process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        process.stdin.flush()

    def hear() -> Any:
        return json.loads(process.stdout.readline())

    try:
        hello = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        say({"id": 0, "method": "initialize", "params": hello})
        assert hear()["id"] == 0
        say({"method": "notifications/initialized"})
        process.stdin.write(b"{half a message\n")
        for number, name in enumerate(["prints", "writes", "reads", "exits", "prints"], 1):
            say({"id": number, "method": "tools/call", "params": {"name": name, "arguments": {}}})
            answer = hear()
            while answer.get("id") != number:  # what the half message got
                assert "error" in answer or "method" in answer
                answer = hear()
            assert answer["result"].get("isError", False) is (name == "exits"), answer
        process.stdin.close()
        assert process.wait(10) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()
    printed = (tmp_path / "errors.txt").read_bytes()
    assert len(printed) > 200_000_000
    for text in (b"at import", b"raw", b"lower", b"child"):
        assert text in printed

"""Every example runs offline and does what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from polyport import Client
from tests.support.machine import ROOT
from tests.support.peers import Server, clean_environment, free_port, gateway, serve

EXAMPLES = ROOT / "examples"
TESTED = {
    "custom_engine",
    "documents",
    "embedded",
    "mcp_client",
    "openai_client",
    "quickstart",
    "sandbox",
    "testing_your_app",
    "upstream_openai",
}


def run(tmp_path: Path, *command: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_example_is_tested() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == TESTED


def test_openai_client(quickstart: Server, tmp_path: Path) -> None:
    assert run(tmp_path, EXAMPLES / "openai_client.py", quickstart.url).splitlines() == [
        "names: add, count_words, countdown, handbook, handbook_search, lookup, desk, parrot, helper",
        "parrot: Hello, 你好!",
        "add: 3",
        "handbook: Travel by train is booked through the front desk. [1] Flights are taken where the train needs more "
        "than six hours. [1] A trip of more than 1,000 euros is approved by the head of Finance before it is booked. "
        "[1]",
        "  from Travel",
        "desk: The canteen is open from half past eleven to two.",
        "helper: 42",
        "nobody: 404 model_not_found",
    ]


def test_documents(tmp_path: Path) -> None:
    assert run(tmp_path, EXAMPLES / "documents.py").splitlines()[-6:] == [
        "4 blocks, 1 table, left out: []",
        "chunk 0: Prices",
        "chunk 1: Prices › Hours",
        "tool: 167 characters, next: None",
        "refused: document_not_found",
        "refused: unreadable_document",
    ]


@pytest.mark.requires("docker", "sandbox")
def test_sandbox(tmp_path: Path) -> None:
    assert run(tmp_path, EXAMPLES / "sandbox.py").splitlines() == [
        "run: ok HELLO",
        "session: 12.57",
        "endless: timeout",
        "sandboxed function: 43.0",
        "code mode: 7.5",
    ]


def test_mcp_client(quickstart: Server, tmp_path: Path) -> None:
    assert run(tmp_path, EXAMPLES / "mcp_client.py", quickstart.url).splitlines() == [
        "tools: add, count_words, countdown, handbook, handbook_search, lookup, desk, parrot, helper",
        "add: {'result': 3}",
        "handbook: The head of Engineering decides whether customers are told, and within 72 hours the authority is. "
        "[1] from handbook/security.pdf page 2",
        "  1 of 3: 3 …",
        "  2 of 3: 2 …",
        "  3 of 3: 1 …",
        "countdown: {'result': 'lift-off'}",
        "resource: Parcels are at the front desk from ten o'clock.",
        "prompt: Summarise the following in Chinese, in three sentences at most:",
    ]


def test_embedded(tmp_path: Path) -> None:
    assert run(tmp_path, EXAMPLES / "embedded.py").splitlines() == [
        "divide: 0.25",
        "parrot: Hello!",
        "refused: Nothing can be divided by zero.",
    ]


def test_testing_your_app(tmp_path: Path) -> None:
    out = run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", EXAMPLES / "testing_your_app.py")
    assert "4 passed" in out


def test_quickstart_counts_chinese(quickstart: Server) -> None:
    with Client(quickstart.url) as client:
        counted = client.functions.call("count_words", text="今天天气很好, let us walk 10 km.")
    assert counted == {"characters": 26, "chinese": 6, "words": 5, "reading_minutes": 0.04}


def test_quickstart_refuses_what_it_does_not_know(quickstart: Server) -> None:
    answer = httpx.post(f"{quickstart.url}/v1/functions/lookup", json={"topic": "salaries"})
    assert answer.status_code == 400
    assert "topic" in answer.json()["error"]["message"]


def test_custom_engine(tmp_path: Path) -> None:
    with gateway(EXAMPLES / "custom_engine.py", data_dir=tmp_path) as server, Client(server.url) as client:
        assert client.chat("morse", "SOS").choices[0].message.content == "... --- ... "
        with client.chat("morse", "SOS", stream=True) as stream:
            assert stream.text() == "... --- ... "
        refused = httpx.post(
            f"{server.url}/v1/chat/completions",
            json={"model": "morse", "n": 2, "messages": [{"role": "user", "content": "SOS"}]},
        )
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "unsupported_parameter"


def test_upstream_openai(quickstart: Server, tmp_path: Path) -> None:
    """The upstream is another Polyport: the quickstart, whose parrot stands in for a model."""
    port = free_port()
    environment = clean_environment(
        POLYPORT_DATA_DIR=str(tmp_path),
        UPSTREAM_URL=f"{quickstart.url}/v1",
        UPSTREAM_MODEL="parrot",
        UPSTREAM_KEY="none",
    )
    app = EXAMPLES / "upstream_openai.py"
    command = [sys.executable, "-m", "polyport_gateway.cli", "serve", app, "--port", str(port)]
    with serve(command, port=port, ready="/healthz", env=environment) as server, Client(server.url) as client:
        assert client.chat("assistant", "Hello").choices[0].message.content == "Hello"
        assert client.chat("calculator", '/tool add {"a": 2, "b": 3}').choices[0].message.content == "5"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_importing_an_example_starts_nothing(path: Path, tmp_path: Path) -> None:
    run(tmp_path, "-c", f"import runpy; runpy.run_path({str(path)!r}, run_name='example')")

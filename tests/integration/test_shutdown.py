"""Stopping while calls run: they finish within the grace, rows are written, and nothing is left behind."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.support.peers import clean_environment, free_port, wait_until_answering

APP = """
import asyncio
import subprocess
import sys
import time

from polyport import App

app = App("stopping")

@app.function
async def waits(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"

@app.function
def sleeps(seconds: float) -> str:
    time.sleep(seconds)
    return "done"

@app.function
def exits() -> str:
    sys.exit(3)

@app.pipeline
async def talks(question: str):
    for i in range(int(question)):
        yield f"{i} "
        await asyncio.sleep(0.1)
"""


@contextmanager
def served(folder: Path, **settings: str) -> Any:
    (folder / "app.py").write_text(APP, encoding="utf-8")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = clean_environment(**{f"POLYPORT_{name.upper()}": value for name, value in settings.items()})
    with (folder / "stderr.txt").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "polyport_gateway.cli", "serve", "app.py", "--port", str(port)],
            cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=errors,
        )  # fmt: skip
    try:
        wait_until_answering(f"{url}/healthz")
        yield process, url
    finally:
        process.kill()
        process.wait()


class Calls:
    """Requests made from threads, and what became of them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: dict[str, Any] = {}
        self._threads: list[threading.Thread] = []

    def start(self, label: str, path: str, body: dict[str, Any]) -> None:
        def work() -> None:
            try:
                answer = httpx.post(self.url + path, json=body, timeout=30)
                self.answers[label] = (answer.status_code, answer.text)
            except httpx.HTTPError as error:
                self.answers[label] = error

        thread = threading.Thread(target=work)
        thread.start()
        self._threads.append(thread)

    def join(self) -> dict[str, Any]:
        for thread in self._threads:
            thread.join(30)
        return self.answers


def rows(folder: Path) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(folder / ".polyport" / "polyport.sqlite3")) as connection:
        return connection.execute("select name, status, code from usage order by name").fetchall()


def test_running_calls_finish_within_the_grace(tmp_path):
    with served(tmp_path, shutdown_grace_s="10") as (process, url):
        calls = Calls(url)
        calls.start("async", "/v1/functions/waits", {"seconds": 1.5})
        calls.start("sync", "/v1/functions/sleeps", {"seconds": 1.5})
        body = {"model": "talks", "messages": [{"role": "user", "content": "15"}], "stream": True}
        calls.start("stream", "/v1/chat/completions", body)
        time.sleep(0.6)
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        answers = calls.join()
        assert process.wait(10) == 0
    assert answers["async"][0] == 200
    assert answers["sync"][0] == 200
    assert "14 " in answers["stream"][1]
    assert "[DONE]" in answers["stream"][1]
    assert [row[:2] for row in rows(tmp_path)] == [("sleeps", 200), ("talks", 200), ("waits", 200)]
    assert not any(child.is_running() for child in children)
    assert "Traceback" not in (tmp_path / "stderr.txt").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_calls_that_take_longer_are_cancelled_and_recorded(tmp_path, number):
    with served(tmp_path, shutdown_grace_s="1") as (process, url):
        calls = Calls(url)
        calls.start("async", "/v1/functions/waits", {"seconds": 60})
        calls.start("sync", "/v1/functions/sleeps", {"seconds": 60})
        body = {"model": "talks", "messages": [{"role": "user", "content": "600"}], "stream": True}
        calls.start("stream", "/v1/chat/completions", body)
        time.sleep(0.6)
        started = time.monotonic()
        process.send_signal(number)
        assert process.wait(15) == (0 if number == signal.SIGTERM else 130)
        assert time.monotonic() - started < 8
        answers = calls.join()
    for label in ("async", "sync"):
        status, text = answers[label]
        assert (status, "shutting down" in text) == (503, True)
    assert rows(tmp_path) == [
        ("sleeps", 499, "cancelled"), ("talks", 499, "cancelled"), ("waits", 499, "cancelled")
    ]  # fmt: skip
    assert "Traceback" not in (tmp_path / "stderr.txt").read_text()


def test_a_function_that_exits_does_not_end_the_process(tmp_path):
    with served(tmp_path) as (process, url):
        for _ in range(3):
            answer = httpx.post(f"{url}/v1/functions/exits", json={})
            assert (answer.status_code, answer.json()["error"]["code"]) == (500, "function_error")
        assert httpx.post(f"{url}/v1/functions/waits", json={"seconds": 0}).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_new_connections_are_refused_once_it_stops(tmp_path):
    with served(tmp_path, shutdown_grace_s="5") as (process, url):
        calls = Calls(url)
        calls.start("async", "/v1/functions/waits", {"seconds": 2})
        time.sleep(0.4)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/healthz")
        assert calls.join()["async"][0] == 200
        assert process.wait(10) == 0

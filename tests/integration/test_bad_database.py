"""Records that are locked, full, read-only or gone while the gateway runs: calls are answered, nothing is lost."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import event

from polyport import App
from polyport.testing import gateway
from tests.support.wires import WIRES, ask, bearer, check_clean, eventually, read

app = App("records")


@app.function
def add(a: int, b: int) -> int:
    return a + b


app.model("echo", engine="echo")
ARGUMENTS = {"a": 1, "b": 2}


@pytest.fixture
def running(tmp_path):
    with gateway(app, data_dir=tmp_path, shutdown_grace_s=1) as served:
        assert ask(served.url, "mcp-2026", "add", ARGUMENTS).ok
        yield served


def file_of(running: Any) -> Path:
    return Path(running.gateway.settings.data_dir) / "polyport.sqlite3"


def count(file: Path, table: str = "usage") -> int:
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        return int(connection.execute(f"select count(*) from {table}").fetchone()[0])


def ready(running: Any) -> dict[str, Any]:
    return dict(httpx.get(f"{running.url}/readyz").json())


def call_everywhere(running: Any) -> None:
    for wire in WIRES:
        started = time.monotonic()
        reply = ask(running.url, wire, "add", ARGUMENTS)
        assert reply.ok, reply.says()
        assert time.monotonic() - started < 2, f"{wire} waited for the records"


def test_a_database_that_another_program_has_locked(running, caplog):
    file = file_of(running)
    eventually(lambda: count(file) == 1)
    lock = sqlite3.connect(file, isolation_level=None)
    lock.execute("begin immediate")
    try:
        call_everywhere(running)
        eventually(lambda: ready(running)["error"] is not None, 12)
        report = ready(running)
        assert "records can't be written" in report["error"]
        assert "locked" in caplog.text
        assert report["pending"] >= len(WIRES)
        assert report["ready"] is True
        made = httpx.post(f"{running.url}/v1/responses", json={"model": "echo", "input": "kept"}).json()
        again = httpx.get(f"{running.url}/v1/responses/{made['id']}")
        assert again.status_code == 200, "a response that waits to be written can be fetched"
    finally:
        lock.execute("rollback")
        lock.close()
    eventually(lambda: ready(running)["pending"] == 0, 10)
    assert count(file) == 1 + len(WIRES) + 1
    assert ready(running)["error"] is None
    eventually(lambda: count(file, "responses") >= 1, 10)


def test_a_database_that_can_no_longer_grow(running):
    file = file_of(running)
    eventually(lambda: count(file) == 1)
    with running.gateway.database._engine.connect() as connection:
        pages = connection.exec_driver_sql("pragma page_count").scalar_one()
    # Every connection has its own limit: set it on each that the gateway holds or opens.
    engine = running.gateway.database._engine

    def limit(raw: Any, *_: Any) -> None:
        raw.execute(f"pragma max_page_count={pages}")

    event.listen(engine, "checkout", limit)
    for _ in range(60):
        assert ask(running.url, "rest", "add", ARGUMENTS).ok
    long = "x" * 200_000
    made = httpx.post(f"{running.url}/v1/responses", json={"model": "echo", "input": long})
    assert made.status_code == 200
    time.sleep(0.5)
    call_everywhere(running)
    event.remove(engine, "checkout", limit)

    def lift(raw: Any, *_: Any) -> None:
        raw.execute("pragma max_page_count=1000000")

    event.listen(engine, "checkout", lift)
    eventually(lambda: ready(running)["pending"] == 0, 15)
    eventually(lambda: count(file) == 1 + 60 + 1 + len(WIRES), 10)
    eventually(lambda: count(file, "responses") >= 1, 15)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write what is read-only")
def test_a_database_that_turns_read_only_by_its_mode(running):
    file_of(running).chmod(0o400)
    call_everywhere(running)


def test_a_database_that_is_moved_away_and_back_while_the_gateway_runs(running, caplog, tmp_path_factory):
    file = file_of(running)
    eventually(lambda: count(file) == 1)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for name in [path.name for path in file.parent.iterdir()]:
        (file.parent / name).rename(elsewhere / name)
    call_everywhere(running)
    eventually(lambda: ready(running)["error"] is not None, 5)
    assert "records can't be written" in ready(running)["error"]
    assert "put it back" in caplog.text
    assert ready(running)["pending"] == len(WIRES)
    assert not file.exists(), "an empty one without keys would open the gateway"
    for path in list(elsewhere.iterdir()):
        path.rename(file.parent / path.name)
    eventually(lambda: ready(running)["pending"] == 0, 10)
    assert count(file) == 1 + len(WIRES)


def test_a_database_that_is_replaced_by_rubbish(running):
    file = file_of(running)
    eventually(lambda: count(file) == 1)
    for path in file.parent.iterdir():
        path.write_bytes(b"rubbish" * 1000)
    call_everywhere(running)
    made = httpx.post(f"{running.url}/v1/responses", json={"model": "echo", "input": "x"})
    assert made.status_code == 200
    missing = httpx.get(f"{running.url}/v1/responses/resp_unknown")
    assert missing.status_code in (404, 503)
    check_clean(read("responses", missing))
    bad_key = httpx.get(f"{running.url}/v1/models", headers=bearer("pp_" + "a" * 12 + "_" + "b" * 43))
    assert bad_key.status_code in (401, 503)
    check_clean(read("rest", bad_key))


def test_what_cannot_be_looked_up_is_refused_quickly_while_the_database_is_locked(running):
    file = file_of(running)
    lock = sqlite3.connect(file, isolation_level=None)
    lock.execute("begin exclusive")
    try:
        started = time.monotonic()
        answer = httpx.post(
            f"{running.url}/v1/responses",
            json={"model": "echo", "input": "x", "previous_response_id": "resp_" + "0" * 24},
            timeout=20,
        )
        assert answer.status_code in (400, 404, 503)
        assert time.monotonic() - started < 8
        check_clean(read("responses", answer))
    finally:
        lock.close()

"""What ``/readyz`` tells anybody who asks."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path

import httpx

from polyport import App
from polyport.testing import gateway


def test_it_says_that_the_records_fail_but_not_where_they_are(tmp_path: Path) -> None:
    app = App("ready")

    @app.function
    def one() -> int:
        return 1

    with gateway(app, data_dir=str(tmp_path)) as running:
        healthy = httpx.get(f"{running.url}/readyz").json()
        assert (healthy["ready"], healthy["error"]) == (True, None)
        with contextlib.closing(sqlite3.connect(tmp_path / "polyport.sqlite3")) as database:
            database.execute("DROP TABLE usage")
        httpx.post(f"{running.url}/v1/functions/one", json={}).raise_for_status()
        deadline = time.monotonic() + 10
        while running.gateway.usage.health().error is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        answer = httpx.get(f"{running.url}/readyz")
        assert str(tmp_path) in str(running.gateway.usage.health().error)
    assert answer.status_code == 200
    assert "can't be written" in answer.json()["error"]
    assert str(tmp_path) not in answer.text
    assert "sqlite" not in answer.text

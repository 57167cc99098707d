"""What a function reports while it runs, whatever it is made of: no report may break the answer it goes before."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from polyport import App, Context
from polyport.testing import gateway
from tests.support.wires import WIRES, ask

CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    app = App("reports")

    @app.function
    def tells(ctx: Context) -> str:
        ctx.progress(Decimal("0.5"), 1)  # type: ignore[arg-type]
        for data in ({"set": {1}, "sum": Decimal("1.5")}, Path("a/b"), b"\xff", float("nan"), ValueError("x"), CIRCLE):
            ctx.log(data)
        return "told"

    with gateway(app) as running:
        yield running.url


@pytest.mark.parametrize("wire", WIRES)
def test_reports_that_json_has_no_form_for_reach_the_caller_as_text(url: str, wire: str) -> None:
    reply = ask(url, wire, "tells", {})
    assert reply.ok, reply.says()
    assert "told" in reply.text
    if wire == "rest-sse":
        assert '{"set":[1],"sum":"1.5"}' in reply.text
        assert '"data":"a/b"' in reply.text
        assert reply.text.count("event: log") == 6

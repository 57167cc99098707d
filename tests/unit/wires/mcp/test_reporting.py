from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyport.events import Event, Log, Progress, ServerToolCall, ServerToolResult
from polyport_gateway.wires.mcp.reporting import Reporter


class Session:
    def __init__(self) -> None:
        self.progress: list[tuple[float, float | None, str | None]] = []
        self.logs: list[Any] = []

    async def report_progress(self, progress: float, total: float | None, message: str | None) -> None:
        self.progress.append((progress, total, message))

    async def send_notification(self, notification: Any, related_request_id: Any) -> None:
        self.logs.append(notification.params)


async def told(*events: Event, level: str | None = None) -> Session:
    session = Session()
    meta = {"io.modelcontextprotocol/logLevel": level} if level else {}
    request: Any = SimpleNamespace(session=session, protocol_version="2026-07-28", meta=meta, request_id=1)
    reporter = Reporter(request)
    for event in events:
        await reporter.tell(event)
    return session


events = st.lists(
    st.one_of(
        st.builds(Progress, st.floats(-1e6, 1e6), st.none(), st.sampled_from([None, "m"])),
        st.builds(ServerToolCall, st.just("1"), st.just("add"), st.just("{}")),
    ),
    max_size=20,
)


@given(events)
def test_progress_always_grows(given_events: list[Event]) -> None:
    import asyncio

    values = [value for value, _, _ in asyncio.run(told(*given_events)).progress]
    assert all(later > earlier for earlier, later in pairwise(values))


@pytest.mark.anyio
async def test_an_agents_steps_are_progress_with_a_message() -> None:
    session = await told(ServerToolCall("1", "add", '{"a":1}'), ServerToolResult("1", "add", "no", error=True))
    assert session.progress == [(1.0, None, 'calls add {"a":1}'), (2.0, None, "add failed no")]


@pytest.mark.anyio
async def test_logs_are_sent_from_the_level_that_was_asked_for() -> None:
    lines = [Log("info", "a"), Log("error", {"b": b"\0"}, "x")]
    assert (await told(*lines)).logs == []
    assert [log.data for log in (await told(*lines, level="warning")).logs] == [{"b": "AA=="}]
    assert len((await told(*lines, level="debug")).logs) == 2


@pytest.mark.anyio
async def test_what_json_cannot_carry_is_logged_as_text() -> None:
    assert (await told(Log("error", object()), level="error")).logs[0].data.startswith("<object object")

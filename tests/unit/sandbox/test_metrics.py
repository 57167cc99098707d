from __future__ import annotations

import contextlib
import logging
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyport_sandbox import Histogram, InvalidRunError, Sandbox, SandboxError
from tests.support.scripted_sandbox import ScriptedProvider

SAMPLE = re.compile(r'polyport_sandbox_[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9.e+-]+')


@pytest.mark.anyio
async def test_runs_sessions_and_refusals_are_counted():
    async with Sandbox(ScriptedProvider()) as box:
        await box.run("say 12345", files={"a": b"xx"}, stdin=b"yyy")
        await box.run("exit 3", language="bash")
        with pytest.raises(SandboxError):
            await box.run("vanish")
        with pytest.raises(InvalidRunError):
            await box.run("say x", language="cobol")
        async with contextlib.aclosing(box.stream("say 1\nhang")) as events:
            await anext(events)
            assert box.metrics().running == 1
        async with box.session() as session:
            await session.run("sleep 0.06")
            with pytest.raises(InvalidRunError):
                await session.run("say x", context="")
            assert box.metrics().sessions_open == 1
        seen = box.metrics()
    assert seen.runs == {
        ("python", "ok"): 2, ("bash", "error"): 1, ("python", "failed"): 1, ("python", "closed"): 1,
    }  # fmt: skip
    assert seen.refused == {"sandbox_error": 1, "invalid_run": 2}
    assert (seen.running, seen.sessions_open, seen.sessions_opened, seen.pool_ready) == (0, 0, 1, 3)
    assert seen.bytes_in == len("say 12345") + 2 + 3 + len("exit 3") + len("vanish") + len("say 1\nhang") + len(
        "sleep 0.06"
    )
    assert seen.bytes_out == len("12345\n")
    assert seen.run_s.count == seen.queue_s.count == seen.start_s.count == seen.peak_memory_mb.count == 3
    assert 0.06 <= seen.run_s.total < 1
    assert seen.peak_memory_mb.total == 60.0


@pytest.mark.anyio
async def test_prometheus_can_read_it():
    async with Sandbox(ScriptedProvider()) as box:
        await box.run("say hi")
        text = box.metrics().render_prometheus()
    lines = text.splitlines()
    assert text.endswith("\n")
    samples = [line for line in lines if not line.startswith("#")]
    assert all(SAMPLE.fullmatch(line) for line in samples), samples
    assert 'polyport_sandbox_runs_total{language="python",status="ok"} 1' in samples
    assert "polyport_sandbox_pool_ready 3" in samples
    assert 'polyport_sandbox_run_seconds_bucket{le="+Inf"} 1' in samples
    assert "polyport_sandbox_run_seconds_count 1" in samples
    named = {re.sub(r"_(bucket|sum|count)$", "", re.split(r"[ {]", line)[0]) for line in samples}
    typed = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    assert named <= typed


@given(st.lists(st.floats(0, 100), max_size=40))
def test_a_histogram_s_buckets_add_up(values: list[float]):
    histogram = Histogram((1.0, 10.0, 50.0))
    for value in values:
        histogram.add(value)
    assert histogram.count == len(values)
    assert histogram.counts[0] == sum(value <= 1 for value in values)
    assert histogram.counts[-1] == sum(value > 50 for value in values)
    assert histogram.total == pytest.approx(sum(values))


@pytest.mark.anyio
@pytest.mark.parametrize("log_code", [False, True])
async def test_each_run_is_one_line_without_its_code_or_output(caplog: pytest.LogCaptureFixture, log_code: bool):
    caplog.set_level(logging.DEBUG)
    async with Sandbox(ScriptedProvider(), log_code=log_code) as box:
        await box.run("say PRIVATE", stdin=b"PRIVATE", files={"a": b"PRIVATE"})
        async with box.session(files={"PRIVATE": b""}) as session:
            await session.run("fail PRIVATE PRIVATE")
            identity = session.id
    lines = [record for record in caplog.records if record.name == "polyport.sandbox"]
    assert len(lines) == 2
    assert "language=python status=ok session=None" in lines[0].getMessage()
    assert (lines[1].sandbox_status, lines[1].sandbox_session) == ("error", identity)  # type: ignore[attr-defined]
    assert lines[1].sandbox_run_s >= 0  # type: ignore[attr-defined]
    assert ("PRIVATE" in caplog.text) is log_code
    assert "source='say PRIVATE'" in lines[0].getMessage() or not log_code

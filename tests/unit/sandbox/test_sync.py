from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator

import pytest

from polyport_sandbox import (
    InvalidRunError,
    SandboxUnavailableError,
    SessionClosedError,
    SessionNotFoundError,
    SyncSandbox,
    ToolDescription,
)
from tests.support.scripted_sandbox import ScriptedProvider


@pytest.fixture
def provider() -> ScriptedProvider:
    return ScriptedProvider()


@pytest.fixture
def box(provider: ScriptedProvider) -> Iterator[SyncSandbox]:
    with SyncSandbox(provider) as box:
        yield box


def test_everything_is_mirrored(box: SyncSandbox, provider: ScriptedProvider):
    assert box.run("say hi").stdout == b"hi\n"
    assert [event.type for event in box.stream("say hi\nerr no")] == ["stdout", "stderr", "end"]
    with box.session(files={"a": b"A"}, name="mine", caller="ann") as session:
        assert session.run("set x 1\ncat a").stdout == b"A\n"
        assert [event.type for event in session.stream("get x")] == ["stdout", "end"]
        session.upload({"b": b"B"})
        assert session.download("b") == b"B"
        assert [info.name for info in session.list()] == ["a", "b"]
        session.delete("b")
        session.restart()
        assert session.interrupt() is False
        assert (session.name, session.caller, session.idle_s, session.closed) == ("mine", "ann", 1200.0, False)
        assert session.created_at <= session.last_active_at < session.expires_at
        assert session.limits.wall_s == 10
        assert box.get_session(session.id, caller="ann").id == session.id
        assert [found.id for found in box.sessions(caller="ann")] == [session.id]
        with pytest.raises(SessionNotFoundError):
            box.get_session(session.id)
    assert session.closed
    with pytest.raises(SessionClosedError):
        session.run("say hi")
    assert box.metrics().runs == {("python", "ok"): 4, ("python", "failed"): 1}
    assert box.provider is provider
    with pytest.raises(InvalidRunError):
        box.run("x", language="cobol")


def test_leaving_a_stream_early_kills_the_run(box: SyncSandbox, provider: ScriptedProvider):
    for event in box.stream("say one\nhang"):
        assert event.type == "stdout"
        break
    deadline = time.monotonic() + 2
    while provider.runs[0].busy and time.monotonic() < deadline:
        time.sleep(0.01)
    assert provider.runs[0].busy == 0
    with box.session() as session:
        events = session.stream("say one\nhang")
        next(events)
        events.close()
        assert provider.sessions[0].place.busy == 0
        assert session.run("say two").stdout == b"two\n"


def test_a_stream_that_the_loop_s_own_thread_drops_ends_too(box: SyncSandbox, provider: ScriptedProvider):
    events = box.stream("say one\nhang")
    next(events)

    class Host:
        def describe(self) -> list[ToolDescription]:
            return [ToolDescription("close", "", {})]

        async def call(self, name: str, arguments: object) -> object:
            events.close()
            return None

    box.run("call close {}", tools=Host())
    deadline = time.monotonic() + 2
    while provider.runs[0].busy and time.monotonic() < deadline:
        time.sleep(0.01)
    assert provider.runs[0].busy == 0


@pytest.mark.parametrize("streamed", [False, True])
def test_ctrl_c_kills_the_run(box: SyncSandbox, provider: ScriptedProvider, streamed: bool):
    main = threading.main_thread().ident
    assert main is not None
    threading.Timer(0.3, signal.pthread_kill, (main, signal.SIGINT)).start()
    start = (lambda code: list(box.stream(code))) if streamed else box.run
    with pytest.raises(KeyboardInterrupt):
        start("say one\nhang")
    deadline = time.monotonic() + 2
    while provider.runs[0].busy and time.monotonic() < deadline:
        time.sleep(0.01)
    assert provider.runs[0].busy == 0
    assert box.run("say fine").stdout == b"fine\n"


def test_threads_share_it(box: SyncSandbox, provider: ScriptedProvider):
    with box.session() as session:
        results: dict[int, bytes] = {}

        def use(number: int) -> None:
            for _ in range(5):
                assert box.run(f"say {number}").stdout == f"{number}\n".encode()
            results[number] = b"".join(e.data for e in session.stream(f"say {number}") if e.type == "stdout")

        threads = [threading.Thread(target=use, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert results == {number: f"{number}\n".encode() for number in range(8)}
        assert provider.sessions[0].place.most_busy == 1


def test_what_is_not_open_says_so(provider: ScriptedProvider):
    box = SyncSandbox(provider)
    with pytest.raises(SandboxUnavailableError, match="not open"):
        box.run("say hi")
    with box:
        session = box.open_session()
        stream = session.stream("say one\nhang")
        next(stream)
        with pytest.raises(SandboxUnavailableError, match="open already"):
            box.__enter__()
    assert session.closed
    with pytest.raises(SandboxUnavailableError, match="not open"):
        session.run("say hi")
    stream.close()
    with box:  # and may be opened again
        assert box.run("say hi").stdout == b"hi\n"
    assert not [thread for thread in threading.enumerate() if thread.name == "polyport-sandbox"]


def test_a_tool_that_waits_for_its_own_thread_is_told(box: SyncSandbox):
    class Host:
        def describe(self) -> list[ToolDescription]:
            return [ToolDescription("x", "", {})]

        async def call(self, name: str, arguments: object) -> object:
            with pytest.raises(RuntimeError, match="wait for itself"):
                box.run("say hi")
            return "told"

    assert box.run("call x {}", tools=Host()).stdout == b'"told"\n'


def test_who_waits_while_another_thread_closes_is_told(provider: ScriptedProvider):
    box = SyncSandbox(provider)
    heard: list[BaseException] = []

    def keep_asking() -> None:
        try:
            while True:
                box.run("sleep 0.01")
        except BaseException as error:
            heard.append(error)

    with box:
        threads = [threading.Thread(target=keep_asking) for _ in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)
    assert [type(error) for error in heard] == [SandboxUnavailableError] * 8, heard

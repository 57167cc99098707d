"""What the remote providers share: keys, addresses, retries, refusals, bounds, and answers that are none."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest

from polyport.errors import ConfigurationError
from polyport_sandbox import (
    InvalidRunError,
    Limits,
    Sandbox,
    SandboxBusyError,
    SandboxError,
    SandboxUnavailableError,
)
from polyport_sandbox.remote.e2b import E2BProvider
from polyport_sandbox.remote.piston import PistonProvider
from polyport_sandbox.remote.polyport import PolyportProvider
from polyport_sandbox.remote.sandboxfusion import SandboxFusionProvider
from tests.support.sandbox_servers.sandboxfusion import SandboxFusionServer
from tests.support.sandbox_servers.server import Fault
from tests.support.scripted_sandbox import ScriptedProvider

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxFusionServer]:
    with SandboxFusionServer(ScriptedProvider) as server:
        yield server


@pytest.fixture
def server(running: SandboxFusionServer) -> SandboxFusionServer:
    running.received.clear()
    running.faults.clear()
    return running


def fusion(server: SandboxFusionServer, **options: Any) -> Sandbox:
    return Sandbox(SandboxFusionProvider(url=server.url, **options))


async def test_a_service_that_is_not_there_is_said_to_be_missing(unused_tcp_port: int):
    with pytest.raises(SandboxUnavailableError, match=r"SandboxFusion at http://127.0.0.1:\d+ can't be reached"):
        async with Sandbox(SandboxFusionProvider(url=f"http://127.0.0.1:{unused_tcp_port}")):
            pass


@pytest.fixture
def unused_tcp_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.mark.parametrize("url", ["", "localhost:8080", "ftp://x", "http://", "http://me:secret@host", "http://[::"])
def test_an_address_that_is_none_is_refused_at_once(url: str):
    for make in (SandboxFusionProvider, PistonProvider, PolyportProvider):
        with pytest.raises(ConfigurationError):
            make(url=url)


async def test_a_key_is_needed_and_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("E2B_API_KEY", raising=False)
    with pytest.raises(SandboxUnavailableError, match=r"needs an API key. To mend it: .*E2B_API_KEY"):
        await E2BProvider(url="http://127.0.0.1:9").open()
    monkeypatch.setenv("E2B_API_KEY", "bad key\n")
    with pytest.raises(ConfigurationError) as caught:
        await E2BProvider(url="http://127.0.0.1:9").open()
    assert "bad key" not in str(caught.value)


async def test_a_key_is_sent_and_never_shown(
    server: SandboxFusionServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("FUSION_KEY", "s3cret-key")
    with caplog.at_level(logging.DEBUG):
        async with fusion(server, api_key_env="FUSION_KEY") as box:
            await box.run("say s3cret-code")
            server.faults.append(Fault("POST /run_code", 401, body=b'{"message": "no"}'))
            with pytest.raises(SandboxUnavailableError) as caught:
                await box.run("say s3cret-code")
    assert {request.headers["authorization"] for request in server.received} == {"Bearer s3cret-key"}
    assert "s3cret" not in f"{caught.value} {caught.value!r} {caplog.text} {box.provider!r} {vars(caught.value)}"


async def test_a_closed_sandbox_says_so(server: SandboxFusionServer):
    box = fusion(server)
    with pytest.raises(SandboxUnavailableError, match="not open"):
        await box.run("say x")


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_service_is_waited_for_where_it_says_how_long(server: SandboxFusionServer, status: int):
    async with fusion(server) as box:
        server.faults.append(Fault("POST /run_code", status, {"retry-after": "7"}, b"{}"))
        with pytest.raises(SandboxBusyError) as caught:
            await box.run("say x")
        assert (caught.value.retry_after, caught.value.status) == (7.0, 503)
        server.faults.append(Fault("POST /run_code", 429, {"retry-after": "0"}, b"{}", times=2))
        assert (await box.run("say x")).stdout == b"x\n"
        assert server.paths().count("POST /run_code") == 4


async def test_a_date_is_a_time_to_come_back_too(server: SandboxFusionServer):
    async with fusion(server) as box:
        server.faults.append(Fault("POST", 503, {"retry-after": formatdate(time.time() + 60, usegmt=True)}, b"busy"))
        with pytest.raises(SandboxBusyError) as caught:
            await box.run("say x")
    assert caught.value.retry_after is not None
    assert 50 < caught.value.retry_after <= 60


async def test_a_run_is_never_repeated_where_it_may_have_happened(server: SandboxFusionServer):
    async with fusion(server) as box:
        for fault in (Fault("POST", 500, body=b"boom"), Fault("POST", cut_after=20), Fault("POST", cut_after=1)):
            server.received.clear()
            server.faults.append(fault)
            result = await box.run("say x")
            assert result.status == "sandbox_error", fault
            assert result.detail is not None
            assert server.paths() == ["POST /run_code"]


async def test_what_only_asks_is_repeated(server: SandboxFusionServer):
    server.faults.append(Fault("GET /v1/ping", 500, times=2))
    async with fusion(server):
        assert server.paths() == ["GET /v1/ping"] * 3


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>", "not JSON"),
        (b"", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "can't be read"),
        (b"{}", "can't be read"),
        (b'{"status": "Fine"}', "status is 'Fine'"),
        (b'{"status": "Success"}', "no run"),
        (b'{"status": "Success", "run_result": {"status": "Finished", "return_code": "0"}}', "return code"),
        (b'{"status": "Success", "run_result": {"status": "Finished"}}', "can't be read"),
        (b'{"status": "Success", "run_result": {"status": "Finished", "stdout": 1}}', "can't be read"),
        (
            b'{"status": "Success", "files": {"a": "?"}, "run_result": {"status": "Finished", "return_code": 0}}',
            "not base64",
        ),
    ],
)
async def test_an_answer_that_is_none_is_a_failure_of_the_sandbox(server: SandboxFusionServer, body: bytes, said: str):
    async with fusion(server) as box:
        server.faults.append(Fault("POST", body=body))
        result = await box.run("say x")
    assert result.status == "sandbox_error"
    assert said in (result.detail or "")


async def test_an_answer_that_is_too_large_is_not_read(server: SandboxFusionServer):
    server.faults.append(Fault("GET /v1/ping", body=b" " * (2 << 20)))
    with pytest.raises(SandboxError, match="more than the 1048576 bytes"):
        async with fusion(server):
            pass


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (400, InvalidRunError, "wrong language"),
        (422, InvalidRunError, "wrong language"),
        (401, SandboxUnavailableError, "To mend it"),
        (402, SandboxUnavailableError, "To mend it"),
        (503, SandboxUnavailableError, "To mend it"),
        (502, SandboxUnavailableError, "To mend it"),
    ],
)
async def test_each_refusal_has_its_error(server: SandboxFusionServer, status: int, error: type[Exception], said: str):
    async with fusion(server) as box:
        server.faults.append(Fault("POST", status, body=b'{"message": "wrong language"}'))
        with pytest.raises(error, match=said):
            await box.run("say x")


async def test_a_redirect_is_not_followed(server: SandboxFusionServer):
    async with fusion(server) as box:
        server.faults.append(Fault("POST", 307, {"location": "http://169.254.169.254/"}, b""))
        result = await box.run("say x")
    assert result.status == "sandbox_error"
    assert "307" in (result.detail or "")


async def test_a_slow_service_is_not_waited_for_without_end(
    server: SandboxFusionServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("polyport_sandbox.remote.sandboxfusion.GRACE_S", 0.2)
    async with fusion(server, compile_timeout_s=0.1) as box:
        server.faults.append(Fault("POST", delay_s=3))
        began = time.monotonic()
        result = await box.run("say x", limits=Limits(wall_s=0.2))
    assert time.monotonic() - began < 2
    assert result.status == "sandbox_error"
    assert "within 0.5 s" in (result.detail or "")

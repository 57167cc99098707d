"""Piston's answers in our words, and our requests in its."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from polyport_sandbox import InvalidRunError, Limits, Sandbox, SandboxError, SandboxUnavailableError
from polyport_sandbox.remote.piston import PistonPackage, PistonProvider
from tests.support.sandbox_servers.piston import PistonServer
from tests.support.sandbox_servers.server import Fault
from tests.support.scripted_sandbox import ScriptedProvider

pytestmark = pytest.mark.anyio


@pytest.fixture
def server() -> Iterator[PistonServer]:
    with PistonServer(ScriptedProvider) as server:
        yield server


def stage(**members: Any) -> dict[str, Any]:
    return {"stdout": "", "stderr": "", "output": "", "code": 0, "signal": None, **members}


def answered(server: PistonServer, **answer: Any) -> None:
    server.faults.append(Fault("POST /api/v2/execute", body=json.dumps({"language": "python", **answer}).encode()))


async def test_languages_are_asked_for_and_the_newest_is_run(server: PistonServer):
    async with Sandbox(PistonProvider(url=server.url, arguments=["-x"])) as box:
        assert box.provider.languages() == ["bash", "py", "py3", "python", "python3", "sh"]
        result = await box.run("say hi", files={"a": b"\xff"}, stdin=b"q", limits=Limits(wall_s=2, memory_mb=64))
        assert (result.status, result.exit_code, result.stdout) == ("ok", 0, b"hi\n")
        sent = server.received[-1].json
        assert sent == {
            "language": "python",
            "version": "3.12.0",
            "files": [
                {"name": "main.py", "content": "say hi", "encoding": "utf8"},
                {"name": "a", "content": "/w==", "encoding": "base64"},
            ],
            "stdin": "q",
            "args": ["-x"],
            "run_timeout": 2000,
            "run_cpu_time": 2000,
            "run_memory_limit": 64 << 20,
            "compile_timeout": 10000,
            "compile_cpu_time": 10000,
        }
        assert (await box.run("say sh", language="sh")).stdout == b"sh\n"


async def test_a_version_is_chosen_or_found_missing(server: PistonServer):
    async with Sandbox(PistonProvider(url=server.url, versions={"python": "3.9.4"})) as box:
        await box.run("say hi")
        assert server.received[-1].json["version"] == "3.9.4"
    with pytest.raises(SandboxUnavailableError, match=r"does not have python 2.7"):
        async with Sandbox(PistonProvider(url=server.url, versions={"python": "2.7"})):
            pass


async def test_packages_are_listed_and_installed_when_asked_for(server: PistonServer):
    provider = PistonProvider(url=server.url, install={"lua": "5.4.4", "python": "3.12.0"})
    async with Sandbox(provider) as box:
        assert "lua" in box.provider.languages()
        assert PistonPackage("lua", "5.4.4", True) in await provider.packages()
    assert server.paths().count("POST /api/v2/packages") == 1
    with pytest.raises(InvalidRunError, match=r"ada-1\.0 does not exist"):
        async with Sandbox(PistonProvider(url=server.url, install={"ada": "1.0"})):
            pass


async def test_a_service_without_languages_is_of_no_use(server: PistonServer):
    server.faults.append(Fault("GET /api/v2/runtimes", body=b"[]"))
    with pytest.raises(SandboxUnavailableError, match="no languages"):
        async with Sandbox(PistonProvider(url=server.url)):
            pass


async def test_the_service_may_allow_less_than_was_asked_for(server: PistonServer):
    async with Sandbox(PistonProvider(url=server.url)) as box:
        assert (await box.run("say hi", limits=Limits(wall_s=30))).status == "ok"
        first = server.paths().count("POST /api/v2/execute")
        assert first == 5  # it names one limit at a time
        assert (await box.run("say hi", limits=Limits(wall_s=30))).status == "ok"
        assert server.paths().count("POST /api/v2/execute") == first + 1  # and is believed from then on
        assert server.received[-1].json["run_timeout"] == 3000
        answered(server, run=stage(code=None, signal="SIGKILL", status="TO"))
        result = await box.run("say hi", limits=Limits(wall_s=30))
    assert (result.status, result.detail) == ("timeout", "the service allows 3 s at most, less than limits.wall_s")


@pytest.mark.parametrize(
    ("answer", "status", "exit_code"),
    [
        ({"run": stage(code=3, status="RE")}, "error", 3),
        ({"run": stage(code=None, signal="SIGKILL", status="TO")}, "timeout", -9),
        ({"run": stage(code=None, signal="SIGKILL", status="OL", stdout="xy")}, "output_limit", -9),
        ({"run": stage(code=None, signal="SIGKILL", status="EL")}, "output_limit", -9),
        ({"run": stage(code=None, signal="SIGSEGV", status="SG")}, "killed", -11),
        ({"run": stage(code=None, signal="SIGKILL", status="SG", memory=99 << 20)}, "killed", -9),
        ({"run": stage(code=None, signal="SIGKILL", status="SG", memory=256 << 20)}, "out_of_memory", -9),
        ({"run": stage(code=None, signal="SIGKILL")}, "killed", -9),  # an older one, without a status
        ({"run": stage(code=None, status="XX", message="box lost")}, "sandbox_error", None),
        ({"run": stage(stdout="x" * 99)}, "output_limit", 0),
        ({"compile": stage(code=1, stderr="oops")}, "error", 1),
        ({"compile": stage(), "run": stage()}, "ok", 0),
        ({"run": stage(code=None)}, "sandbox_error", None),
        ({"run": stage(code=None, signal="SIGFOO")}, "sandbox_error", None),
        ({"run": []}, "sandbox_error", None),
        ({}, "sandbox_error", None),
    ],
)
async def test_its_statuses_are_ours(server: PistonServer, answer: dict[str, Any], status: str, exit_code: int | None):
    async with Sandbox(PistonProvider(url=server.url)) as box:
        answered(server, **answer)
        result = await box.run("say hi", limits=Limits(output_bytes=10))
    assert (result.status, result.exit_code) == (status, exit_code), result
    if "compile" in answer and "run" not in answer:
        assert (result.stderr, result.detail) == (b"oops", "it was not run: compiling it failed")


async def test_usage_is_told_where_it_is_known(server: PistonServer):
    async with Sandbox(PistonProvider(url=server.url)) as box:
        answered(server, run=stage(cpu_time=250, wall_time=500, memory=3 << 20))
        usage = (await box.run("say hi")).usage
    assert (usage.cpu_s, usage.wall_s, usage.peak_memory_mb) == (0.25, 0.5, 3.0)


@pytest.mark.parametrize("body", [b"{}", b'[{"language": "x"}]', b"[1]", b"?"])
async def test_runtimes_that_are_none_are_a_failure(server: PistonServer, body: bytes):
    server.faults.append(Fault("GET /api/v2/runtimes", body=body))
    with pytest.raises(SandboxError):
        async with Sandbox(PistonProvider(url=server.url)):
            pass


async def test_what_it_can_not_do_is_refused_before_it_is_asked(server: PistonServer):
    async with Sandbox(PistonProvider(url=server.url)) as box:
        server.received.clear()
        for arguments in ({"allow_hosts": ["example.org"]}, {"stdin": b"\xff"}, {"language": "lua"}):
            with pytest.raises(InvalidRunError):
                await box.run("say hi", **arguments)  # type: ignore[arg-type]
        with pytest.raises(InvalidRunError, match="has no sessions"):
            await box.open_session()
    assert server.received == []

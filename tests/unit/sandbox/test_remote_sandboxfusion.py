"""SandboxFusion's answers in our words, and our requests in its."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from polyport_sandbox import InvalidRunError, Limits, Sandbox, SkippedFile
from polyport_sandbox.remote.sandboxfusion import SandboxFusionProvider
from tests.support.sandbox_servers.sandboxfusion import LANGUAGES, SandboxFusionServer
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


def answered(server: SandboxFusionServer, where: str = "POST /run_code", **answer: Any) -> None:
    body = {"status": "Success", "message": "", "files": {}, **answer}
    server.faults.append(Fault(where, body=json.dumps(body).encode()))


def stage(**members: Any) -> dict[str, Any]:
    return {"status": "Finished", "execution_time": 0.5, "return_code": 0, "stdout": "", "stderr": "", **members}


async def test_a_request_says_all_that_the_service_understands(server: SandboxFusionServer):
    limits = Limits(wall_s=3, memory_mb=99)
    async with Sandbox(SandboxFusionProvider(url=server.url, fetch_files=["out"], compile_timeout_s=5)) as box:
        result = await box.run("say hi", files={"in": b"\xff"}, stdin=b"q", limits=limits)
    assert (result.status, result.exit_code, result.stdout) == ("ok", 0, b"hi\n")
    assert server.received[-1].json == {
        "language": "python",
        "code": "say hi",
        "stdin": "q",
        "run_timeout": 3,
        "compile_timeout": 5,
        "memory_limit_MB": 99,
        "files": {"in": base64.b64encode(b"\xff").decode()},
        "fetch_files": ["in", "out"],
    }


async def test_its_languages_are_those_it_publishes(server: SandboxFusionServer):
    provider = SandboxFusionProvider(url=server.url)
    asked = {provider.language(name).command[1] for name in provider.languages()}  # type: ignore[union-attr]
    assert {"python", "bash", "nodejs", "R"} <= asked <= set(LANGUAGES)
    assert provider.language("cobol") is None


@pytest.mark.parametrize(
    ("answer", "status", "exit_code", "detail"),
    [
        ({"run_result": stage()}, "ok", 0, None),
        ({"run_result": stage(return_code=3), "status": "Failed"}, "error", 3, None),
        ({"run_result": stage(return_code=-11), "status": "Failed"}, "killed", -11, None),
        (
            {"run_result": stage(status="TimeLimitExceeded", return_code=None), "status": "Failed"},
            "timeout",
            None,
            None,
        ),
        ({"run_result": stage(status="Error")}, "sandbox_error", None, "did not run it"),
        (
            {"compile_result": stage(return_code=1, stderr="oops"), "run_result": None, "status": "Failed"},
            "error",
            1,
            "compiling it failed",
        ),
        ({"status": "SandboxError", "message": "no disk for say hi"}, "sandbox_error", None, "no disk for …"),
        ({"compile_result": stage(), "run_result": stage(stdout="x" * 11)}, "output_limit", 0, None),
    ],
)
async def test_its_statuses_are_ours(
    server: SandboxFusionServer, answer: dict[str, Any], status: str, exit_code: int | None, detail: str | None
):
    async with Sandbox(SandboxFusionProvider(url=server.url)) as box:
        answered(server, **answer)
        result = await box.run("say hi", limits=Limits(output_bytes=10))
    assert (result.status, result.exit_code) == (status, exit_code)
    assert detail is None or detail in (result.detail or "")
    if answer.get("compile_result", {}).get("stderr"):
        assert result.stderr == b"oops"


async def test_files_come_out_by_name_and_only_where_they_changed(server: SandboxFusionServer):
    def encoded(content: bytes) -> str:
        return base64.b64encode(content).decode()

    async with Sandbox(SandboxFusionProvider(url=server.url)) as box:
        files = {"in": encoded(b"same"), "new": encoded(b"n"), "../x": "", "big": encoded(b"b" * 99)}
        answered(server, run_result=stage(), files=files)
        result = await box.run("say hi", files={"in": b"same"}, limits=Limits(output_file_bytes=50))
    assert dict(result.files) == {"new": b"n"}
    assert {skipped.name for skipped in result.skipped_files} == {"../x", "big"}
    assert all(isinstance(skipped, SkippedFile) and skipped.reason for skipped in result.skipped_files)


async def test_displays_come_through_the_notebook(server: SandboxFusionServer):
    async with Sandbox(SandboxFusionProvider(url=server.url, displays=True)) as box:
        result = await box.run("say hi\nshow one\nresult two", limits=Limits(wall_s=2, memory_mb=50))
        assert (result.status, result.stdout) == ("ok", b"hi\n")
        assert [display.text for display in result.displays] == ["one", "two"]
        body = server.received[-1].json
        assert (body["cells"], body["total_timeout"], body["memory_limit_MB"]) == (
            ["say hi\nshow one\nresult two"],
            2,
            50,
        )
        failed = await box.run("say a\nfail ValueError nope")
        assert (failed.status, failed.exit_code, failed.stdout) == ("error", 1, b"a\n")
        assert failed.error is not None
        assert (failed.error.name, failed.error.value) == ("ValueError", "nope")
        other = await box.run("say bash", language="bash")
        assert other.stdout == b"bash\n"
        assert server.paths()[-1] == "POST /run_code"


@pytest.mark.parametrize(
    ("value", "status", "exit_code"), [("3", "error", 3), ("0", "ok", 0), ("None", "ok", 0), ("no file", "error", 1)]
)
async def test_a_notebook_that_exits_has_the_code_it_asked_for(
    server: SandboxFusionServer, value: str, status: str, exit_code: int
):
    async with Sandbox(SandboxFusionProvider(url=server.url, displays=True)) as box:
        result = await box.run(f"fail SystemExit {value}")
    assert (result.status, result.exit_code) == (status, exit_code)


@pytest.mark.parametrize(
    ("driver", "status"),
    [
        (stage(status="TimeLimitExceeded", return_code=None), "timeout"),
        (stage(return_code=1, stderr="no kernel"), "sandbox_error"),
        (None, "sandbox_error"),
    ],
)
async def test_a_notebook_that_fails_says_why(server: SandboxFusionServer, driver: Any, status: str):
    async with Sandbox(SandboxFusionProvider(url=server.url, displays=True)) as box:
        answered(server, "POST /run_jupyter", status="Failed", driver=driver, cells=[])
        result = await box.run("say hi")
    assert result.status == status


async def test_too_many_displays_are_left_out_with_a_note(server: SandboxFusionServer):
    async with Sandbox(SandboxFusionProvider(url=server.url, displays=True)) as box:
        result = await box.run("show a\nshow b\nshow c", limits=Limits(displays=1))
    assert [display.text for display in result.displays] == ["a"]
    assert b"2 displays were left out" in result.stderr


async def test_what_it_can_not_do_is_refused_before_it_is_asked(server: SandboxFusionServer):
    async with Sandbox(SandboxFusionProvider(url=server.url)) as box:
        server.received.clear()
        for arguments in ({"allow_hosts": ["example.org"]}, {"stdin": b"\xff"}, {"language": "cobol"}):
            with pytest.raises(InvalidRunError):
                await box.run("say hi", **arguments)  # type: ignore[arg-type]
        with pytest.raises(InvalidRunError, match="UTF-8"):
            await box.run(b"\xff")
        with pytest.raises(InvalidRunError, match="has no sessions"):
            await box.open_session()
    assert server.received == []

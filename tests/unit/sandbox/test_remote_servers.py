"""The servers that our providers are tested with, held to the services' own published clients."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.sandbox_servers.e2b import KEY, E2BServer
from tests.support.sandbox_servers.sandboxfusion import SandboxFusionServer
from tests.support.scripted_sandbox import ScriptedProvider

pytestmark = pytest.mark.filterwarnings("default")  # the clients' own


@pytest.fixture(scope="module")
def e2b_server() -> Iterator[E2BServer]:
    with E2BServer(ScriptedProvider) as server:
        yield server


@pytest.fixture(scope="module")
def fusion_server() -> Iterator[SandboxFusionServer]:
    with SandboxFusionServer(ScriptedProvider) as server:
        yield server


def test_the_e2b_server_serves_the_real_client(e2b_server: E2BServer):
    e2b = pytest.importorskip("e2b_code_interpreter")
    box = e2b.Sandbox.create(api_key=KEY, api_url=e2b_server.url, sandbox_url=e2b_server.url)
    try:
        lines: list[str] = []
        run = box.run_code("say hi\nerr no\nset a 1\nshow one\nresult two", on_stdout=lambda m: lines.append(m.line))
        assert (run.logs.stdout, run.logs.stderr, lines) == (["hi\n"], ["no\n"], ["hi\n"])
        assert (run.text, [result.text for result in run.results]) == ("two", ["one", "two"])
        assert box.run_code("get a").logs.stdout == ["1\n"]
        context = box.create_code_context()
        assert box.run_code("set a 2\nget a", context=context).logs.stdout == ["2\n"]
        assert box.run_code("get a").logs.stdout == ["1\n"]
        box.restart_code_context(context)
        failed = box.run_code("fail ValueError nope").error
        assert (failed.name, failed.value) == ("ValueError", "nope")
        box.files.write("d/in.bin", b"\xff\0")
        assert bytes(box.files.read("/home/user/d/in.bin", format="bytes")) == b"\xff\0"
        assert [(entry.name, entry.size) for entry in box.files.list("/home/user", depth=3)] == [("in.bin", 2)]
        box.files.remove("d/in.bin")
        assert not box.files.exists("d/in.bin")
        assert box.is_running()
    finally:
        assert box.kill()
    assert e2b_server.boxes == {}
    with pytest.raises(e2b.AuthenticationException):
        e2b.Sandbox.create(api_key="wrong", api_url=e2b_server.url, sandbox_url=e2b_server.url)


def test_the_sandboxfusion_server_serves_the_real_client(fusion_server: SandboxFusionServer):
    fusion = pytest.importorskip("sandbox_fusion")
    ran = fusion.run_code(
        fusion.RunCodeRequest(code="say hi\nexit 3", language="python"), endpoint=fusion_server.url, max_attempts=1
    )
    assert (ran.status, ran.run_result.return_code, ran.run_result.stdout) == ("Failed", 3, "hi\n")
    request = fusion.RunJupyterRequest(
        cells=["set a 1\nshow one", "get a", "fail E no"], files={"in": "aGk="}, fetch_files=["in"]
    )
    ran = fusion.run_jupyter(request, endpoint=fusion_server.url, max_attempts=1)
    assert [cell.stdout for cell in ran.cells] == ["", "1\n", ""]
    assert ran.cells[0].display == [{"text/plain": "one"}]
    assert ran.cells[2].error[0]["ename"] == "E"
    assert ran.files == {"in": "aGk="}

"""SandboxFusion's own client, unmodified, against a gateway."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator

import httpx
import pytest
import sandbox_fusion as fusion
from sandbox_fusion import RunCodeRequest, RunJupyterRequest

from tests.integration.serving_sandboxes import House, house

pytestmark = pytest.mark.requires("docker", "sandbox")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("fusion"), sandbox_max_timeout_s=30) as found:
        yield found


def run(served: House, code: str, language: str = "python", **more) -> fusion.RunCodeResponse:
    request = RunCodeRequest(code=code, language=language, **more)
    return fusion.run_code(request, endpoint=served.fusion_with("one"), max_attempts=1)


def jupyter(served: House, cells: list[str], **more) -> fusion.RunJupyterResponse:
    request = RunJupyterRequest(cells=cells, **more)
    return fusion.run_jupyter(request, endpoint=served.fusion_with("one"), max_attempts=1)


def text(content: str) -> str:
    return base64.b64encode(content.encode()).decode()


def test_a_run_that_ends_well(served: House):
    result = run(served, "import sys; print(sys.stdin.read() + '!'); print('oh', file=sys.stderr)", stdin="hello")
    assert result.status == fusion.RunStatus.Success
    assert result.message == ""
    assert result.compile_result is None
    assert result.run_result.status == fusion.CommandRunStatus.Finished
    assert result.run_result.return_code == 0
    assert (result.run_result.stdout, result.run_result.stderr) == ("hello!\n", "oh\n")
    assert 0 < result.run_result.execution_time < 5


@pytest.mark.parametrize(
    ("code", "return_code"), [("1/0", 1), ("raise SystemExit(7)", 7), ("import os; os.abort()", -6)]
)
def test_a_run_that_fails(served: House, code: str, return_code: int):
    result = run(served, code)
    assert result.status == fusion.RunStatus.Failed
    assert result.run_result.status == fusion.CommandRunStatus.Finished
    assert result.run_result.return_code == return_code
    summary = fusion.summary_run_code_result(result, fusion.SummaryMapping(RunFailed="failed at run"))
    assert summary == "failed at run"


def test_a_run_beyond_its_time(served: House):
    began = time.monotonic()
    result = run(served, "print('begun', flush=True)\nwhile True: pass", run_timeout=1)
    assert time.monotonic() - began < 5
    assert result.status == fusion.RunStatus.Failed
    assert result.run_result.status == fusion.CommandRunStatus.TimeLimitExceeded
    assert result.run_result.return_code is None
    assert result.run_result.stdout == "begun\n"
    mapping = fusion.SummaryMapping(RunTimeout="too slow")
    assert fusion.summary_run_code_result(result, mapping) == "too slow"


def test_a_run_beyond_its_memory(served: House):
    body = {"code": "x = b'x' * (1 << 30)", "language": "python", "memory_limit_MB": 64}
    answer = httpx.post(f"{served.fusion_with('one')}/run_code", json=body, timeout=30).json()
    assert (answer["status"], answer["message"]) == ("Failed", "out of memory")
    assert answer["run_result"]["return_code"] == -9
    body["code"] = "x = b'x' * (1 << 27); print(len(x))"
    body["memory_limit_MB"] = 256
    assert httpx.post(f"{served.fusion_with('one')}/run_code", json=body, timeout=30).json()["status"] == "Success"


def test_files_in_and_out(served: House):
    code = "import os; open('out/new.txt', 'w').write(open('in.txt').read().upper()); os.remove('other.bin')"
    files = {"in.txt": text("hello"), "./out/old.txt": text("old"), "other.bin": text("x"), "not sent": None}
    wanted = ["out/new.txt", "./out/old.txt", "never.txt"]
    result = run(served, code, files=files, fetch_files=wanted)
    assert result.status == fusion.RunStatus.Success
    assert {name: base64.b64decode(content) for name, content in result.files.items()} == {
        "out/new.txt": b"HELLO",
        "./out/old.txt": b"old",
    }


def test_other_languages(served: House):
    assert run(served, "echo $((6*7)); exit 3", "bash").run_result.stdout == "42\n"
    known = served.running.gateway.sandbox.languages
    if "javascript" in known:
        assert run(served, "console.log(6*7)", "nodejs").run_result.stdout == "42\n"
    with pytest.raises(Exception, match=r"does not run 'cpp'; it runs .*python"):
        run(served, "int main() {}", "cpp")


def test_cells_share_their_variables(served: House):
    cells = ["a = 123", "a", "print(a)", "import sys; sys.stderr.write('oh')", "raise RuntimeError('no')", "a + 1"]
    result = jupyter(served, cells)
    assert result.status == fusion.RunStatus.Success
    assert result.driver.status == fusion.CommandRunStatus.Finished
    assert [cell.stdout for cell in result.cells] == ["", "", "123\n", "", "", ""]
    assert result.cells[1].display == [{"text/plain": "123"}]
    assert result.cells[3].stderr == "oh"
    (error,) = result.cells[4].error
    assert (error["ename"], error["evalue"]) == ("RuntimeError", "no")
    assert any("RuntimeError: no" in line for line in error["traceback"])
    assert result.cells[5].display == [{"text/plain": "124"}]


def test_cells_with_files(served: House):
    cells = ["open('out.txt', 'w').write(open('in/a.txt').read() * 2)"]
    result = jupyter(served, cells, files={"in/a.txt": text("ab")}, fetch_files=["out.txt", "in/a.txt", "none"])
    assert result.files == {"out.txt": text("abab"), "in/a.txt": text("ab")}


@pytest.mark.parametrize("limit", [{"cell_timeout": 1}, {"total_timeout": 1.5}])
def test_cells_beyond_their_time(served: House, limit: dict[str, float]):
    began = time.monotonic()
    result = jupyter(served, ["print(1)", "import time; time.sleep(60)", "print(3)"], **limit)
    assert time.monotonic() - began < 8
    assert result.status == fusion.RunStatus.Failed
    assert result.driver.status == fusion.CommandRunStatus.TimeLimitExceeded
    assert [cell.stdout for cell in result.cells] == ["1\n", ""]


def test_no_session_is_left_behind(served: House):
    jupyter(served, ["1"])
    assert served.wait_for(served.running.gateway.sandbox.box())._registry._sessions == {}


@pytest.mark.anyio
async def test_the_async_client(served: House):
    endpoint = served.fusion_with("one")
    result = await fusion.run_code_async(RunCodeRequest(code="print(1)", language="python"), endpoint, 1)
    assert result.run_result.stdout == "1\n"
    cells = await fusion.run_jupyter_async(RunJupyterRequest(cells=["1 + 1"]), endpoint, 1)
    assert cells.cells[0].display == [{"text/plain": "2"}]


def test_many_at_once(served: House):
    requests = [RunCodeRequest(code=f"print({number})", language="python") for number in range(12)]
    keywords = [{"request": r, "endpoint": served.fusion_with("one"), "max_attempts": 1} for r in requests]
    results = fusion.run_concurrent(fusion.run_code, kwargs=keywords, concurrency=6)
    assert [result.run_result.stdout for result in results] == [f"{number}\n" for number in range(12)]


@pytest.mark.parametrize(
    ("key", "status", "words"), [("wrong", 401, "API key is not valid"), ("may not", 404, "run_code")]
)
def test_keys(served: House, key: str, status: int, words: str):
    request = RunCodeRequest(code="print(1)", language="python")
    with pytest.raises(Exception, match=f"responded with code {status}.*{words}"):
        fusion.run_code(request, endpoint=served.fusion_with(key), max_attempts=1)
    answer = httpx.post(f"{served.fusion}/run_code", json={"code": "1", "language": "python"})
    assert (answer.status_code, list(answer.json())) == (401, ["detail"])
    bearer = {"authorization": f"Bearer {served.keys['one']}"}
    body = {"code": "print(1)", "language": "python"}
    assert httpx.post(f"{served.fusion}/run_code", json=body, headers=bearer).json()["status"] == "Success"


def test_data_sets_are_not_served(served: House):
    request = fusion.GetPromptsRequest(dataset="humaneval_python", config={})
    with pytest.raises(Exception, match=r"code 404.*data sets are not part"):
        fusion.get_prompts(request, endpoint=served.fusion_with("one"))


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("run_code", {"language": "python"}, 422, "Field required"),
        ("run_code", {"code": 1, "language": "python"}, 422, "valid string"),
        ("run_code", {"code": "1", "language": "cobol"}, 422, "Input should be"),
        ("run_code", {"code": "1", "language": "python", "run_timeout": "soon"}, 422, "valid number"),
        ("run_code", {"code": "1", "language": "python", "run_timeout": 31}, 400, "at most 30"),
        ("run_code", {"code": "1", "language": "python", "run_timeout": -1}, 400, "limits.wall_s"),
        ("run_code", {"code": "1", "language": "python", "memory_limit_MB": 10**9}, 400, "memory_mb"),
        ("run_code", {"code": "1", "language": "python", "files": {"a": "not base64!"}}, 400, "'a' is not base64"),
        ("run_code", {"code": "1", "language": "python", "files": {"../a": "YQ=="}}, 400, "could leave"),
        ("run_code", {"code": "1", "language": "python", "files": {"/etc/a": "YQ=="}}, 400, "absolute"),
        ("run_code", {"code": "1", "language": "python", "fetch_files": ["/etc/passwd"]}, 400, "working folder"),
        ("run_code", {"code": "1", "language": "python", "fetch_files": ["a/../../b"]}, 400, "working folder"),
        ("run_code", {"code": "1", "language": "python", "args": ["-x"]}, 400, "pytest"),
        ("run_code", [], 400, "JSON object"),
        ("run_jupyter", {"cells": "1"}, 422, "valid list"),
        ("run_jupyter", {"cells": ["1"], "total_timeout": 0}, 422, "greater than 0"),
        ("run_jupyter", {"cells": ["1"], "total_timeout": 1e12}, 400, "lifetime_s"),
        ("run_jupyter", {"cells": ["1"], "kernel": "ir"}, 422, "python3"),
    ],
)
def test_what_is_wrong_is_refused_before_it_runs(served: House, path: str, body, status: int, words: str):
    answer = httpx.post(f"{served.fusion_with('one')}/{path}", json=body)
    assert answer.status_code == status
    assert words in str(answer.json()["detail"])
    assert "x-request-id" in answer.headers


def test_broken_bodies(served: House):
    url = f"{served.fusion_with('one')}/run_code"
    assert httpx.post(url, content=b"{").status_code == 400
    assert httpx.post(url, content=b"\xff\xfe").status_code == 400
    assert httpx.post(url, content=b"").status_code == 400
    assert httpx.get(url).status_code == 405

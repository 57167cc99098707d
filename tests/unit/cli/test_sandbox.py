import base64
import json

import pytest
from typer.testing import CliRunner

from polyport_gateway.cli.root import app
from polyport_sandbox import (
    Display,
    DisplayEvent,
    EndEvent,
    InvalidRunError,
    Language,
    OutputEvent,
    RunResult,
    SandboxBusyError,
    SyncSandbox,
)
from polyport_sandbox.images import build as images
from polyport_sandbox.images.build import Built
from polyport_sandbox.terminal import Place
from tests.support.fake_docker import FIT, INFO
from tests.support.scripted_sandbox import ScriptedProvider

RUNNER = CliRunner()


class Told(ScriptedProvider):
    """Gives the events it was made with."""

    def __init__(self, *events, error=None):
        super().__init__()
        self.events, self.error = events, error

    def language(self, name):
        return Language(name, "main", ()) if name in ("python", "bash", "javascript") else None

    async def stream(self, request, *, caller):
        self.requests.append(request)
        if self.error is not None:
            raise self.error
        for event in self.events:
            yield event


@pytest.fixture
def sandbox(monkeypatch):
    """Let the next command use this provider; gives what it was asked for."""
    places = []

    def use(provider):
        def opened(place):
            places.append(place)
            return SyncSandbox(provider)

        monkeypatch.setattr(Place, "open", opened)
        return places

    return use


def invoke(*arguments, stdin=None):
    return RUNNER.invoke(app, ["sandbox", *arguments], input=stdin)


def test_run_shows_output_and_leaves_with_the_program_s_status(sandbox, tmp_path):
    result = RunResult("error", 3, b"out\n", b"err\n", files={"made.txt": b"x"})
    provider = Told(OutputEvent("stdout", b"out\n"), OutputEvent("stderr", b"err\n"), EndEvent(result))
    places = sandbox(provider)
    (tmp_path / "main.js").write_text("code")
    (tmp_path / "data.csv").write_text("a,b")
    done = invoke(
        "run", str(tmp_path / "main.js"), "--file", f"in/d.csv={tmp_path}/data.csv", "--stdin", "-", "--wall-s", "2.5",
        "--memory-mb", "64", "--allow-host", "example.org", "--allow-host", "*.example.net:81", "--out",
        str(tmp_path / "out"), "--provider", "other", "--url", "http://there", "--api-key", "k", stdin="typed",
    )  # fmt: skip
    assert (done.exit_code, done.stdout) == (3, "out\n"), done.output
    assert done.stderr.startswith("err\n")
    (request,) = provider.requests
    assert (request.code, request.language.name, request.stdin) == (b"code", "javascript", b"typed")
    assert (request.files, request.limits.wall_s, request.limits.memory_mb) == ({"in/d.csv": b"a,b"}, 2.5, 64)
    assert request.allow_hosts == ("example.org", "*.example.net:81")
    assert (tmp_path / "out/made.txt").read_bytes() == b"x"
    assert places == [Place("other", "http://there", "k")]
    assert places[0].options() == {"url": "http://there", "api_key": "k"}


def test_run_takes_the_program_from_standard_input_and_prints_json(sandbox):
    picture = Display({"image/png": base64.b64encode(b"PNG").decode()})
    provider = Told(DisplayEvent("display", picture), EndEvent(RunResult("timeout", -9, b"\xff", displays=(picture,))))
    sandbox(provider)
    done = invoke("run", "-", "--language", "bash", "--json", stdin="sleep 100")
    assert done.exit_code == 124
    shown = json.loads(done.stdout)
    assert shown["status"] == "timeout"
    assert provider.requests[0].code == b"sleep 100"
    assert provider.requests[0].language.name == "bash"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "/nowhere.py"], "can't be read: No such file"),
        (["run", "-", "--stdin", "-"], "can't both be standard input"),
        (["run", "-", "--language", "cobol"], "unknown language 'cobol'"),
        (["run", "-", "--wall-s", "-1"], "limits.wall_s is -1.0"),
        (["run", "-", "--file", "../x=/dev/null"], "../x"),
        (["run", "-", "--allow-host", "http://x/y"], "http://x/y"),
        (["build", "--image", "big"], "there are: data, minimal"),
        (["build", "--packages", "--index-url=x"], "is no Python package"),
        (["build", "--tag", "A B"], "is no image's name"),
        (["build", "--mirror", "x"], "is no mirror"),
        (["build", "--suite", "../x"], "is no Debian release"),
    ],
)
def test_bad_input_is_wrong_usage(sandbox, arguments, said):
    sandbox(Told())
    done = invoke(*arguments, stdin="x")
    assert done.exit_code == 2, done.output
    assert said in done.stderr
    assert "Traceback" not in done.output


def test_a_sandbox_that_can_not_run_is_told_from_the_program(sandbox):
    sandbox(Told(error=SandboxBusyError("Too many runs wait.")))
    done = invoke("run", "-", stdin="x")
    assert done.exit_code == 125
    assert "Too many runs wait." in done.stderr
    sandbox(Told(error=InvalidRunError("no")))
    assert invoke("run", "-", stdin="x").exit_code == 2


def test_without_docker_each_command_says_what_mends_it(tmp_path):
    socket = str(tmp_path / "none.sock")
    for arguments, status in ((["run", "-"], 125), (["shell"], 1), (["ps"], 1), (["prune"], 1), (["build"], 1)):
        done = invoke(*arguments, "--socket", socket, stdin="x")
        assert done.exit_code == status, done.output
        assert socket in done.stderr
        assert "To mend it: " in done.stderr
    done = invoke("doctor", "--socket", socket)
    assert done.exit_code == 1
    assert "no Docker socket" in done.stdout


def test_an_unknown_provider_is_named(tmp_path):
    done = invoke("run", "-", "--provider", "dcoker", stdin="x")
    assert done.exit_code == 2
    assert "no sandbox provider 'dcoker'; installed are:" in done.stderr


def test_shell_runs_what_is_piped_into_it(sandbox):
    provider = ScriptedProvider()
    sandbox(provider)
    done = invoke("shell", "--file", "x=/dev/null", "--memory-mb", "64", stdin="%files\n!say hi\n%quit\nnever")
    assert (done.exit_code, done.stdout) == (0, "       0 bytes  x\nhi\n"), done.output
    assert provider.sessions[0].request.limits.memory_mb == 64
    assert invoke("shell", stdin="!fail ValueError no\n").exit_code == 1


def test_build_says_what_it_would_make(monkeypatch):
    monkeypatch.setattr(images, "build", None)
    done = invoke(
        "build", "--dry-run", "--json", "--image", "minimal", "--packages", "numpy,pandas>=2,<3",
        "--debian-packages", "ripgrep", "--suite", "trixie", "--tag", "a/b:c",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    shown = json.loads(done.stdout)
    assert (shown["tag"], shown["suite"]) == ("a/b:c", "trixie")
    assert shown["python_packages"] == ["numpy", "pandas>=2,<3"]
    assert shown["debian_packages"] == ["python3", "nodejs", "ripgrep"]
    assert "ripgrep" in invoke("build", "--dry-run", "--debian-packages", "ripgrep").stdout


@pytest.mark.parametrize(("made", "said"), [(True, "Made polyport/sandbox:minimal, 198 MB"), (False, "is up to date")])
def test_build_shows_its_steps(monkeypatch, made, said):
    asked = {}

    async def build(recipe, *, on_step, **options):
        asked.update(options, recipe=recipe)
        on_step(1, 2, "first")
        on_step(2, 2, "second")
        return Built("polyport/sandbox:minimal", "sha256:1", made, 198)

    monkeypatch.setattr(images, "build", build)
    done = invoke("build", "--force", "--mirror", "http://m/debian", "--socket", "/x", "--from-dockerfile")
    assert done.exit_code == 0, done.output
    assert done.stderr == "1/2 first\n2/2 second\n"
    assert said in done.stdout
    assert (asked["force"], asked["mirror"], asked["socket"]) == (True, "http://m/debian", "/x")
    assert asked["from_dockerfile"] is True
    shown = json.loads(invoke("build", "--json").stdout)
    assert (shown["made"], shown["size_mb"]) == (made, 198)


def test_doctor_prints_what_it_found(tmp_path, fake_docker):
    socket = fake_docker(FIT | {"/info": INFO | {"PidsLimit": False}})
    done = invoke("doctor", "--socket", socket)
    assert done.exit_code == 1
    assert "cgroup_enable=pids" in done.stdout
    shown = json.loads(invoke("doctor", "--socket", socket, "--json").stdout)
    assert shown["ok"] is False
    (finding,) = [finding for finding in shown["findings"] if not finding["ok"]]
    assert finding["subject"] == "process limit"


def test_ps_and_prune(fake_docker):
    container = {"Id": "c" * 64, "Names": ["/polyport-sandbox-1"], "Image": "i:1", "State": "exited", "Created": 0}
    socket = fake_docker({
        "/containers/json": [container], "/images/json": [], f"DELETE /containers/{'c' * 12}": b"",
    })  # fmt: skip
    done = invoke("ps", "--socket", socket)
    assert done.stdout.split("\t")[:3] == ["c" * 12, "i:1", "exited"]
    assert "left behind" in done.stdout
    assert json.loads(invoke("ps", "--socket", socket, "--json").stdout)[0]["orphan"] is True
    assert invoke("prune", "--socket", socket).stdout == "Removed 1 containers and 0 images.\n"
    shown = json.loads(invoke("prune", "--socket", socket, "--json").stdout)
    assert shown == {"containers": ["polyport-sandbox-1"], "images": []}

import json
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from polyport.errors import ConfigurationError
from polyport_gateway.cli.records import parse_time
from polyport_gateway.cli.root import app

APP = '''
from polyport import App, Context, FunctionError

app = App("demo")

@app.function
def add(a: int, b: int = 1) -> int:
    """Add two integers.

    A second paragraph.
    """
    return a + b

@app.function
def shout(text: str) -> str:
    return text.upper()

@app.function
def describe(name: str) -> dict[str, str]:
    return {"name": name}

@app.function
def fail() -> str:
    raise FunctionError("the stock is empty")

@app.function
def slow(ctx: Context) -> str:
    ctx.progress(1, 2, "half")
    ctx.log("careful", level="warning")
    return "done"

@app.pipeline
def ask(question: str):
    yield "You asked: "
    yield question
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name in ("POLYPORT_BASE_URL", "POLYPORT_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def run(folder):
    def run(*arguments, **options):
        return CliRunner().invoke(app, list(arguments), catch_exceptions=False, **options)

    return run


class TestCall:
    @pytest.mark.parametrize(
        ("arguments", "output"),
        [
            (["add", "a=1", "b=2"], "3\n"),
            (["add", "41"], "42\n"),
            (["add", "--json", '{"a": 1}'], "2\n"),
            (["shout", "text=7"], "7\n"),
            (["shout", "hi", "--raw"], '"HI"\n'),
            (["describe", "name=é"], '{"name": "é"}\n'),
            (["ask", "why"], "You asked: why\n"),
        ],
    )
    def test_prints_the_result(self, run, arguments, output):
        result = run("call", *arguments, "--app", "app.py")
        assert (result.exit_code, result.stdout) == (0, output)

    def test_logs_go_to_standard_error(self, run):
        result = run("call", "slow", "--app", "app.py")
        assert result.stdout == "done\n"
        assert result.stderr == "warning: careful\n"

    @pytest.mark.parametrize(
        ("arguments", "code", "message"),
        [
            (["add", "a=x"], 1, "Invalid arguments for 'add'"),
            (["fail"], 1, "the stock is empty"),
            (["ad"], 1, "there is no 'ad' here, or your key may not use it. Did you mean add?"),
            (["shout", "a", "b"], 0, ""),
            (["add", "nonsense", "--json", "["], 2, "--json takes a JSON object"),
        ],
    )
    def test_exit_codes(self, run, arguments, code, message):
        result = run("call", *arguments, "--app", "app.py")
        assert result.exit_code == code
        assert message in result.stderr
        assert "Traceback" not in result.output

    def test_leaves_no_file(self, run, folder):
        run("call", "add", "1", "--app", "app.py")
        assert [path.name for path in folder.iterdir() if not path.name.startswith("__")] == ["app.py"]

    def test_nobody_answers(self, run):
        result = run("call", "add", "--url", "http://127.0.0.1:9")
        assert result.exit_code == 3
        assert "polyport serve" in result.stderr

    def test_not_an_address(self, run):
        result = run("list", "--url", "localhost:8400")
        assert result.exit_code == 2
        assert "not a gateway's address" in result.stderr


def test_list(run):
    result = run("list", "--app", "app.py")
    assert result.stdout.splitlines()[0] == "add\tfunction\tAdd two integers."
    assert "ask\tpipeline\t" in result.stdout
    entries = json.loads(run("list", "--app", "app.py", "--json").stdout)
    assert entries[0]["function"]["parameters"]["required"] == ["a"]


class TestChat:
    def test_a_prompt_and_standard_input(self, run):
        result = run("chat", "ask", "Summarise:", "--app", "app.py", input="the text\n")
        assert (result.exit_code, result.stdout) == (0, "You asked: Summarise:\n\nthe text\n")

    def test_nothing_to_say(self, run):
        result = run("chat", "ask", "--app", "app.py", input="")
        assert result.exit_code == 2
        assert "nothing to say" in result.stderr

    def test_an_unknown_model(self, run):
        result = run("chat", "nope", "hi", "--app", "app.py")
        assert result.exit_code == 1
        assert "does not exist or you do not have access" in result.stderr


class TestKeys:
    def test_life_of_a_key(self, run):
        made = run("keys", "create", "laptop", "--allow", "add, kb_*", "--expires", "30d")
        token = made.stdout.strip()
        assert token.startswith("pp_")
        listed = run("keys", "list")
        assert token not in listed.output
        identity, name, state, may, *_ = listed.stdout.rstrip("\n").split("\t")
        assert (name, state, may) == ("laptop", "live", "add, kb_*")
        assert token.startswith(f"pp_{identity}_")
        assert run("keys", "revoke", "laptop").exit_code == 0
        assert json.loads(run("keys", "list", "--json").stdout)[0]["state"] == "revoked"

    def test_allowing_twice_allows_both(self, run):
        made = json.loads(run("keys", "create", "ci", "--allow", "add", "--allow", "kb_*, sub", "--json").stdout)
        assert made["allow"] == ["add", "kb_*", "sub"]

    def test_json(self, run):
        made = json.loads(run("keys", "create", "ci", "--json").stdout)
        assert made["allow"] is None
        assert made["token"].startswith(f"pp_{made['id']}_")

    @pytest.mark.parametrize(
        ("arguments", "code", "message"),
        [
            (["create", "x", "--expires", "soon"], 2, "--expires takes a span such as 30d"),
            (["create", "x", "--expires", "2001-01-01"], 2, "in the future"),
            (["create", "x", "--allow", ","], 2, "would allow nothing"),
            (["create", "twice"], 1, "exists already"),
            (["revoke", "nobody"], 1, "no key with the id or name 'nobody'"),
            (["list", "--database-url", "nonsense"], 2, "database_url can't be read as a URL"),
        ],
    )
    def test_errors(self, run, arguments, code, message):
        run("keys", "create", "twice")
        result = run("keys", *arguments)
        assert result.exit_code == code, result.output
        assert message in result.stderr

    def test_an_unwritable_folder(self, run, folder):
        (folder / "file").touch()
        result = run("keys", "list", "--data-dir", "file/inside")
        assert result.exit_code == 2
        assert "choose another with --data-dir" in result.stderr


def test_times():
    now = datetime.now(UTC)
    assert abs(parse_time("2w", future=True, option="--x") - now - timedelta(weeks=2)) < timedelta(seconds=5)
    assert abs(now - parse_time("12h", future=False, option="--x") - timedelta(hours=12)) < timedelta(seconds=5)
    assert parse_time("2031-01-31", future=True, option="--x").tzinfo is not None
    for text in ("", "d", "5", "5y", "-1d", "٣d", "999999999999d", "yesterday"):
        with pytest.raises(ConfigurationError, match="--x takes a span"):
            parse_time(text, future=True, option="--x")


class TestDoctor:
    def test_a_sound_installation(self, run):
        result = run("doctor", "--json")
        found = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
        assert found["core"]["state"] == found["extra gateway"]["state"] == "ok"
        assert "httpx" in found["core"]["detail"]
        assert found["data folder"]["state"] == "ok"

    def test_makes_nothing(self, run, folder):
        run("doctor")
        assert not (folder / ".polyport").exists()

    def test_what_is_essential_fails(self, run, folder):
        (folder / "file").touch()
        result = run("doctor", "--data-dir", "file/inside")
        assert result.exit_code == 1
        assert "can't be written" in result.stdout

    def test_missing_extras_name_their_pip_line(self, run, monkeypatch):
        from importlib.metadata import PackageNotFoundError

        from polyport_gateway.cli import checks

        real = checks.version

        def version(name):
            if name == "litellm":
                raise PackageNotFoundError(name)
            return real(name)

        monkeypatch.setattr(checks, "version", version)
        found = {check["name"]: check for check in json.loads(run("doctor", "--json").stdout)["checks"]}
        assert found["extra litellm"]["state"] == "missing"
        assert found["extra litellm"]["remedy"] == 'pip install "polyport[litellm]"'

    def test_a_plugin_that_fails_to_load_is_reported(self, run, monkeypatch):
        from importlib.metadata import EntryPoint

        from polyport_gateway.cli import checks

        broken = EntryPoint("broken", "nowhere_at_all:Engine", "polyport.engines")
        monkeypatch.setattr(checks, "entry_points", lambda group: [broken])
        found = {check["name"]: check for check in json.loads(run("doctor", "--json").stdout)["checks"]}
        assert found["engine broken"]["state"] == "missing"
        assert "nowhere_at_all" in found["engine broken"]["detail"]


def test_usage_of_nothing(run):
    assert run("usage").exit_code == 0
    assert json.loads(run("usage", "--json", "--since", "2026-01-01").stdout) == []


def test_version(run):
    assert run("--version").stdout.startswith("polyport 0.")


def test_no_arguments_show_the_help(run):
    assert "Exit codes:" in run().output

"""`polyport kb`: what is sent, what is said, and with which code it leaves."""

import itertools
import json
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from typer.testing import CliRunner

from polyport import App
from polyport.errors import ConfigurationError, ConflictError
from polyport.testing import gateway
from polyport.types.knowledge import KnowledgeHop, KnowledgeJob, LeftOut
from polyport_gateway.cli.kb.adding import pairs
from polyport_gateway.cli.kb.changing import fields_of
from polyport_gateway.cli.kb.display import chain_lines, left_out_lines, matching, passage, sizes, summary, wrapped
from polyport_gateway.cli.kb.evaluating import configuration
from polyport_gateway.cli.kb.searching import names_of
from polyport_gateway.cli.root import app
from tests.support.knowledge import MemoryKnowledge, install

GREEN, BLACK = "Green tea is steeped at 75 degrees.", "红茶用沸水冲泡。Black tea is steeped in boiling water."
RED = "docs/black 红.md"


@pytest.fixture(scope="module")
def memory():
    return MemoryKnowledge()


@pytest.fixture(scope="module")
def url(memory, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        install(patch, memory)
        with gateway(App("library"), data_dir=tmp_path_factory.mktemp("data")) as running:
            yield running.url


@pytest.fixture
def run(url, memory, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLYPORT_BASE_URL", url)
    memory.bases_by_name.clear()
    memory.put("tea", {"green.md": GREEN, RED: BLACK})
    memory.pause_s = 0.0

    def run(*arguments, **options):
        return CliRunner().invoke(app, ["kb", *map(str, arguments)], prog_name="polyport", **options)

    return run


class TestAdding:
    def test_a_folder(self, run, tmp_path):
        (tmp_path / "docs/.git").mkdir(parents=True)
        (tmp_path / "docs/a.md").write_text("A")
        (tmp_path / "docs/茶.md").write_text("茶")
        done = run("add", "tea", "docs", "--meta", "year=2025", "--tag", "公开")
        assert done.exit_code == 0, done.output
        assert re.fullmatch(r"tea: 2 added in \d+\.\d s\n", done.stdout)
        assert done.stderr == "1 hidden file or folder left out; --hidden takes them\n"
        shown = json.loads(run("show", "tea", "docs/茶.md", "--json").stdout)
        assert (shown["metadata"], shown["tags"]) == ({"year": 2025}, ["公开"])
        again = run("add", "tea", "docs")
        assert again.stdout.startswith("tea: 2 unchanged")

    def test_what_fails_is_listed_and_stops_nothing(self, run, tmp_path):
        (tmp_path / "docs").mkdir()
        (tmp_path / "docs/a.md").write_text("A")
        (tmp_path / "docs/b.md").write_bytes(b"\0")
        (tmp_path / "docs/c\x1b[2J.md").write_bytes(b"C")
        done = run("add", "tea", "docs", "--receipts")
        assert done.exit_code == 1
        assert "tea: 1 added, 2 failed in" in done.stdout
        assert "docs/a.md\tready" in done.stdout
        assert "2 failed:\n  docs/c␛[2J.md: Its name has characters" in done.stderr
        assert "\n  docs/b.md: no text [binary]\n" in done.stderr

    def test_standard_input_and_a_new_base(self, run):
        done = run("add", "new", "-", "--key", "note.md", "--create", input="From a pipe")
        assert done.exit_code == 0, done.output
        assert "The knowledge base new is made." in done.stderr
        assert run("show", "new", "note.md", "--text").stdout == "From a pipe\n"

    def test_without_waiting(self, run, memory):
        memory.pause_s = 0.3
        done = run("add", "tea", "https://example.org/a", "--no-wait")
        job = re.search(r"job_\d+", done.stderr)[0]
        followed = run("jobs", job)
        assert followed.exit_code == 0
        assert "tea: 1 added in" in followed.stdout
        listed = run("jobs", "tea").stdout
        assert f"{job}\ttea\tingest\tcompleted\t1 of 1" in listed
        assert json.loads(run("jobs", "tea", "--json").stdout)[0]["id"] == job

    def test_cancelling(self, run, memory):
        memory.pause_s = 30
        job = json.loads(run("add", "tea", "https://example.org/a", "--no-wait", "--json").stdout)["id"]
        assert run("jobs", job, "--cancel").stdout == f"{job}: cancelled: nothing to do\n"
        assert run("jobs", job).exit_code == 1

    def test_progress_in_a_pipe_is_lines(self, run, memory, monkeypatch):
        monkeypatch.setattr("polyport_gateway.cli.kb.waiting._EVERY_S", 0.05)
        memory.pause_s = 0.1
        done = run("add", "tea", "https://example.org/a", "https://example.org/b", "https://example.org/c")
        assert re.search(r"ingest: \d of 3: running", done.stderr)

    @pytest.mark.parametrize(
        ("arguments", "message", "code"),
        [
            (["tea", "nowhere"], "nowhere can't be read: No such file", 1),
            (["tea", "-"], "standard input has no name", 2),
            (["none", "https://example.org/"], "does not exist", 1),
            (["tea", "https://example.org/", "--meta", "year"], "--meta takes KEY=VALUE, not 'year'", 2),
            (["tea", "https://example.org/", "--meta", "a:={"], "after := comes JSON", 2),
            (["tea", "."], "has no files", 1),
        ],
    )
    def test_what_can_not_be_added(self, run, arguments, message, code):
        done = run("add", *arguments)
        assert (done.exit_code, message in done.stderr) == (code, True), done.output
        assert "Traceback" not in done.output


class TestFinding:
    def test_lines_in_a_pipe(self, run):
        done = run("search", "tea", "How is green tea steeped?", "-n", "1")
        assert done.stdout == f"0.8000\ttea\tgreen\tgreen.md · page 1 · Part › green\t{GREEN}\n"
        assert re.search(r"1 found by bm25 in \d+ ms", done.stderr)

    def test_json_and_filters(self, run, memory):
        found = json.loads(run("search", "all", "沸水", "--json", "--where", "year=2025", "--no-hops").stdout)
        assert (found["data"], memory.asked[-1].filter, memory.asked[-1].hops) == ([], {"year": 2025}, False)
        assert memory.asked[-1].knowledge is None
        assert memory.asked[-1].rerank is None

    def test_an_answer(self, run):
        done = run("ask", "tea", "green degrees")
        assert done.stdout == f"{GREEN}\n\n[1] green  green.md · page 1 · Part › green\n"
        assert run("ask", "tea", "green quoted").stdout.endswith("› green\n    “In other words.”\n")
        assert json.loads(run("ask", "tea", "green degrees", "--json").stdout)["text"] == GREEN
        assert run("ask", "tea", input="green degrees").stdout.startswith(GREEN)

    def test_nothing_on_it(self, run):
        done = run("ask", "tea,tea", "Zebras?")
        assert done.stdout == "The documents say nothing of this.\n"
        assert "Nothing was found." in run("search", "tea", "Zebras?").stderr

    @pytest.mark.parametrize(
        ("arguments", "message", "code"),
        [
            (["ask", "tea", "green break"], "It broke off.", 1),
            (["ask", "none", "green"], "does not exist", 1),
            (["ask", "tea", " "], "nothing to ask", 2),
            (["search", "tea", " "], "nothing to look for", 2),
            (["search", "tea", "x", "--where", "year"], "--where takes", 2),
        ],
    )
    def test_what_can_not_be_asked(self, run, arguments, message, code):
        done = run(*arguments)
        assert done.exit_code == code
        assert message in done.stderr


class TestKeeping:
    def test_bases(self, run):
        done = run("create", "handbook", "--description", "How we work", "--field", "year=integer")
        assert done.stdout == "handbook: made, searched by bm25\n"
        assert "handbook\t0\t0\tbm25\tready\tHow we work\n" in run("ls").stdout
        assert "  about       How we work" in run("show", "handbook").stdout
        assert run("create", "handbook").exit_code == 1
        assert {base["name"] for base in json.loads(run("ls", "--json").stdout)} == {"tea", "handbook"}

    def test_documents(self, run):
        lines = run("ls", "tea").stdout.splitlines()
        assert [line.split("\t")[:2] for line in lines] == [["green.md", "green"], [RED, "black 红"]]
        assert len(run("ls", "tea", "--query", "红").stdout.splitlines()) == 1
        assert [
            json.loads(line)["source"] for line in run("ls", "tea", "--json", "--limit", "1").stdout.splitlines()
        ] == ["green.md"]
        assert run("ls", "tea", "--failed").stdout == ""
        assert "  known by    green.md" in run("show", "tea", "green.md").stdout
        assert run("show", "tea", RED, "--text").stdout == BLACK + "\n"

    def test_the_log(self, run):
        assert run("log", "tea").stdout.count("\tadded\t") == 2
        assert json.loads(run("log", "tea", "--json", "-n", "1").stdout)["action"] == "added"

    def test_removing_documents(self, run):
        dry = run("rm", "tea", "*.md", "--dry-run")
        assert (dry.stdout, dry.stderr) == (f"green.md\n{RED}\n", "2 documents of tea would be removed\n")
        asked = run("rm", "tea", "green.md")
        assert asked.exit_code == 2
        assert "add --yes" in asked.stderr
        assert run("rm", "tea", "docs/*", "green.md", "--yes").stdout == "tea: 2 documents removed\n"
        assert run("ls", "tea").stdout == ""
        none = run("rm", "tea", "*.pdf", "-y")
        assert (none.exit_code, "no document like *.pdf" in none.stderr) == (1, True)
        assert run("rm", "tea", "gone.md", "-y").exit_code == 1

    def test_removing_a_base(self, run):
        assert run("rm", "tea", "--dry-run").stderr == "tea would be removed, with 2 documents\n"
        assert run("rm", "tea", "--yes").stdout == "tea: removed, with 2 documents\n"
        assert run("show", "tea").exit_code == 1

    def test_building_anew(self, run):
        assert run("reindex", "tea", "--embedder", "minilm", "--chunker", "Auto()").stdout.startswith(
            "tea: nothing to do"
        )
        assert json.loads(run("show", "tea", "--json").stdout)["embedders"] == ["minilm"]
        assert run("reindex", "tea", "--embedder", "none", "--no-wait").exit_code == 0
        assert json.loads(run("show", "tea", "--json").stdout)["embedders"] == []
        assert run("refresh", "tea").stdout.startswith("tea: nothing to do")
        assert "documents keep theirs until they change" in run("rekey", "tea", "--version", "3").stderr
        assert run("rekey", "tea", "--when", "batch").stdout.startswith("tea: nothing to do")


class TestEvaluating:
    @pytest.fixture
    def questions(self, tmp_path):
        path = tmp_path / "questions.jsonl"
        lines = [
            {"question": "green degrees", "gold": ["green.md"]},
            {"question": "沸水", "gold": [RED]},
            {"question": "zebra", "gold": ["green.md"]},
        ]
        path.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines))
        return path

    def test_one_configuration(self, run, questions):
        done = run("eval", questions, "--name", "tea", "-k", "1", "-k", "5", "--details", "--answers")
        assert done.exit_code == 0, done.output
        assert re.search(r"recall@1\t0\.667\t", done.stdout), done.stdout
        assert "zebra" in done.stdout
        report = json.loads(run("eval", questions, "--name", "tea; mode=bm25", "--json").stdout)
        assert report["figures"]["recall@5"]["mean"] == pytest.approx(2 / 3)

    def test_two_side_by_side(self, run, questions, memory):
        done = run("eval", questions, "--name", "tea", "--against", "mode=bm25; hops=false", "--details")
        assert done.exit_code == 0, done.output
        assert re.search(r"recall@1\t0\.667\t0\.667\t[+]0\.000", done.stdout), done.stdout
        assert (memory.asked[-1].mode, memory.asked[-1].hops, memory.asked[-1].knowledge) == ("bm25", False, ["tea"])

    def test_wrong_ones(self, run, tmp_path):
        (tmp_path / "bad.json").write_text("{}")
        for arguments in (["bad.json"], ["none.json"], ["bad.json", "--name", "limits=3"]):
            done = run("eval", *arguments)
            assert done.exit_code == 2, done.output
            assert "Traceback" not in done.output


class TestWhereItIs:
    def test_an_app_in_this_process(self, run, tmp_path, monkeypatch):
        inside = MemoryKnowledge()
        install(monkeypatch, inside)
        (tmp_path / "app.py").write_text("from polyport import App\napp = App('demo')\n")
        (tmp_path / "a.md").write_text(GREEN)
        assert run("create", "inside", "--app", "app.py", "--data-dir", "state").exit_code == 0
        assert run("add", "inside", "a.md", "--app", "app.py", "--data-dir", "state").exit_code == 0
        assert run("ask", "inside", "green degrees", "--app", "app.py", "--data-dir", "state").stdout.startswith(GREEN)
        assert (tmp_path / "state").is_dir()
        assert not (tmp_path / ".polyport").exists()

    def test_no_gateway(self, run):
        done = run("ls", "--url", "http://127.0.0.1:1")
        assert done.exit_code == 3
        assert "Start a gateway" in done.stderr

    def test_an_index_that_a_gateway_has_open(self, run, url, tmp_path, monkeypatch):
        inside = MemoryKnowledge()
        install(monkeypatch, inside)

        async def bases(caller):
            raise ConflictError(f"The index is open already, in the process {os.getpid()}.", code="index_locked")

        monkeypatch.setattr(inside, "bases", bases)
        (tmp_path / "app.py").write_text("from polyport import App\napp = App('demo')\n")
        done = run("ls", "--app", "app.py")
        assert done.exit_code == 1
        port = url.rpartition(":")[2]
        assert f"ask that one, with --url http://127.0.0.1:{port} instead of --app" in done.stderr


class TestWords:
    @pytest.mark.parametrize(
        ("text", "query", "marked"),
        [
            ("Teas are steeped in TEA.", "how is tea steeped", ["Teas", "steeped", "TEA"]),
            ("红茶用沸水冲泡", "怎么泡红茶？", ["红茶"]),
            ("茶与水", "茶", ["茶"]),
            ("GPU服务器有8块GPU", "GPU服务器", ["GPU", "服务器", "GPU"]),
            ("nothing", "the of", []),
            ("", "tea", []),
        ],
    )
    def test_what_is_marked(self, text, query, marked):
        assert [text[start:end] for start, end in matching(text, query)] == marked

    @given(st.text(), st.text())
    def test_marks_are_in_order_and_within(self, text, query):
        spans = matching(text, query)
        assert all(0 <= start < end <= len(text) for start, end in spans)
        assert spans == sorted(spans)
        assert all(one[1] <= other[0] for one, other in itertools.pairwise(spans))

    def test_long_passages_are_shown_around_what_matches(self):
        text = "word " * 500 + "zebra " + "word " * 500
        shown = passage(text, "zebra")
        assert "zebra" in shown
        assert shown.startswith("… word")
        assert shown.endswith(" …")
        assert len(shown) < 500
        assert passage(text, "zebra", None) == text.strip()
        assert passage("\x1b[2J茶\n\n水", "") == "␛[2J茶 水"

    @pytest.mark.parametrize(
        ("text", "lines"),
        [
            ("补助 出差补助为每天一百二十元，当天往返。", ["补助 出差补", "助为每天一百", "二十元，当天", "往返。"]),
            ("Green tea is steeped.", ["Green tea is", "steeped."]),
            ("abcdefghijklmnopqrstuvwxyz 茶", ["abcdefghijkl", "mnopqrstuvwx", "yz 茶"]),
            ("", []),
        ],
    )
    def test_lines_are_broken_where_each_script_breaks_them(self, text, lines):
        assert [text[start:end] for start, end in wrapped(text, 12)] == lines

    @given(st.text(), st.integers(2, 20))
    def test_no_line_is_too_wide_and_nothing_but_spaces_is_lost(self, text, width):
        text = " ".join(text.split())
        lines = wrapped(text, width)
        assert all(cell_len(text[start:end]) <= width for start, end in lines)
        assert "".join(text[start:end] for start, end in lines).replace(" ", "") == text.replace(" ", "")

    @given(st.lists(st.sampled_from(["a=1", "b=x", "c=true", "d:=[1]", "e=", "f=1.5", "g=null", 'h="q"'])))
    def test_pairs(self, words):
        known = {"a": 1, "b": "x", "c": True, "d": [1], "e": "", "f": 1.5, "g": "null", "h": '"q"'}
        assert pairs(words, "--meta") == {word[0]: known[word[0]] for word in words}

    def test_other_words(self):
        assert names_of("a, b") == ["a", "b"]
        assert names_of("*") is None
        assert configuration("") == {}
        assert configuration('a,b; filter={"year": 2025}; diversity=0.3') == {
            "knowledge": ["a", "b"], "filter": {"year": 2025}, "diversity": 0.3
        }  # fmt: skip
        assert fields_of([]) is None
        with pytest.raises(ConfigurationError, match="NAME=TYPE"):
            fields_of(["year=int"])
        assert [sizes(count) for count in (0, 1023, 1024, 5 << 40)] == ["0 B", "1023 B", "1.0 KiB", "5.0 TiB"]
        hop = KnowledgeHop(source=1, source_title="A", target=2, clue="水", direction="forward", query="q", score=1)
        assert list(chain_lines([hop])) == ["A → 2 by '水'"]
        assert list(left_out_lines([LeftOut(knowledge="a", code="timeout", reason="slow\x07")])) == [
            "a is left out: slow␇ [timeout]"
        ]
        assert summary(KnowledgeJob(id="j", knowledge="a", kind="ingest", status="failed", done=3)) == "failed: 3 done"

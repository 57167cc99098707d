"""`polyport docs`: what it reads, where it puts it, what it says of failures."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

import pytest
from typer.testing import CliRunner

from polyport_gateway.cli.docs.inputs import find_files
from polyport_gateway.cli.docs.output import OutputExistsError, OutputFolder
from polyport_gateway.cli.docs.password import password_of
from polyport_gateway.cli.docs.show import fit, on_one_line
from polyport_gateway.cli.root import app
from tests.support.documents import TEA, docx, install_reader, png, trying


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(folder):
    def run(*arguments, **options):
        return CliRunner().invoke(app, ["docs", *map(str, arguments)], prog_name="polyport", **options)

    return run


class TestRead:
    def test_one_file_is_all_that_is_printed(self, run, folder):
        (folder / "tea.md").write_bytes(TEA)
        done = run("read", "tea.md")
        assert (done.exit_code, done.stdout, done.stderr) == (0, TEA.decode(), "")

    def test_many_files_one_of_them_bad(self, run, folder, monkeypatch):
        (folder / "reader").mkdir()
        install_reader(folder / "reader", monkeypatch)
        (folder / "in").mkdir()
        (folder / "in/a.md").write_bytes(TEA)
        (folder / "in/b.rtf").write_bytes(trying("crash"))
        (folder / "in/c.rtf").write_bytes(trying("lossy"))
        (folder / "in/d.txt").write_text("last")
        done = run("read", "in", "nothing.txt", "--strict", "--workers", "1")
        assert done.exit_code == 1
        assert done.stdout == f"==> in/a.md <==\n{TEA.decode()}\n==> in/d.txt <==\nlast\n\n"
        said = done.stderr.splitlines()
        assert said[0] == "3 of 5 files failed:"
        assert said[1] == "  nothing.txt: No such file or directory. [not_found]"
        assert "in/b.rtf: it crashed its reader" in said[2]
        assert said[3].startswith("  in/c.rtf, page 2: a page was left out: it is torn.")
        assert said[3].endswith("[document_loss]")

    def test_json_lines(self, run, folder):
        (folder / "a.md").write_bytes(TEA)
        (folder / "b.md").write_bytes(b"")
        done = run("read", "a.md", "b.md", "--json", "--to", "text")
        first, second = map(json.loads, done.stdout.splitlines())
        assert (first["file"], first["to"], first["content"][:3]) == ("a.md", "text", "Tea")
        assert first["receipt"]["format"] == "markdown"
        assert second == {
            "file": "b.md",
            "error": {"code": "unreadable_document", "message": "it is empty.", "page": None},
        }
        assert done.exit_code == 1

    def test_a_receipt(self, run, folder, monkeypatch):
        (folder / "reader").mkdir()
        install_reader(folder / "reader", monkeypatch)
        (folder / "a.rtf").write_bytes(trying("lossy"))
        done = run("read", "a.rtf", "--receipt")
        told = [line.split(None, 1) for line in done.stdout.splitlines()]
        assert told[0] == ["a.rtf"]
        assert ["left", "out    page, page 2: it is torn."] in told
        assert ["found", "1 block, 0 tables, 0 pictures"] in told
        assert "lossy" not in done.stdout.split("left out")[0].partition("\n")[2]
        as_json = json.loads(run("read", "a.rtf", "--receipt", "--json").stdout)
        assert as_json["receipt"]["skipped"] == [
            {"what": "page", "why": "it is torn.", "page": 2, "part": None, "count": 1}
        ]
        assert "content" not in as_json
        both = run("read", "a.rtf", "--receipt", "--to", "text")
        assert (both.stdout, "it is torn" in both.stderr) == ("lossy\n", True)

    def test_into_a_folder(self, run, folder):
        for place in ("one/deep", "two"):
            (folder / place).mkdir(parents=True)
        (folder / "one/deep/a.docx").write_bytes(docx("Deep.", picture=True))
        (folder / "two/a.docx").write_bytes(docx("Two."))
        (folder / "a.docx").write_bytes(docx("Top."))
        arguments = ["read", "one", "two/a.docx", "a.docx", "--output", "out", "--pictures", "out/pictures"]
        done = run(*arguments)
        assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")
        written = sorted(str(path.relative_to(folder / "out")) for path in (folder / "out").rglob("*.*"))
        assert written == ["a.docx-2.md", "a.docx.md", "deep/a.docx.md", "pictures/deep/a.docx-1.png"]
        assert (folder / "out/pictures/deep/a.docx-1.png").read_bytes() == png()
        assert "(../pictures/deep/a.docx-1.png)" in (folder / "out/deep/a.docx.md").read_text()
        again = run(*arguments)
        assert again.exit_code == 1
        assert "--force replaces it" in again.stderr
        assert run(*arguments, "--force").exit_code == 0
        assert sorted(str(path.relative_to(folder / "out")) for path in (folder / "out").rglob("*.*")) == written

    def test_standard_input(self, run):
        done = run("read", "-", "--name", "drinks.csv", "--to", "html", input="drink,price\ntea,2\n")
        assert "<th" in done.stdout
        assert run("read", "-", "-", input="x").exit_code == 2

    def test_a_password(self, run, folder, monkeypatch):
        (folder / "reader").mkdir()
        install_reader(folder / "reader", monkeypatch)
        (folder / "a.rtf").write_bytes(trying("locked"))
        assert "a password is needed" in run("read", "a.rtf").stderr
        monkeypatch.setenv("POLYPORT_DOCS_PASSWORD", "sesame")
        assert run("read", "a.rtf").stdout == "locked\n"
        asked = run("read", "a.rtf", "--password", input="simsim\n")
        assert "a password is wrong" in asked.stderr
        assert "simsim" not in asked.output

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["read", "a.md", "--ocr", "perhaps"], "perhaps"),
            (["read", "a.md", "--to", "docx"], "docx"),
            (["read"], "FILE"),
            (["chunk"], "--list"),
            (["chunk", "a.md", "--with", "Nope()"], "no step named 'Nope'"),
            (["chunk", "a.md", "--tokenizer", "/nowhere"], "tokenizer"),
            (["read", "a.md", "--output", "a.md"], "can't be made"),
            (["read", "a.md", "--password", "--password-file", "x"], "not both"),
        ],
    )
    def test_wrong_usage(self, run, folder, arguments, said):
        (folder / "a.md").write_bytes(TEA)
        done = run(*arguments)
        assert done.exit_code == 2, done.output
        assert said in done.output.replace("\n", " ")

    def test_an_interrupt_leaves_nothing_running(self, folder, monkeypatch):
        (folder / "reader").mkdir()
        install_reader(folder / "reader", monkeypatch)
        (folder / "a.rtf").write_bytes(trying("sleep"))
        command = [sys.executable, "-m", "polyport_gateway.cli", "docs", "read", "a.rtf"]
        # A shell's background job ignores interrupts, and so would what it starts.
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ) as process:
            end = time.monotonic() + 20
            while not (children := children_of(process.pid)):
                assert time.monotonic() < end
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=20)
        assert (process.returncode, said) == (130, b"")
        assert not [child for child in children if is_running(child)]


def children_of(parent):
    import psutil

    return [child.pid for child in psutil.Process(parent).children(recursive=True)]


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class TestChunk:
    def test_readably(self, run, folder):
        (folder / "tea.md").write_bytes(TEA)
        done = run("chunk", "tea.md", "--with", "by-heading | Sentences(max_tokens=40)", "--tokenizer", "estimate")
        assert done.exit_code == 0, done.output
        lines = done.stdout.splitlines()
        assert lines[0].startswith("── 0 ── ")
        assert "· Tea ──" in lines[0]
        assert any("Tea › Black" in line for line in lines)
        assert "Green tea is steamed." in lines

    def test_json_lines(self, run, folder):
        (folder / "tea.md").write_bytes(TEA)
        found = [
            json.loads(line) for line in run("chunk", "tea.md", "--max-tokens", "12", "--json").stdout.splitlines()
        ]
        assert [chunk["index"] for chunk in found] == list(range(len(found)))
        assert all(chunk["file"] == "tea.md" and chunk["tokens"] <= 12 for chunk in found)
        assert len({chunk["id"] for chunk in found}) == len(found) > 1

    def test_the_list(self, run):
        rows = [line.split("\t") for line in run("chunk", "--list").stdout.splitlines()]
        assert {"Auto", "Sentences", "ByHeading"} <= {row[0] for row in rows}
        assert all(len(row) == 3 and row[1] for row in rows)


def test_formats(run):
    rows = [line.split("\t") for line in run("formats").stdout.splitlines()]
    assert ["docx", "yes", ".docx .docm .dotx .dotm", "docx"] in rows
    assert all(len(row) == 4 for row in rows)
    found = [json.loads(line) for line in run("formats", "--json").stdout.splitlines()]
    assert len(found) == len(rows)


def test_a_folder_is_walked_in_order(folder):
    for name in ("b/2.txt", "b/1.txt", ".hidden/x.txt", "a.txt", ".dot.txt", "large.bin"):
        (folder / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "in" / name).write_bytes(b"x" * (100 if name == "large.bin" else 1))
    os.mkfifo(folder / "in/pipe")
    (folder / "in/broken").symlink_to("nowhere")
    (folder / "in/loop").symlink_to(folder / "in", target_is_directory=True)
    found = find_files(["in"], most=50)
    assert [given.label for given in found.inputs] == ["in/a.txt", "in/b/1.txt", "in/b/2.txt"]
    assert [str(given.place) for given in found.inputs] == ["a.txt", "b/1.txt", "b/2.txt"]
    assert [failure.label for failure in found.failures] == ["in/broken"]
    assert found.notes == [
        "in/large.bin is left out: it has 100 bytes; at most 50 are read (--max-mb).",
        "in: 2 hidden entries are left out; --hidden takes them",
        "in: 1 entry is left out that is no file",
    ]
    assert len(find_files(["in"], most=50, hidden=True).inputs) == 5


def test_a_file_that_appears_meanwhile_is_not_replaced(folder):
    output = OutputFolder(folder / "out")
    path = output.claim(PurePosixPath("x"), ".md")
    path.write_text("somebody else's")
    with pytest.raises(OutputExistsError):
        output.write(path, b"ours")
    assert path.read_text() == "somebody else's"


def test_names_that_differ_in_case_alone_are_two_files(folder):
    output = OutputFolder(folder / "out")
    assert [output.claim(PurePosixPath(name), ".md").name for name in ("A.docx", "a.docx", "a.DOCX")] == [
        "A.docx.md",
        "a.docx-2.md",
        "a.DOCX-3.md",
    ]


def test_a_name_too_long_for_the_disk_is_cut(folder):
    output = OutputFolder(folder / "out", force=True)
    for _ in range(2):
        output.write(output.claim(PurePosixPath("名" * 85 + ".md"), ".md"), b"x")
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["名" * 83 + "-2.md", "名" * 84 + ".md"]


def test_two_processes_that_write_one_file_both_write_it_whole(folder):
    first, second = (OutputFolder(folder / "out", force=True) for _ in range(2))
    path = first.claim(PurePosixPath("x"), ".md")
    with ThreadPoolExecutor() as both:
        for _ in range(50):
            list(both.map(lambda given: given[0].write(path, given[1]), [(first, b"a" * 9999), (second, b"b" * 99)]))
            assert path.read_bytes() in (b"a" * 9999, b"b" * 99)
    assert list((folder / "out").iterdir()) == [path]


def test_a_password_of_a_file_or_of_standard_input(folder, monkeypatch):
    (folder / "password").write_text("sesame\nnot this\n")
    assert password_of(ask=False, file="password", stdin_taken=False) == "sesame"
    monkeypatch.setattr("sys.stdin", io.StringIO("simsim\n"))
    assert password_of(ask=False, file="-", stdin_taken=False) == "simsim"
    with pytest.raises(Exception, match="standard input is a document already"):
        password_of(ask=False, file="-", stdin_taken=True)


def test_a_terminal_is_not_steered():
    assert on_one_line("new\nline\x1b[2J.md") == "new␊line␛[2J.md"
    assert fit("a\x1b]0;evil\x07\x1b[2Jb\x9b") == "a␛]0;evil␇␛[2Jb\ufffd"

"""Every block of the README is run as a reader would, and prints what is shown."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.machine import ROOT
from tests.support.markdown import Block, blocks, commands, matches
from tests.support.peers import clean_environment, free_port, wait_until_answering

TOUR = {"README.md": "Five minutes", "README.zh-CN.md": "五分钟"}
SANDBOX = {"README.md": "Run untrusted code", "README.zh-CN.md": "运行不可信代码"}
KNOWLEDGE = {"README.md": "Ask your documents", "README.zh-CN.md": "向文档提问"}
DOCUMENTS = {"README.md": "Read any document", "README.zh-CN.md": "读取任何文档"}
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


class Reader:
    """Follows a document in a folder of its own, on a free port instead of 8400."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.printed: str | None = None
        self.servers: list[subprocess.Popen[bytes]] = []
        self.script = ["set -e"]
        self.environment = clean_environment(
            PATH=PATH,
            POLYPORT_PORT=str(self.port),
            POLYPORT_BASE_URL=f"http://127.0.0.1:{self.port}",
            PYTHONPATH=str(folder),
        )

    def here(self, text: str) -> str:
        return text.replace("8400", str(self.port))

    def follow(self, block: Block) -> None:
        match block.language:
            case "python" if name := re.match(r"# (\w+\.py)\n", block.code):
                (self.folder / name[1]).write_text(self.here(block.code), encoding="utf-8")
            case "python":
                self.printed = self._run(block, [sys.executable, "-c", self.here(block.code)])
            case "text":
                assert self.printed is not None, f"line {block.line}: nothing ran before this output"
                self._compare(block, self.here(block.code), self.printed)
            case "console":
                for command, shown in commands(block):
                    self._type(block, self.here(command), self.here(shown))
            case other:
                pytest.fail(f"line {block.line}: nobody runs a block of {other!r}")

    def _type(self, block: Block, command: str, shown: str) -> None:
        if command.startswith("polyport serve"):
            self._compare(block, shown, self._serve(command))
        elif assignment := re.fullmatch(r"[A-Z]+=.*", command):
            self.script.append(assignment[0])
        else:
            self._compare(block, shown, self._run(block, ["bash", "-c", "\n".join([*self.script, command])]))

    def _run(self, block: Block, command: list[str]) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"line {block.line}: {command[-1]}\n{done.stdout}{done.stderr}"
        return done.stdout

    def _serve(self, command: str) -> str:
        log = self.folder / "serve.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {command}"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.servers.append(process)
        wait_until_answering(f"http://127.0.0.1:{self.port}/healthz", process)
        deadline = time.monotonic() + 5
        while not log.read_text() and time.monotonic() < deadline:
            time.sleep(0.02)
        return log.read_text()

    def _compare(self, block: Block, shown: str, printed: str) -> None:
        assert matches(shown, printed), f"line {block.line} shows\n{shown}\nbut what was printed is\n{printed}"

    def leave(self) -> None:
        for process in self.servers:
            process.terminate()
            process.wait(timeout=30)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path)
    yield reader
    reader.leave()


@pytest.mark.requires("curl")
@pytest.mark.parametrize("document", TOUR)
def test_tour(document: str, reader: Reader) -> None:
    tour = [block for block in blocks(ROOT / document) if block.section == TOUR[document]]
    assert len(tour) >= 5
    for block in tour:
        reader.follow(block)


@pytest.mark.parametrize("document", TOUR)
def test_commands_outside_the_tour_exist(document: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    elsewhere = {TOUR[document], SANDBOX[document], DOCUMENTS[document], KNOWLEDGE[document]}
    outside = [block for block in blocks(ROOT / document) if block.section not in elsewhere]
    assert outside
    for block in outside:
        for line in block.code.splitlines():
            if extra := re.fullmatch(r'pip install "polyport\[(\w+)\]"', line):
                assert extra[1] in project["optional-dependencies"]
            elif line == "polyport serve app.py":
                assert "polyport" in project["scripts"]
            else:
                # What make would do; what it does is the matter of a clean checkout, where CI runs it.
                assert re.fullmatch(r"make [\w-]+", line), f"line {block.line}: nobody runs {line!r}"
                subprocess.run([*line.split(), "--dry-run"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_documents_section_runs(document: str, reader: Reader) -> None:
    install, shell = [block for block in blocks(ROOT / document) if block.section == DOCUMENTS[document]]
    extras = re.fullmatch(r'pip install "polyport\[([\w,]+)\]"', install.code.strip())
    assert extras is not None
    assert set(extras[1].split(",")) < set(
        tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    )
    reader.follow(shell)


@pytest.mark.parametrize("document", KNOWLEDGE)
def test_the_knowledge_section_runs(document: str, reader: Reader) -> None:
    install, app, shell = [block for block in blocks(ROOT / document) if block.section == KNOWLEDGE[document]]
    extras = re.fullmatch(r'pip install "polyport\[([\w,]+)\]"', install.code.strip())
    assert extras is not None
    assert set(extras[1].split(",")) < set(
        tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    )
    reader.follow(app)
    reader.follow(shell)


@pytest.mark.requires("docker", "sandbox")
@pytest.mark.parametrize("document", SANDBOX)
def test_the_sandbox_section_runs(document: str, reader: Reader) -> None:
    shell, python = [block for block in blocks(ROOT / document) if block.section == SANDBOX[document]]
    installed, built, *used = [line.partition("  #")[0].strip() for line in shell.code.splitlines()]
    packages = installed.removeprefix("sudo apt install ").split()
    assert packages == [name for name in packages if name in (ROOT / ".ci/run").read_text()] != []
    reader._run(shell, ["bash", "-c", f"{built.removeprefix('sudo ')} --dry-run"])
    printed = [reader._run(shell, ["bash", "-c", f"{line} </dev/null"]) for line in used if "|" not in line]
    assert "ok" in printed[-1]
    assert [reader._run(shell, ["bash", "-c", line]) for line in used if "|" in line] == ["42\n"]
    assert reader._run(python, [sys.executable, "-c", python.code]) == "42\n\n"

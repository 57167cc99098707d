"""The documents say what the code does."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support.machine import ROOT
from tests.support.markdown import blocks, commands, matches
from tests.support.peers import clean_environment

DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [*DOCS, ROOT / "README.md", ROOT / "README.zh-CN.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]


def test_tables_are_those_of_the_code() -> None:
    done = subprocess.run([sys.executable, "scripts/docs.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def _with_what_it_needs(page: Path) -> Any:
    needs = [pytest.mark.requires("docker", "sandbox")] if page.name == "sandbox.md" else []
    return pytest.param(page, id=page.name, marks=needs)


@pytest.mark.parametrize("page", [_with_what_it_needs(page) for page in DOCS if "```python" in page.read_text()])
def test_python_blocks_run(page: Path, tmp_path: Path) -> None:
    printed = None
    for block in blocks(page):
        if block.language == "python":
            done = subprocess.run(
                [sys.executable, "-c", block.code],
                cwd=tmp_path,
                env=clean_environment(),
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, f"line {block.line}: {done.stderr}"
            printed = done.stdout
        elif block.language == "text" and printed is not None:
            assert matches(block.code, printed), (
                f"line {block.line} shows\n{block.code}\nbut what was printed is\n{printed}"
            )


@pytest.mark.slow
def test_the_commands_on_documents_run(tmp_path: Path) -> None:
    from polyport import App
    from polyport.testing import gateway

    if shutil.which("curl") is None or shutil.which("bash") is None:
        pytest.skip("needs curl and bash")
    (tmp_path / "prices.html").write_text(
        runpy.run_path(str(ROOT / "examples" / "documents.py"))["PRICES"].partition("<h2>")[0]
    )
    app = App("library")
    app.documents(workers=1)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    shown = [
        found
        for block in blocks(ROOT / "docs" / "documents.md")
        if block.language == "console"
        for found in commands(block)
    ]
    assert len(shown) == 8
    with gateway(app, data_dir=tmp_path / "data") as running:
        for command, wanted in shown:
            command = command.replace("http://127.0.0.1:8400", running.url)
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=tmp_path, env={**clean_environment(), "PATH": path}, capture_output=True, text=True, timeout=60,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            assert matches(wanted, done.stdout), f"{command} shows\n{wanted}\nbut what was printed is\n{done.stdout}"


@pytest.mark.slow
def test_the_commands_on_knowledge_run(tmp_path: Path) -> None:
    from polyport import App
    from polyport.testing import gateway

    if shutil.which("curl") is None or shutil.which("bash") is None:
        pytest.skip("needs curl and bash")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/green.md").write_text("# Green tea\n\nGreen tea is steeped at 75 degrees.\n")
    (tmp_path / "docs/red.md").write_text("# 红茶\n\n红茶用沸水冲泡。\n", encoding="utf-8")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    shown = [
        found
        for block in blocks(ROOT / "docs" / "knowledge.md")
        if block.language == "console"
        for found in commands(block)
    ]
    assert len(shown) == 9
    with gateway(App("library"), data_dir=tmp_path / "data") as running:
        for command, wanted in shown:
            command = command.replace("http://127.0.0.1:8400", running.url)
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=tmp_path,
                env={**clean_environment(), "PATH": path, "POLYPORT_BASE_URL": running.url},
                capture_output=True, text=True, timeout=60,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            assert matches(wanted, done.stdout), f"{command} shows\n{wanted}\nbut what was printed is\n{done.stdout}"


def test_every_route_is_documented() -> None:
    from polyport import App
    from polyport_gateway.server import create_gateway

    text = (ROOT / "docs" / "wires.md").read_text(encoding="utf-8")
    gateway = create_gateway(App("documented"))
    paths = {route.path.replace(":path}", "}") for route in gateway.routes()}
    missing = {path for path in paths if f"{path}`" not in text}
    assert not missing


def test_configuration_example_is_accepted(tmp_path: Path) -> None:
    from polyport_gateway.settings import load_settings

    (example,) = [b.code for b in blocks(ROOT / "docs" / "configuration.md") if b.language == "toml"]
    file = tmp_path / "polyport.toml"
    file.write_text(example)
    settings = load_settings(config=file)
    assert {name: getattr(settings, name) for name in tomllib.loads(example) if name != "cors_origins"} == {
        "port": 8500,
        "retention_days": 90,
    }
    assert settings.cors_origins == ("https://chat.example.org",)


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        name
        for page in PAGES
        for name in re.findall(r"(?:^ {4}|`)make ([a-z][\w-]*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert named
    assert named <= targets

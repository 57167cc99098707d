"""What an installation is made of."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import zipfile
from importlib.metadata import PathDistribution, entry_points
from pathlib import Path

import pytest

import polyport
from tests.support.machine import ROOT

PACKAGES = {"polyport", "polyport_gateway", "polyport_sandbox", "polyport_contrib"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as pip builds it, but with the backend that is already here."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_wheel_holds_the_four_packages(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == PACKAGES
    for package in PACKAGES:
        assert f"{package}/__init__.py" in names
        assert f"{package}/py.typed" in names


def test_wheel_holds_everything_in_the_folders(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "sdk", "gateway", "sandbox", "contrib"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if tracked.returncode != 0:
        pytest.skip("not a git checkout")
    files = {line.split("/", 1)[1] for line in tracked.stdout.splitlines() if (ROOT / line).exists()}
    assert not files - names
    assert any(re.fullmatch(r"polyport_gateway/storage/migrations/versions/\w+\.py", name) for name in names)


@pytest.fixture(scope="module")
def described(wheel: Path) -> PathDistribution:
    """What the wheel says of itself."""
    archive = zipfile.ZipFile(wheel)
    (folder,) = {name.split("/")[0] for name in archive.namelist() if ".dist-info/" in name}
    return PathDistribution(zipfile.Path(archive, f"{folder}/"))


def requirements(described: PathDistribution, extra: str | None) -> set[str]:
    """Names of what an extra brings; of the base without one."""
    lines = described.requires or []
    chosen = [line for line in lines if (f"extra == '{extra}'" in line if extra else "extra ==" not in line)]
    return {re.split(r"[<>=!~;\[ ]", line)[0] for line in chosen}


def test_base_installation_is_httpx_and_pydantic(described: PathDistribution) -> None:
    assert requirements(described, None) == {"httpx", "pydantic"}


LEFT_OUT_OF_ALL = {"chroma", "docling", "docling-models", "faiss", "milvus", "sentence-transformers"}
"""They bring hundreds of megabytes, or do again what the rest does."""


def test_all_is_every_extra_but_the_heavy_ones(described: PathDistribution) -> None:
    extras = set(described.metadata.get_all("Provides-Extra") or []) - {"all"}
    assert extras >= LEFT_OUT_OF_ALL
    extras -= LEFT_OUT_OF_ALL
    assert {"gateway", "litellm", "postgres"} <= extras
    assert requirements(described, "all") == set().union(*(requirements(described, extra) for extra in extras))


def test_versions_agree(described: PathDistribution) -> None:
    assert described.version == polyport.__version__


def test_public_names_are_sorted_and_importable() -> None:
    assert list(polyport.__all__) == sorted(polyport.__all__)
    assert len(set(polyport.__all__)) == len(polyport.__all__)
    for name in polyport.__all__:
        assert getattr(polyport, name) is not None
    assert dir(polyport) == sorted(polyport.__all__)


@pytest.mark.parametrize("entry", ["polyport.gateway", "polyport.engines"])
def test_entry_points_lead_to_something(entry: str) -> None:
    found = entry_points(group=entry)
    assert found
    for entry_point in found:
        module = importlib.import_module(entry_point.module)
        assert hasattr(module, entry_point.attr)


IMPORT = """
import sys
before = set(sys.modules)
import polyport
print("\\n".join(sorted({name.split(".")[0] for name in set(sys.modules) - before})))
"""


def test_importing_polyport_loads_nothing_of_weight() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "polyport" in loaded
    assert not loaded & {
        "httpx",
        "pydantic",
        "starlette",
        "uvicorn",
        "sqlalchemy",
        "mcp",
        "aiohttp",
        "polyport_gateway",
    }

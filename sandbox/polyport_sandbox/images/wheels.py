"""Python packages for the image: fetched by this machine's pip, with its settings, for the image's Python.

Installing a wheel runs none of its code. What does run code of the packages, for the font cache, runs as nobody.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from pathlib import Path

from polyport_sandbox.errors import SandboxError, SandboxUnavailableError

from .process import find, run_command
from .recipe import kept_text
from .tree import glibc_version, python_version

__all__ = ["find_pip", "install", "prepare_matplotlib"]

_NOBODY = "65534:65534"
_OLDEST_GLIBC = 17  # manylinux2014


def find_pip() -> tuple[str, ...]:
    """The pip to fetch with: that of this Python, or else the one on PATH.

    Raises:
        SandboxUnavailableError: If there is none.
    """
    if importable("pip"):
        return (sys.executable, "-m", "pip")
    if (found := find("pip3") or find("pip")) is not None:
        return (found,)
    raise SandboxUnavailableError("There is no pip to fetch Python packages with.", mend="sudo apt install python3-pip")


def importable(name: str) -> bool:
    """Whether this Python has a package."""
    import importlib.util

    return importlib.util.find_spec(name) is not None


def site_packages(root: Path) -> Path:
    """Where Python in the tree looks for packages that are not Debian's."""
    return root / "usr/local/lib" / f"python{python_version(root)}" / "dist-packages"


async def install(root: Path, requirements: tuple[str, ...]) -> None:
    """Put wheels that run on the tree's Python into it.

    Raises:
        SandboxError: If pip finds none, with what it said.
    """
    target = site_packages(root)
    command = [*find_pip(), "install", "--quiet", "--no-input", "--no-compile", "--only-binary=:all:"]
    command += ["--implementation", "cp", "--python-version", python_version(root), "--target", str(target)]
    for tag in platform_tags(glibc_version(root), platform.machine()):
        command += ["--platform", tag]
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    # Set for a person's own environment, they would fight with --target.
    for name in ("PIP_USER", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV", "PYTHONPATH"):
        environment.pop(name, None)
    try:
        await run_command(*command, *requirements, environment=environment)
    except SandboxError as error:
        raise SandboxError(_explained(error.message, python_version(root))) from error
    shutil.rmtree(target / "bin", ignore_errors=True)
    for folder in [path for path in target.rglob("tests") if path.is_dir()]:
        shutil.rmtree(folder, ignore_errors=True)
    for path in target.rglob("direct_url.json"):
        path.unlink()
    await _as_nobody(root, "python3", "-c", "pass")  # a tree that can't even do this is told from a bad package
    compile_all = ("python3", "-m", "compileall", "-q", "-j", "0", f"/{target.relative_to(root)}")
    await run_command(
        "chroot", str(root), *compile_all, check=False
    )  # some packages carry templates that don't compile


def _explained(said: str, version: str) -> str:
    if found := re.search(r"No matching distribution found for (\S+)", said):
        return (
            f"pip finds no wheel of {found[1]!r} for Python {version}: check its name and version;"
            " packages without a wheel can't go into an image. pip's index is set as usual (PIP_INDEX_URL, pip.conf;"
            " sudo keeps such variables with -E)."
        )
    return said


def platform_tags(glibc: tuple[int, int], machine: str) -> list[str]:
    """Every platform whose wheels run there, the newest first."""
    major, minor = glibc
    tags = [f"manylinux_{major}_{number}_{machine}" for number in range(minor, _OLDEST_GLIBC - 1, -1)]
    return [*tags, f"manylinux2014_{machine}", f"linux_{machine}"]


async def prepare_matplotlib(root: Path) -> None:
    """Let matplotlib, where it is in the tree, write Chinese and start without looking for fonts."""
    settings = site_packages(root) / "matplotlib/mpl-data/matplotlibrc"
    if not settings.exists():
        return
    if any((root / "usr/share/fonts").rglob("wqy-microhei*")):
        others = re.sub(r"(?m)^#?font\.family:.*\n", "", settings.read_text(encoding="utf-8"))
        settings.write_text(others + kept_text("matplotlibrc.txt"), encoding="utf-8")
    said = (await _as_nobody(root, "python3", "-c", kept_text("font_cache.txt"))).decode()
    name, _, fonts = said.rpartition("\0")[2].partition("\n")  # matplotlib says on stderr that it is at it
    if re.fullmatch(r"fontlist-[\w.-]+\.json", name) is None:
        raise SandboxError(f"matplotlib could not list its fonts: {said[-400:]}")
    folder = root / "usr/share/polyport/matplotlib"
    folder.mkdir(parents=True)
    (folder / name).write_text(fonts, encoding="utf-8")
    # In the place of Debian's, a link into /etc that looks for a crash reporter.
    customize = root / "usr/lib" / f"python{python_version(root)}" / "sitecustomize.py"
    customize.unlink(missing_ok=True)
    customize.write_text(kept_text("sitecustomize.txt"), encoding="utf-8")
    await _compile(root, customize)


async def _compile(root: Path, path: Path) -> None:
    """Compile what lies there, as a read-only root can't later. It runs nothing of it."""
    command = ("python3", "-I", "-S", "-m", "compileall", "-q", "-j", "0", f"/{path.relative_to(root)}")
    await run_command(_chroot(), str(root), *command, check=False)  # some packages carry templates that don't compile


async def _as_nobody(root: Path, *command: str) -> bytes:
    clean = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
    return await run_command(_chroot(), f"--userspec={_NOBODY}", "--groups=", str(root), *command, environment=clean)


def _chroot() -> str:
    return find("chroot") or "/usr/sbin/chroot"

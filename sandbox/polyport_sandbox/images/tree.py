"""The image's root file system: made by debootstrap, freed of what a sandbox has no use for."""

from __future__ import annotations

import os
import re
import shutil
import stat
from pathlib import Path

from polyport_sandbox.errors import SandboxError, SandboxUnavailableError

from .process import find, run_command
from .recipe import Recipe

__all__ = ["bootstrap", "check_tools", "finish", "glibc_version", "python_version", "remove_tree"]

WORK = "/work"
# Where code written for other interpreters looks for its files.
LINKS = ("mnt/data", "home/user", "home/sandbox")

# What only matters to a person, or to installing more. The list of packages stays, for scanners of images.
_UNNEEDED = (
    "etc/apt",
    "etc/hostname",
    "etc/machine-id",
    "etc/resolv.conf",
    "usr/lib/apt",
    "usr/share/bash-completion",
    "usr/share/bug",
    "usr/share/doc",
    "usr/share/doc-base",
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/nodejs/@types",
    "usr/share/zoneinfo/posix",
    "usr/share/zoneinfo/right",
    "var/cache",
    "var/lib/apt",
    "var/log",
)
_UNNEEDED_PATTERNS = ("usr/bin/apt*", "usr/lib/*/libapt-p*", "var/backups/*", "var/lib/dpkg/*-old", "tmp/*", "run/*")


def check_tools() -> None:
    """Say at once what is missing for making a root file system.

    Raises:
        SandboxUnavailableError: With the command that mends it.
    """
    if find("debootstrap") is None:
        raise SandboxUnavailableError("debootstrap is not installed.", mend="sudo apt install debootstrap")
    if os.geteuid() != 0:
        raise SandboxUnavailableError(
            "debootstrap needs root.",
            mend="run it with sudo -E, or give --from-dockerfile where a registry can be reached",
        )


async def bootstrap(recipe: Recipe, root: Path, mirror: str) -> None:
    """Fetch and unpack Debian's packages.

    Raises:
        SandboxError: If debootstrap fails, with what it said.
    """
    include = f"--include={','.join(recipe.debian)}"
    command = (str(find("debootstrap")), "--variant=minbase", include, recipe.suite, str(root), mirror)
    log = root / "debootstrap/debootstrap.log"
    try:
        await run_command(*command)
    except SandboxError as error:
        raise SandboxError(_explained(error.message, log, recipe, mirror)) from error


def _explained(said: str, log: Path, recipe: Recipe, mirror: str) -> str:
    """Debootstrap writes what went wrong into a log inside the tree, which is about to be removed."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        lines = []
    text = "\n".join([said, *lines[-5:]])
    if found := re.search(r"Couldn't find these debs: (.*)", text):
        return f"Debian {recipe.suite} has no package {found[1].strip()!r} in its main section: check its name."
    if "Failed getting release file" in text or "Couldn't download" in text:
        return f"The mirror {mirror} does not give Debian {recipe.suite}: name another with --mirror. ({said})"
    if "No such script" in text:
        return f"debootstrap does not know the release {recipe.suite!r}: check --suite, or update debootstrap."
    return text


def finish(root: Path) -> None:
    """Take out what isn't needed and every set-id bit, and lay out the working folder."""
    for name in _UNNEEDED:
        _remove(root / name)
    for pattern in _UNNEEDED_PATTERNS:
        for path in root.glob(pattern):
            _remove(path)
    for path in root.glob("usr/lib/python3*/sitecustomize.py"):
        if path.is_symlink():  # Debian's, which looks for a crash reporter at each start of Python
            path.unlink()
    for name in ("var/cache", "var/log", WORK.lstrip("/")):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in LINKS:
        link = root / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(WORK)
    _clear_set_id_bits(root)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _clear_set_id_bits(root: Path) -> None:
    for folder, folders, names in os.walk(root):
        for name in (*folders, *names):
            path = Path(folder, name)
            mode = path.lstat().st_mode
            if not stat.S_ISLNK(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
                path.chmod(stat.S_IMODE(mode) & ~(stat.S_ISUID | stat.S_ISGID))


def python_version(root: Path) -> str:
    """The version of Python in the tree, such as ``3.11``."""
    target = (root / "usr/bin/python3").readlink().name
    return target.removeprefix("python")


def glibc_version(root: Path) -> tuple[int, int]:
    """The version of the C library in the tree, which says which wheels run there."""
    status = (root / "var/lib/dpkg/status").read_text(encoding="utf-8", errors="replace")
    found = re.search(r"^Package: libc6\n(?:.+\n)*?Version: (\d+)\.(\d+)", status, re.MULTILINE)
    if found is None:
        raise SandboxError("The new root file system has no libc6, so it is not known which wheels run there.")
    return int(found[1]), int(found[2])


async def remove_tree(folder: Path) -> None:
    """Remove a tree that debootstrap may still have /proc and /sys mounted in, as it has when it was interrupted.

    Raises:
        SandboxError: If something stays mounted there; then nothing is removed.
    """
    for _ in range(8):  # a mount may hide another at the same place
        mounted = _mounts_below(folder)
        if not mounted:
            break
        for path in sorted(mounted, key=len, reverse=True):
            await run_command("umount", "--lazy", path, check=False)
    else:
        raise SandboxError(f"{folder} can't be removed: {', '.join(_mounts_below(folder))} stays mounted in it.")
    shutil.rmtree(folder, ignore_errors=True)


def _mounts_below(folder: Path) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    prefix = f"{folder.resolve()}/"
    return [path for line in lines if (path := line.split()[4]).startswith(prefix)]

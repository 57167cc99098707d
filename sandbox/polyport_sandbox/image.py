"""Make the sandbox's image out of Debian's packages, where no image registry can be reached."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from .engine import DEFAULT_SOCKET, Engine
from .errors import SandboxError, SandboxUnavailableError

__all__ = ["DEFAULT_IMAGE", "build"]

DEFAULT_IMAGE = "polyport/sandbox:minimal"
MIRROR = "http://deb.debian.org/debian"
CHUNK = 1 << 20
# What only matters to a person or to installing more.
_UNNEEDED = (
    "var/cache/apt",
    "var/lib/apt/lists",
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
)


async def build(
    *,
    tag: str = DEFAULT_IMAGE,
    suite: str = "bookworm",
    mirror: str = MIRROR,
    packages: tuple[str, ...] = (),
    socket: str = DEFAULT_SOCKET,
) -> str:
    """Make a root file system with debootstrap and import it; return the image's name.

    Args:
        tag: The image's name and tag.
        suite: The Debian release.
        mirror: Where its packages come from.
        packages: Debian packages beside ``python3``.
        socket: The Docker daemon's socket.

    Raises:
        SandboxUnavailableError: If debootstrap is missing or may not be used, or Docker does not answer.
        SandboxError: If debootstrap or the import fails.
    """
    program = shutil.which("debootstrap", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        raise SandboxUnavailableError("debootstrap is not installed.", mend="sudo apt install debootstrap")
    if os.geteuid() != 0:
        raise SandboxUnavailableError(
            "debootstrap needs root.",
            mend="sudo python -m polyport_sandbox build (or docker build with our Dockerfile)",
        )
    repository, _, version = tag.partition(":")
    engine = Engine(socket)
    folder = Path(tempfile.mkdtemp(prefix="polyport-sandbox-image-"))
    try:
        await engine.version()
        root = folder / "root"
        include = ",".join(["python3", *packages])
        await _run(program, "--variant=minbase", f"--include={include}", suite, str(root), mirror)
        await asyncio.to_thread(_strip, root)
        await engine.import_image(
            _archive(root),
            repository=repository,
            tag=version or "latest",
            changes=["LABEL io.polyport.sandbox=image"],
        )
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        await engine.aclose()
    return tag


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    if process.returncode != 0:
        tail = said.decode(errors="replace").strip()[-600:]
        raise SandboxError(f"{Path(command[0]).name} failed with {process.returncode}: {tail}")


def _strip(root: Path) -> None:
    """Take out what isn't needed, and every set-user-id and set-group-id bit."""
    for name in _UNNEEDED:
        shutil.rmtree(root / name, ignore_errors=True)
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
                path.chmod(stat.S_IMODE(mode) & ~(stat.S_ISUID | stat.S_ISGID))


async def _archive(root: Path) -> AsyncIterator[bytes]:
    process = await asyncio.create_subprocess_exec(
        "tar", "-C", str(root), "--one-file-system", "-cf", "-", ".", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None  # noqa: S101 - asked for above
    while part := await process.stdout.read(CHUNK):
        yield part
    if await process.wait() != 0:
        raise SandboxError(f"tar failed with {process.returncode} on the new image's files")

"""A session's folder while code is at work in it: links, devices, and swaps between a look and a step."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import pytest

from polyport_sandbox import InvalidRunError, Limits, SandboxError, SandboxFileNotFoundError

from .case import Attack, Target
from .sessions import _good, _session

__all__ = ["SESSION_FILES"]

MAKE_ODD = """
import os, socket
os.symlink('/etc/passwd', 'link')
os.symlink('/proc/1/environ', 'proc')
os.symlink('/etc', 'folder_link')
open('plain', 'w').write('plain')
os.link('plain', 'hard')
os.mkfifo('fifo')
socket.socket(socket.AF_UNIX).bind('socket')
os.makedirs('real/below'); open('real/below/kept', 'w').write('kept')
os.symlink('/dev/zero', 'zero'); os.symlink('loop', 'loop')
"""


def _odd_files(target: Target) -> None:
    with _session(target) as session:
        assert session.run(MAKE_ODD).status == "ok"
        names = {entry.name for entry in session.list()}
        assert names == {"real", "real/below", "real/below/kept"}, names
        for name in ("link", "proc", "folder_link/passwd", "hard", "fifo", "socket", "zero", "loop", "real", "none"):
            began = time.monotonic()
            with pytest.raises(SandboxFileNotFoundError):
                session.download(name, max_bytes=1 << 20)
            assert time.monotonic() - began < 5, f"{name} held the download up"
        assert session.download("real/below/kept", max_bytes=10) == b"kept"
        with pytest.raises(InvalidRunError):
            session.download("real/below/kept", max_bytes=3)
        _good(session)


def _upload_over_links(target: Target) -> None:
    with _session(target) as session:
        session.run(
            "import os\nos.makedirs('/tmp/elsewhere'); open('/tmp/elsewhere/precious', 'w').write('precious')\n"
            "os.symlink('/tmp/elsewhere/precious', 'link'); os.symlink('/tmp/elsewhere', 'folder'); os.mkfifo('fifo')\n"
            "os.link('/tmp/elsewhere/precious', '/tmp/hard')"
        )
        session.upload({"link": b"mine", "fifo": b"mine"})
        with pytest.raises(SandboxError):
            session.upload({"folder/precious": b"mine"})
        assert session.download("link", max_bytes=10) == b"mine"
        found = session.run("print(open('/tmp/elsewhere/precious').read(), os.listdir('/tmp/elsewhere'))")
        assert found.stdout == b"precious ['precious']\n", f"BREACH: {found}"


def _delete_through_links(target: Target) -> None:
    with _session(target) as session:
        session.run(
            "import os\nos.makedirs('/tmp/elsewhere/deep'); open('/tmp/elsewhere/deep/precious', 'w').write('p')\n"
            "os.makedirs('tree/a'); os.symlink('/tmp/elsewhere', 'tree/a/link'); os.symlink('/tmp/elsewhere', 'link')"
        )
        with pytest.raises(SandboxError):
            session.delete("link/deep")
        session.delete("link")
        session.delete("tree")
        found = session.run("print(os.path.exists('/tmp/elsewhere/deep/precious'), os.listdir('.'))")
        assert found.stdout == b"True []\n", f"BREACH: {found}"


SWAP = """
import os, threading
os.makedirs('/tmp/elsewhere', exist_ok=True); open('/tmp/elsewhere/precious', 'w').write('SECRET')
open('/tmp/elsewhere/victim', 'w').write('SECRET')
os.makedirs('folder', exist_ok=True)
def swap():
    n = 0
    while True:
        n += 1
        try:
            if n % 2:
                os.symlink('/tmp/elsewhere/precious', 'x'); os.rename('x', 'victim')
                os.rename('folder', 'aside'); os.symlink('/tmp/elsewhere', 'folder')
            else:
                open('x', 'w').write('plain'); os.rename('x', 'victim')
                os.unlink('folder'); os.rename('aside', 'folder')
                open('folder/victim', 'w').write('plain')
        except OSError:
            for name in ('x',):
                try: os.unlink(name)
                except OSError: pass
            if not os.path.lexists('folder'): os.makedirs('folder', exist_ok=True)
threading.Thread(target=swap, daemon=True).start()
"""


def _swaps(target: Target) -> None:
    """While a thread swaps a file and a folder for links, over and over, all four operations are tried."""
    with _session(target) as session:
        session.run(SWAP, context="swapping")
        came = 0
        ends = time.monotonic() + 6
        while time.monotonic() < ends:
            for name in ("victim", "folder/victim"):
                try:
                    content = session.download(name, max_bytes=100)
                except SandboxError:
                    continue
                came += 1
                assert b"SECRET" not in content, f"BREACH: {name} came out through a link"
            for entry in session.list():
                assert "precious" not in entry.name, f"BREACH: {entry.name} was listed through a link"
            for step in (lambda: session.upload({"folder/new": b"x"}), lambda: session.delete("folder")):
                try:
                    step()
                except SandboxError:
                    continue
        assert came or target.runtime == "runsc", "no download ever met the plain file, so nothing was shown"
        found = session.run(
            "import os\nprint(sorted(os.listdir('/tmp/elsewhere')), open('/tmp/elsewhere/precious').read())"
        )
        assert found.stdout == b"['precious', 'victim'] SECRET\n", f"BREACH: {found}"


def _growing(target: Target) -> None:
    """A file that grows, shrinks and is sparse while it is downloaded comes out within its bound."""
    with _session(target) as session:
        session.run(
            "import os, threading\nfd = os.open('file', os.O_CREAT | os.O_RDWR)\ndef change():\n"
            "    while True:\n        os.truncate(fd, 40 << 20); os.truncate(fd, 10); os.truncate(fd, 900_000)\n"
            "threading.Thread(target=change, daemon=True).start()",
            context="changing",
        )
        for _ in range(40):
            try:
                assert len(session.download("file", max_bytes=1 << 20)) <= 1 << 20
            except InvalidRunError:
                continue
        _good(session)


def _floods(target: Target) -> None:
    with _session(target) as session:
        session.run(
            "import os\nfor n in range(7000): open(f'{n:05}', 'w').close()\nos.makedirs('/work/t')\nos.chdir('/work/t')\n"
            "for _ in range(400):\n    os.mkdir('d')\n    os.chdir('d')\nos.chdir('/work')",
            limits=Limits(wall_s=20),
        )
        began = time.monotonic()
        assert len(session.list()) <= 5000
        with contextlib.suppress(SandboxError):  # too deep is said so
            session.delete("t")
        assert time.monotonic() - began < 20
        with pytest.raises(SandboxError):
            session.upload({f"{n}/x": b"x" for n in range(100)} | {"large": bytes(80 << 20)})
        _good(session)


def _filled(target: Target) -> None:
    """A full folder is an error that says so, and no end of the session."""
    with _session(target) as session:
        session.run("try:\n    open('full', 'wb').write(bytes(80 << 20))\nexcept OSError: pass")
        session.run("import os\nos.system('head -c 80M /dev/zero > full')", limits=Limits(wall_s=10))
        with pytest.raises(SandboxError):
            session.upload({"more": bytes(2 << 20)})
        session.delete("full")
        session.upload({"more": bytes(2 << 20)})
        _good(session)


def _attack(name: str, must_hold: str, play: Callable[[Target], None]) -> Attack:
    return Attack(name, must_hold, play=play, needs=frozenset({"session", "kernel"}), at_most_s=90)


SESSION_FILES = [
    _attack("links, pipes, sockets and devices in the folder", "not listed, not read, and never waited for", _odd_files),
    _attack("uploading over links", "the link is replaced; what it led to is as it was", _upload_over_links),
    _attack("deleting through links", "the link is deleted; what it led to is as it was", _delete_through_links),
    _attack("swap after check on download, list, upload, delete", "what was looked at is what is used", _swaps),
    _attack("a file that changes while it is downloaded", "within its bound", _growing),
    _attack("a flood of files and a deep tree in a session", "listed and deleted within bounds", _floods),
    _attack("a full folder", "an error that says so; the session goes on", _filled),
]  # fmt: skip

"""Names and files made to leave the folder, going in and coming out."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from polyport_sandbox import InvalidRunError, Limits, SandboxError

from .case import Attack, Target

__all__ = ["FILES"]

COMING_OUT = {
    "a symbolic link out": "os.symlink('/etc/passwd', 'out')",
    "a relative symbolic link out": "os.symlink('../../../../etc/hostname', 'out')",
    "a symbolic link to a folder": "os.symlink('/etc', 'out')",
    "a link to process 1's root": "os.symlink('/proc/1/root/etc/passwd', 'out')",
    "a hard link": "open('a', 'w').close(); os.link('a', 'out'); os.remove('main.py') if os.path.exists('main.py') else 0",
    "a named pipe": "os.mkfifo('out')",
    "a socket": "import socket; socket.socket(socket.AF_UNIX).bind('out')",
}
NAMES_GOING_IN = [
    "../x",
    "/etc/x",
    "a/../../x",
    "a//b",
    ".",
    "a\0b",
    "a\\..\\b",
    "main.py",
    "a/" * 20 + "b",
    "x" * 300,
    "",
]


def _coming_out(make: str) -> Attack:
    def play(target: Target) -> None:
        result = target.run(f"import os\n{COMING_OUT[make]}")
        assert result.status == "ok", result
        assert not result.files, f"BREACH: {result.files}"
        assert "out" in {skipped.name for skipped in result.skipped_files}, "it is not said that it was left"

    return Attack(
        f"{make} coming out", "it does not come out, and that is said", play=play, needs=frozenset({"files of a run"})
    )


def _link_of_a_session(target: Target) -> None:
    """A file of the host's holds a secret; the code plants links to it, and the caller downloads them."""
    with tempfile.TemporaryDirectory() as folder, target.place() as place:
        secret = Path(folder, "secret")
        secret.write_text("of the host")
        place.run(f"import os\nos.symlink({str(secret)!r}, 'out')\nos.symlink({folder!r}, 'folder')")
        for name in ("out", "folder/secret", f"../../../../..{secret}"):
            try:
                content = place.download(name)
            except Exception:
                continue
            assert b"of the host" not in content, f"BREACH: {name} came out"


def _names_of_a_session(target: Target) -> None:
    """Our names are relative to the folder, whoever gives them."""
    with target.place() as place:
        for name in ("../etc/passwd", "/etc/passwd", "/proc/1/root/etc/passwd", ""):
            with pytest.raises((InvalidRunError, SandboxError)):
                place.download(name)
        for name in NAMES_GOING_IN:
            if name != "main.py":
                with pytest.raises((InvalidRunError, SandboxError)):
                    place.upload({name: b"x"})


def _names_going_in(target: Target) -> None:
    for name in NAMES_GOING_IN:
        with pytest.raises(InvalidRunError):
            target.run("print('BREACH')", files={name: b"x"})
    with pytest.raises(InvalidRunError):
        target.run("pass", files={"a": b"x", "a/b": b"x"})


def _names_going_in_to_a_session(target: Target) -> None:
    with target.place() as place:
        for name in ("../escaped", "a/../../escaped"):
            try:
                place.upload({name: b"x"})
            except Exception:
                continue
        found = place.run("import glob\nprint(glob.glob('/escaped') + glob.glob('/*/../escaped'))")
        assert found.stdout.strip() == b"[]", f"BREACH: {found.stdout_text}"


def _names_coming_out(target: Target) -> None:
    result = target.run("open('a\\\\..\\\\b', 'w').close(); open('\\n', 'w').close(); open(b'\\xff', 'w').close()")
    assert result.status == "ok", result
    assert not result.files
    assert len(result.skipped_files) == 3


def _too_many_and_too_large(target: Target) -> None:
    limits = Limits(output_files=3, output_file_bytes=1000)
    many = target.run("for n in range(10): open(f'{n}', 'w').close()", limits=limits)
    assert len(many.files) == 3
    assert len(many.skipped_files) == 7
    large = target.run("open('large', 'w').truncate(50 << 20); open('small', 'w').write('x')", limits=limits)
    assert large.files == {"small": b"x"}


def _deep_and_many(target: Target) -> None:
    deep = target.run("import os\nfor _ in range(1500):\n    os.mkdir('d')\n    os.chdir('d')\nopen('f', 'w').close()")
    assert (deep.status, dict(deep.files)) == ("ok", {}), deep
    flood = target.run("for n in range(6000): open(f'{n:05}', 'w').close()")
    assert flood.status == "ok", flood
    assert len(flood.files) == Limits().output_files


def _archives(target: Target) -> None:
    """A tar is a file like any other: nothing on the host ever unpacks it."""
    result = target.run(
        "import io, tarfile\nwith tarfile.open('bomb.tar', 'w') as tar:\n"
        "    for name in ('../../escaped', '/escaped'):\n        info = tarfile.TarInfo(name); info.size = 1\n"
        "        tar.addfile(info, io.BytesIO(b'x'))\n    link = tarfile.TarInfo('l'); link.type = tarfile.SYMTYPE\n"
        "    link.linkname = '/etc'; tar.addfile(link)\n"
        "with tarfile.open('large.tar.gz', 'w:gz') as tar:\n    info = tarfile.TarInfo('zeros'); info.size = 40 << 20\n"
        "    tar.addfile(info, io.BytesIO(bytes(40 << 20)))"
    )
    assert result.status == "ok", result
    assert set(result.files) == {"bomb.tar", "large.tar.gz"}
    assert len(result.files["large.tar.gz"]) < 1 << 20


RUN_FILES = frozenset({"files of a run"})

FILES = [
    *map(_coming_out, COMING_OUT),
    Attack("names with ../, / and worse coming out", "none comes out", play=_names_coming_out, needs=RUN_FILES),
    Attack("names with ../, / and worse going in", "refused before anything starts", play=_names_going_in, needs=RUN_FILES),
    Attack(
        "names with ../ uploaded", "nothing lands outside the folder",
        play=_names_going_in_to_a_session, needs=frozenset({"session", "upload"}),
    ),
    Attack(
        "names with ../, / and worse in a session",
        "refused, going in and coming out",
        play=_names_of_a_session,
        needs=frozenset({"session", "kernel"}),
    ),
    Attack(
        "downloading through links", "no file outside the folder is read",
        play=_link_of_a_session, needs=frozenset({"session", "download"}),
    ),
    Attack("too many and too large files", "what is over the limit stays", play=_too_many_and_too_large, needs=RUN_FILES),
    Attack(
        "a deep tree and a flood of files", "walked within bounds", play=_deep_and_many, needs=RUN_FILES, at_most_s=60
    ),
    Attack("tar bombs", "an archive is a file like any other, and is never unpacked", play=_archives, needs=RUN_FILES),
]  # fmt: skip

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from polyport_sandbox import SandboxError, SandboxUnavailableError
from polyport_sandbox.images import recipe_named, tree, wheels
from polyport_sandbox.images.process import output_of, run_command
from polyport_sandbox.images.wheels import platform_tags

STATUS = """\
Package: libc6-dev
Version: 9.9-1

Package: libc6
Status: install ok installed
Version: 2.36-9+deb12u10

Package: zlib1g
Version: 1:1.2-1
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A few files of a Debian."""
    files = {
        "etc/resolv.conf": "nameserver 10.1.2.3", "etc/hostname": "builder", "etc/apt/sources.list": "deb http://mirror/",
        "var/log/bootstrap.log": "http://mirror/", "var/lib/apt/lists/x": "", "var/cache/apt/x": "", "tmp/left": "",
        "usr/bin/apt-get": "", "usr/bin/python3.11": "", "usr/share/doc/x/copyright": "", "usr/share/zoneinfo/UTC": "",
        "var/lib/dpkg/status": STATUS, "var/lib/dpkg/status-old": "", "home/.keep": "", "mnt/.keep": "",
        "etc/python3.11/sitecustomize.py": "", "usr/lib/python3.11/os.py": "",
    }  # fmt: skip
    root = tmp_path / "root"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "usr/bin/python3").symlink_to("python3.11")
    (root / "usr/lib/python3.11/sitecustomize.py").symlink_to("/etc/python3.11/sitecustomize.py")
    (root / "usr/bin/su").write_text("")
    (root / "usr/bin/su").chmod(0o4755)
    (root / "var/mail").mkdir()
    (root / "var/mail").chmod(0o2775)
    return root


def test_what_a_sandbox_has_no_use_for_is_gone(root: Path):
    tree.finish(root)
    for name in (
        "etc/resolv.conf", "etc/hostname", "etc/apt", "var/log/bootstrap.log", "var/lib/apt", "var/cache/apt",
        "usr/bin/apt-get", "usr/share/doc", "var/lib/dpkg/status-old", "tmp/left",
        "usr/lib/python3.11/sitecustomize.py",
    ):  # fmt: skip
        assert not os.path.lexists(root / name), name
    for name in ("usr/lib/python3.11/os.py", "var/lib/dpkg/status", "usr/share/zoneinfo/UTC", "tmp", "var/cache"):
        assert (root / name).exists(), name
    everything = b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())
    assert b"mirror" not in everything
    assert b"10.1.2.3" not in everything


def test_the_folders_of_other_interpreters_lead_to_the_working_folder(root: Path):
    tree.finish(root)
    assert (root / "work").is_dir()
    for name in ("mnt/data", "home/user", "home/sandbox"):
        assert str((root / name).readlink()) == "/work"


def test_no_set_id_bit_stays(root: Path):
    tree.finish(root)
    left = [
        path
        for path in root.rglob("*")
        if not path.is_symlink() and path.stat().st_mode & (stat.S_ISUID | stat.S_ISGID)
    ]
    assert left == []
    assert stat.S_IMODE((root / "usr/bin/su").stat().st_mode) == 0o755
    assert stat.S_IMODE((root / "var/mail").stat().st_mode) == 0o775


def test_links_in_the_tree_lead_the_clearing_nowhere(root: Path, tmp_path: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x").write_text("mine")
    (outside / "x").chmod(0o4755)
    (root / "usr/share/man").symlink_to(outside)
    (root / "opt").symlink_to(outside)
    tree.finish(root)
    assert (outside / "x").read_text() == "mine"
    assert (outside / "x").stat().st_mode & stat.S_ISUID


def test_versions_are_read_from_the_tree(root: Path):
    assert tree.python_version(root) == "3.11"
    assert tree.glibc_version(root) == (2, 36)
    (root / "var/lib/dpkg/status").write_text("")
    with pytest.raises(SandboxError, match="libc6"):
        tree.glibc_version(root)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_wheels_for_this_and_older_c_libraries_run(machine: str):
    tags = platform_tags((2, 36), machine)
    assert tags[0] == f"manylinux_2_36_{machine}"
    assert {f"manylinux_2_28_{machine}", f"manylinux_2_17_{machine}", f"manylinux2014_{machine}"} <= set(tags)
    assert f"manylinux_2_37_{machine}" not in tags


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("E: Couldn't find these debs: nosuchpackage", "no package 'nosuchpackage'.*check its name"),
        ("E: Failed getting release file http://m/dists/x/Release", "name another with --mirror"),
        ("E: No such script: /usr/share/debootstrap/scripts/nope", "check --suite"),
        ("W: odd\nE: something else", "something else"),
    ],
)
def test_what_debootstrap_says_becomes_what_to_do(tmp_path: Path, log: str, expected: str):
    (tmp_path / "log").write_text(log)
    said = tree._explained("debootstrap failed with 1: ", tmp_path / "log", recipe_named("minimal"), "http://m")
    with pytest.raises(SandboxError, match=expected):
        raise SandboxError(said)


def test_what_pip_says_becomes_what_to_do():
    said = wheels._explained("ERROR: No matching distribution found for nosuch>=3", "3.11")
    assert "'nosuch>=3' for Python 3.11" in said
    assert "PIP_INDEX_URL" in said
    assert wheels._explained("pip failed with 2: other", "3.11") == "pip failed with 2: other"


def test_what_is_missing_for_debootstrap_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tree, "find", lambda program: None)
    with pytest.raises(SandboxUnavailableError, match="apt install debootstrap"):
        tree.check_tools()
    monkeypatch.setattr(tree, "find", lambda program: "/usr/sbin/debootstrap")
    monkeypatch.setattr(tree.os, "geteuid", lambda: 1000)
    with pytest.raises(SandboxUnavailableError, match="sudo -E"):
        tree.check_tools()


def test_a_missing_pip_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wheels, "importable", lambda name: False)
    monkeypatch.setattr(wheels, "find", lambda program: None)
    with pytest.raises(SandboxUnavailableError, match="apt install python3-pip"):
        wheels.find_pip()


@pytest.mark.anyio
async def test_a_failed_program_s_last_words_are_told():
    with pytest.raises(SandboxError, match="sh failed with 3: it was this"):
        await run_command("sh", "-c", "echo it was this >&2; exit 3")
    assert await run_command("sh", "-c", "echo fine; exit 3", check=False) == b"fine\n"
    with pytest.raises(SandboxError, match="sh failed with 4"):
        [part async for part in output_of("sh", "-c", "echo x; exit 4")]


@pytest.mark.anyio
async def test_a_tree_in_which_something_stays_mounted_is_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "root/proc").mkdir(parents=True)
    monkeypatch.setattr(tree, "_mounts_below", lambda folder: [f"{folder}/root/proc"])

    async def umount(*command: str, check: bool) -> bytes:
        assert command == ("umount", "--lazy", f"{tmp_path}/root/proc")
        return b"not permitted"

    monkeypatch.setattr(tree, "run_command", umount)
    with pytest.raises(SandboxError, match="stays mounted"):
        await tree.remove_tree(tmp_path)
    assert (tmp_path / "root/proc").is_dir()

"""Every attack is made for real, and what must hold is looked at."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from polyport_sandbox import Limits, SyncSandbox
from tests.security.attacks import ATTACKS, Attack
from tests.support.sandbox import containers, opened

pytestmark = pytest.mark.requires("docker", "sandbox")


@pytest.fixture(scope="module")
def box() -> Iterator[SyncSandbox]:
    with opened() as box:
        yield box


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_comes_to_nothing(box: SyncSandbox, attack: Attack):
    began = time.monotonic()
    result = box.run(attack.code, language=attack.language, limits=attack.limits)
    attack.holds(result)
    assert time.monotonic() - began < attack.at_most_s
    after = box.run("print('fine')")
    assert (after.status, after.stdout) == ("ok", b"fine\n")


@pytest.mark.parametrize(
    "make",
    [
        "os.symlink('/etc/passwd', 'out')",
        "os.symlink('../../../../etc/hostname', 'out')",
        "os.symlink('/etc', 'out')",
        "open('a', 'w').close(); os.link('a', 'out'); os.remove('main.py')",
        "os.mkfifo('out')",
        "import socket; socket.socket(socket.AF_UNIX).bind('out')",
    ],
)
def test_what_is_not_a_plain_file_does_not_come_out(box: SyncSandbox, make: str):
    result = box.run(f"import os\n{make}")
    assert result.status == "ok", result
    assert result.files == {}
    assert "out" in {skipped.name for skipped in result.skipped_files}


def test_names_that_would_escape_do_not_come_out(box: SyncSandbox):
    result = box.run("open('a\\\\..\\\\b', 'w').close(); open('\\n', 'w').close(); open(b'\\xff', 'w').close()")
    assert result.status == "ok", result
    assert result.files == {}
    assert len(result.skipped_files) == 3


def test_too_many_and_too_large_files_are_left_behind(box: SyncSandbox):
    limits = Limits(output_files=3, output_file_bytes=1000)
    many = box.run("for n in range(10): open(f'{n}', 'w').close()", limits=limits)
    assert len(many.files) == 3
    assert len(many.skipped_files) == 7
    large = box.run("open('large', 'w').truncate(50 << 20); open('small', 'w').write('x')", limits=limits)
    assert large.files == {"small": b"x"}


def test_a_deep_tree_and_a_flood_of_files_are_walked_within_bounds(box: SyncSandbox):
    deep = box.run("import os\nfor _ in range(1500):\n    os.mkdir('d')\n    os.chdir('d')\nopen('f', 'w').close()")
    assert (deep.status, deep.files) == ("ok", {})
    flood = box.run("for n in range(8000): open(f'{n:05}', 'w').close()")
    assert flood.status == "ok"
    assert len(flood.files) == Limits().output_files


def test_nothing_of_one_run_is_seen_by_the_next(box: SyncSandbox):
    leave = (
        "import os\nfor d in ('/work', '/tmp', '/dev/shm'): open(d + '/left', 'w').write('secret')\nprint(os.getuid())"
    )
    look = (
        "import glob, os\nprint([p for d in ('/work', '/tmp', '/dev/shm') for p in glob.glob(d + '/**', recursive=True)"
        " if p.endswith('left')], os.getuid())"
    )
    first = box.run(leave)
    assert first.status == "ok", first
    for _ in range(4):
        later = box.run(look)
        assert later.stdout.startswith(b"[] "), later
        assert later.stdout.split()[-1] != first.stdout.split()[-1], "two runs share a user id"


def test_every_container_is_hardened(box: SyncSandbox):
    box.run("pass")
    running = containers("running")
    assert running
    for container in running:
        host = container["HostConfig"]
        assert host["CapDrop"] == ["ALL"]
        assert not host["CapAdd"]
        assert not host["Privileged"]
        assert host["ReadonlyRootfs"]
        assert host["NetworkMode"] == "none"
        assert host["IpcMode"] == "none"
        assert host["LogConfig"]["Type"] == "none"
        assert not host["Binds"]
        assert container["Mounts"] == []
        assert host["Memory"] == host["MemorySwap"] > 0
        assert host["PidsLimit"] > 0
        assert any(option.startswith("seccomp={") for option in host["SecurityOpt"])
        assert "no-new-privileges:true" in host["SecurityOpt"]
        assert int(container["Config"]["User"].split(":")[0]) > 1_000_000_000
        assert not container["Config"]["Env"] or all(e.startswith("PATH=") for e in container["Config"]["Env"])

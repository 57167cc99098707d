"""The ground the tests stand on holds."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.support.machine import ROOT


def test_connections_outside_are_refused() -> None:
    with socket.socket() as sock, pytest.raises(RuntimeError, match=r"192\.0\.2\.1"):
        sock.connect(("192.0.2.1", 80))
    with pytest.raises(RuntimeError, match=r"example\.org"):
        socket.getaddrinfo("example.org", 80)


def test_loopback_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()


def test_settings_of_the_person_are_hidden() -> None:
    assert "POLYPORT_PORT" not in os.environ
    assert Path(os.environ["POLYPORT_DATA_DIR"]).is_dir()


def test_only_our_own_plugins_are_seen() -> None:
    found = entry_points(group="polyport.engines")
    assert "echo" in found.names
    assert {entry_point.dist.name for entry_point in found if entry_point.dist} == {"polyport"}


PROBE = """
import pytest

@pytest.mark.requires("surely_not_installed")
def test_it():
    pass
"""


@pytest.mark.parametrize(("require", "outcome"), [("", "1 skipped"), ("surely_not_installed", "1 error")])
def test_what_is_missing_is_skipped_or_fails(tmp_path: Path, require: str, outcome: str) -> None:
    probe = tmp_path / "test_probe.py"
    probe.write_text(PROBE)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", "-c"]
    done = subprocess.run(
        [*command, str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT), str(probe)],
        cwd=ROOT,
        env=os.environ | {"POLYPORT_REQUIRE": require, "POLYPORT_PORT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome in done.stdout, done.stdout + done.stderr
    assert "surely_not_installed" in done.stdout

"""A PostgreSQL server of one's own: made in a fresh folder, on a free port, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

__all__ = ["PostgresServer", "postgres_server"]

_USERS = ("postgres", "nobody")  # PostgreSQL refuses to run as root


@dataclass(frozen=True)
class PostgresServer:
    """A running server.

    Attributes:
        binaries: Where its programs are.
        data: Its folder.
        port: On loopback.
        prefix: What to put before a command to run it as the server's user.
    """

    binaries: Path
    data: Path
    port: int
    prefix: tuple[str, ...]

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres:hunter2@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        environment = {**os.environ, "PGPASSWORD": "hunter2"}
        command = [self.binaries / "psql", "-qX", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]
        subprocess.run(
            [*command, "-c", f'CREATE DATABASE "{name}"'], check=True, timeout=60, env=environment, cwd=self.data
        )
        return self.url(name)

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        self._control("start", "-w", "-t", "60", "-l", str(self.data / "log"), "-o", options)

    def stop(self) -> None:
        self._control("stop", "-m", "immediate", "-w", "-t", "60")

    def _control(self, *arguments: str) -> None:
        command = [*self.prefix, str(self.binaries / "pg_ctl"), "-D", str(self.data), *arguments]
        subprocess.run(command, check=True, timeout=120, stdout=subprocess.DEVNULL, cwd=self.data)


def _missing(reason: str) -> None:
    if "postgres" in os.environ.get("POLYPORT_REQUIRE", "").split(","):
        pytest.fail(f"POLYPORT_REQUIRE asks for postgres, but {reason}")
    pytest.skip(reason)


def _binaries() -> Path | None:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda file: float(file.parts[-3]))
    on_path = shutil.which("initdb")
    if installed:
        return installed[-1].parent
    return Path(on_path).resolve().parent if on_path else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Start a server, and remove all of it in the end; skip the test where PostgreSQL isn't installed."""
    binaries = _binaries()
    if binaries is None:
        _missing("PostgreSQL's programs (initdb, pg_ctl) are not installed")
        return
    folder = Path(tempfile.mkdtemp(prefix="polyport-postgres-"))
    prefix: tuple[str, ...] = ()
    if os.geteuid() == 0:
        names = {entry.pw_name for entry in pwd.getpwall()}
        user = next(name for name in _USERS if name in names)
        prefix = ("runuser", "-u", user, "--")
        shutil.chown(folder, user)
    server = PostgresServer(binaries, folder / "data", _free_port(), prefix)
    password = folder / "password"
    password.write_text("hunter2\n")
    password.chmod(0o644)
    try:
        subprocess.run(
            [
                *(*prefix, str(binaries / "initdb"), "-D", str(server.data), "-U", "postgres", "-E", "UTF8"),
                *("--auth=scram-sha-256", f"--pwfile={password}", "--no-sync", "--locale=C"),
            ],
            check=True,
            timeout=120,
            stdout=subprocess.DEVNULL,
            cwd="/",
        )
        server.start()
        try:
            yield server
        finally:
            if (server.data / "postmaster.pid").exists():
                server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)

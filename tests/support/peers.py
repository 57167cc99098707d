"""Servers as processes: our own and those it is measured against, on free ports, ended by their id."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Server", "clean_environment", "free_port", "gateway", "serve", "wait_until_answering"]

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Server:
    """A server that answers.

    Attributes:
        url: Without a trailing slash.
        pid: Of the process that serves.
        ready_s: From its start to its first answer.
    """

    url: str
    pid: int
    ready_s: float


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def clean_environment(**changes: str) -> dict[str, str]:
    """Return this process's environment without anybody's Polyport settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("POLYPORT_")} | changes


def wait_until_answering(url: str, process: subprocess.Popen[bytes] | None = None, *, timeout: float = 30.0) -> None:
    """Wait for any HTTP answer at `url`.

    Raises:
        RuntimeError: The process ended.
        TimeoutError: Nothing answered in time.
    """
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"it ended with {process.returncode} before it answered at {url}")
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise TimeoutError(f"nothing answered at {url} within {timeout:g} s")


@contextmanager
def serve(
    command: Sequence[str | Path],
    *,
    port: int,
    ready: str = "/",
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    timeout: float = 30.0,
) -> Iterator[Server]:
    """Run a server while inside.

    Args:
        command: What to start.
        port: Where it will listen.
        ready: A path that answers once it is ready.
        env: Its whole environment.
        cwd: Its working folder.
        timeout: Seconds until its first answer.

    Raises:
        RuntimeError: It ended, or did not answer; the message carries the end of its output.
    """
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile() as output:
        started = time.monotonic()
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env) if env is not None else clean_environment(),
            cwd=cwd,
            start_new_session=True,
        )
        try:
            try:
                wait_until_answering(url + ready, process, timeout=timeout)
            except (RuntimeError, TimeoutError) as error:
                output.seek(0)
                said = output.read().decode(errors="replace")[-3000:]
                raise RuntimeError(f"{command[0]}: {error}\n{said}") from error
            yield Server(url, process.pid, time.monotonic() - started)
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=15)
    # Whatever it started is in its own session, so that nothing outlives the test.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.wait()


@contextmanager
def gateway(app: Path, *, data_dir: Path, python: Path | str = sys.executable, **settings: str) -> Iterator[Server]:
    """Run `polyport serve APP` while inside; settings by name, as in the environment."""
    port = free_port()
    environment = clean_environment(
        POLYPORT_DATA_DIR=str(data_dir), **{f"POLYPORT_{name.upper()}": value for name, value in settings.items()}
    )
    command = [python, "-m", "polyport_gateway.cli", "serve", app, "--port", str(port)]
    with serve(command, port=port, ready="/healthz", env=environment) as server:
        yield server

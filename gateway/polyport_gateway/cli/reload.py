"""``polyport serve --reload``: serve in a child process, and start it anew when a file changes.

This process keeps the listening socket, so the address stays (also with port 0) and clients that connect
while the app is being loaded wait instead of being refused. While the app does not load at all, it answers
them itself, with 503.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

import typer

from polyport_gateway.cli.loading import watched_folder
from polyport_gateway.cli.output import ExitCode, style

__all__ = ["Snapshot", "serve_reloading", "take_snapshot"]

_SUFFIXES = frozenset({".py", ".toml"})
_SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages", "venv"})
_POLL_S = 0.3
_GRACE_S = 3.0
_CLIENT_S = 0.5
_NOT_LOADED = "The app can't be loaded, so nothing is served; the terminal of `polyport serve --reload` says why."

Snapshot = dict[str, tuple[int, int]]
"""Time of change and size by path."""


def take_snapshot(folder: Path) -> Snapshot:
    """Return the state of every Python and TOML file below a folder; hidden folders and environments are left out."""
    found: Snapshot = {}
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _SKIPPED]
        for name in files:
            if Path(name).suffix in _SUFFIXES:
                path = str(Path(parent, name))
                try:
                    status = Path(path).stat()
                except OSError:  # gone since it was listed
                    continue
                found[path] = (status.st_mtime_ns, status.st_size)
    return found


def serve_reloading(target: str, listener: socket.socket, arguments: Sequence[str]) -> int:
    """Serve until interrupted; return the exit code.

    Args:
        target: The app.
        listener: Handed to each child.
        arguments: This process's own; the child gets them without ``--reload``.
    """
    os.set_inheritable(listener.fileno(), True)
    passed = [argument for argument in arguments if argument != "--reload"]
    line = [sys.executable, "-m", "polyport_gateway.cli", *passed, "--listen-fd", str(listener.fileno())]
    stopped: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        stopped.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    folder = watched_folder(target)
    _say(f"Watching {folder} for changes.")
    while not stopped:
        before = take_snapshot(folder)
        child = subprocess.Popen(line, pass_fds=[listener.fileno()])  # noqa: S603 - our own command line
        changed = _wait_for_change(folder, before, child, stopped, listener)
        _end(child)
        if changed:
            _say(f"{changed} changed; starting anew.")
    return ExitCode.INTERRUPTED if stopped[0] == signal.SIGINT else ExitCode.OK


def _wait_for_change(
    folder: Path, before: Snapshot, child: subprocess.Popen[bytes], stopped: list[int], listener: socket.socket
) -> str | None:
    """Return the name of the first file that changed; None when told to stop."""
    told = False
    while not stopped:
        if child.poll() is None:
            time.sleep(_POLL_S)
        else:
            if not told:
                told = True
                _say("Not serving: mend the app, and it starts anew by itself.")
            _refuse(listener)
        now = take_snapshot(folder)
        if now != before:
            changed = next(path for path in sorted(now.keys() | before.keys()) if now.get(path) != before.get(path))
            return str(Path(changed).relative_to(folder))
    return None


def _refuse(listener: socket.socket) -> None:
    """Answer one client, if one comes within a moment, that nothing is served; it would wait for ever otherwise."""
    if not select.select([listener], [], [], _POLL_S)[0]:
        return
    error = {"message": _NOT_LOADED, "type": "server_error", "param": None, "code": "service_unavailable"}
    body = json.dumps({"error": error}).encode()
    head = (
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nx-should-retry: false\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    with suppress(OSError), listener.accept()[0] as client:
        client.settimeout(_CLIENT_S)
        client.recv(65536)
        client.sendall(head.encode() + body)
        client.shutdown(socket.SHUT_WR)
        # Closing with bytes unread resets the connection, and the answer with it.
        while client.recv(65536):
            pass


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child: politely, then by force."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
    try:
        child.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _say(text: str) -> None:
    typer.echo(style(text, err=True, dim=True), err=True)

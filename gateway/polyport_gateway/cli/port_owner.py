"""Which process listens on a port, and on which ports one does, where /proc says so cheaply."""

from __future__ import annotations

from pathlib import Path

__all__ = ["port_owner", "ports_of"]

_LISTEN = "0A"


def port_owner(port: int) -> str | None:
    """Return ``NAME (pid N)`` of the process that listens on a TCP port; None where that can't be known."""
    try:
        inodes = {
            f"socket:[{inode}]" for table in ("tcp", "tcp6") for inode in _listening(Path("/proc/net") / table, port)
        }
        if inodes:
            for process in Path("/proc").glob("[0-9]*"):
                if _holds(process, inodes):
                    name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
                    return f"{name} (pid {process.name})"
    except OSError:
        pass
    return None


def ports_of(process: int) -> list[int]:
    """Return the TCP ports that a process listens on, the lowest first; none where that can't be known."""
    found: set[int] = set()
    try:
        held = {_target(fd) for fd in Path(f"/proc/{process}/fd").iterdir()}
        for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
            for row in _rows(table):
                if f"socket:[{row[9]}]" in held:
                    found.add(int(row[1].rpartition(":")[2], 16))
    except OSError:
        pass
    return sorted(found)


def _target(fd: Path) -> str:
    try:
        return str(fd.readlink())
    except OSError:  # closed meanwhile
        return ""


def _listening(table: Path, port: int) -> list[str]:
    return [row[9] for row in _rows(table) if int(row[1].rpartition(":")[2], 16) == port]


def _rows(table: Path) -> list[list[str]]:
    """Return the sockets of a table that listen."""
    if not table.exists():
        return []
    rows = (line.split() for line in table.read_text(encoding="ascii").splitlines()[1:])
    return [row for row in rows if row[3] == _LISTEN]


def _holds(process: Path, inodes: set[str]) -> bool:
    try:
        return any(str(fd.readlink()) in inodes for fd in (process / "fd").iterdir())
    except OSError:  # another user's process, or one that has just ended
        return False

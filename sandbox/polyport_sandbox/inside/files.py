"""Part of the supervisor: the work folder, as seen from inside the container.

Everything here goes down from the work folder by open folders, never through a link, so that swapping a folder for a
link between a look and a step changes nothing.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

CHUNK = 65536
WORK = "/work"
MAX_DEPTH = 16
MAX_LISTED = 4096

Snapshot = dict[str, tuple[int, int, int]]
Send: TypeAlias = "Callable[[bytes, bytes], None]"


class FileProblemError(Exception):
    """A request about a file that can't be granted; its words go to the host."""


def step_into(name: str, here: int | None = None) -> int:
    """Open a folder that is no link: opened first and looked at then, for gVisor follows a link given `O_DIRECTORY`."""
    folder = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=here)
    if not stat.S_ISDIR(os.fstat(folder).st_mode):
        os.close(folder)
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name)
    return folder


def open_folder(parts: list[str], *, make: bool = False, root: str = WORK) -> int:
    """Open a folder of the work folder, none of whose parts may be a link."""
    here = step_into(root)
    for part in parts:
        try:
            if make:
                try:
                    os.mkdir(part, 0o755, dir_fd=here)
                except FileExistsError:
                    pass
            below = step_into(part, here)
        finally:
            os.close(here)
        here = below
    return here


def split(name: str) -> tuple[list[str], str]:
    """A name's folders and its last part."""
    parts = name.split("/")
    if name.startswith("/") or any(part in ("", ".", "..") for part in parts):
        raise FileProblemError("not_found")
    return parts[:-1], parts[-1]


def write_file(name: str, parts: Iterator[bytes], root: str = WORK) -> None:
    """Write a file anew, in the place of whatever had its name."""
    folders, last = split(name)
    folder = open_folder(folders, make=True, root=root)
    try:
        try:
            os.unlink(last, dir_fd=folder)
        except FileNotFoundError:
            pass
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with open(os.open(last, flags, 0o644, dir_fd=folder), "wb") as out:
            out.writelines(parts)
    finally:
        os.close(folder)


def send_content(source: int, name: str, size: int, send: Send, encode: Callable[[Any], bytes]) -> None:
    """Send one open file; one that changes meanwhile is padded or cut to the size that was announced."""
    send(b"F", encode([name, size]))
    while size:
        part = os.read(source, min(size, CHUNK))
        if not part:
            part = bytes(min(size, CHUNK))
        send(b"B", part)
        size -= len(part)


def send_file(name: str, most: int, send: Send, encode: Callable[[Any], bytes]) -> None:
    """Send one regular file: what was opened is what is looked at and read."""
    folders, last = split(name)
    try:
        folder = open_folder(folders)
    except OSError:
        raise FileProblemError("not_found") from None
    try:
        source = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        raise FileProblemError("not_found") from None
    finally:
        os.close(folder)
    try:
        info = os.fstat(source)
        if not stat.S_ISREG(info.st_mode) or info.st_nlink != 1:
            raise FileProblemError("not_found")
        if info.st_size > most:
            raise FileProblemError(f"too_large:{info.st_size}")
        send_content(source, name, info.st_size, send, encode)
    finally:
        os.close(source)


def list_folder(name: str) -> list[list[Any]]:
    """Name, size, time and whether it is a folder, of everything below a folder; no links, no devices."""
    try:
        start = open_folder(name.split("/") if name else [])
    except OSError:
        raise FileProblemError("not_found") from None
    found: list[list[Any]] = []

    def walk(folder: int, prefix: str, depth: int) -> None:
        for last in sorted(os.listdir(folder)):
            if len(found) >= MAX_LISTED:
                return
            try:
                last.encode()
                info = os.lstat(last, dir_fd=folder)
                is_folder = stat.S_ISDIR(info.st_mode)
                if not is_folder and not (stat.S_ISREG(info.st_mode) and info.st_nlink == 1):
                    continue
                found.append([prefix + last, 0 if is_folder else info.st_size, info.st_mtime, is_folder])
                if is_folder and depth < MAX_DEPTH:
                    below = step_into(last, folder)
                    try:
                        walk(below, prefix + last + "/", depth + 1)
                    finally:
                        os.close(below)
            except (OSError, UnicodeEncodeError):
                continue

    try:
        walk(start, name + "/" if name else "", 1)
    finally:
        os.close(start)
    return found


def delete(name: str) -> None:
    """Delete a file or a link itself, or a folder with all in it."""
    folders, last = split(name)
    give_up = time.monotonic() + 5
    try:
        folder = open_folder(folders)
    except OSError:
        raise FileProblemError("not_found") from None
    try:
        _delete(folder, last, 0, give_up)
    except FileNotFoundError:
        raise FileProblemError("not_found") from None
    finally:
        os.close(folder)


def _delete(folder: int, last: str, depth: int, give_up: float) -> None:
    if not stat.S_ISDIR(os.lstat(last, dir_fd=folder).st_mode):
        os.unlink(last, dir_fd=folder)
        return
    if depth > MAX_DEPTH * 16 or time.monotonic() > give_up:
        raise FileProblemError("failed:the folder is too deep, or is being filled while it is deleted")
    below = step_into(last, folder)
    try:
        for entry in os.listdir(below):
            try:
                _delete(below, entry, depth + 1, give_up)
            except FileNotFoundError:
                continue
    finally:
        os.close(below)
    os.rmdir(last, dir_fd=folder)


def changed_files(before: Snapshot, limit: int) -> tuple[list[tuple[str, int]], list[tuple[str, str]]]:
    """Walk the work folder without following a link: names and sizes of the new and changed, and the rest."""
    found: list[tuple[str, int]] = []
    skipped: list[tuple[str, str]] = []
    seen = 0
    folders = [("", 0)]
    while folders:
        folder, depth = folders.pop()
        try:
            entries = sorted(os.scandir(os.path.join(WORK, folder)), key=lambda entry: entry.name)
        except OSError as error:
            skipped.append((folder, str(error.strerror)))
            continue
        for entry in entries:
            seen += 1
            if seen > limit * 8:
                skipped.append((folder, "too many entries"))
                return found, skipped
            name = os.path.join(folder, entry.name)
            try:
                info = entry.stat(follow_symlinks=False)
            except OSError as error:  # its path may be longer than a path may be
                skipped.append((name, str(error.strerror)))
                continue
            if stat.S_ISDIR(info.st_mode):
                if depth < MAX_DEPTH:
                    folders.append((name, depth + 1))
                else:
                    skipped.append((name, "too deep"))
            elif not stat.S_ISREG(info.st_mode):
                skipped.append((name, "not a regular file"))
            elif info.st_nlink > 1:
                skipped.append((name, "a hard link"))
            elif before.get(name) != (info.st_mtime_ns, info.st_size, info.st_ino):
                found.append((name, info.st_size))
    return found, skipped


def snapshot() -> Snapshot:
    """What tells each file of the work folder from a changed one."""
    return {
        os.path.relpath(os.path.join(folder, name), WORK): (info.st_mtime_ns, info.st_size, info.st_ino)
        for folder, _, names in os.walk(WORK)
        for name in names
        for info in [os.lstat(os.path.join(folder, name))]
    }


def printable(name: str) -> str:
    """A name as text, whatever bytes it has."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")[:256]


def send_changed(
    before: Snapshot, most_files: int, most_bytes: int, send: Send, encode: Callable[[Any], bytes]
) -> list[tuple[str, str]]:
    """Send what the run left, within its limits, once no process is left; return what was not sent, and why."""
    found, skipped = changed_files(before, most_files)
    total = sent = 0
    for name, size in found:
        try:
            name.encode()
        except UnicodeEncodeError:
            skipped.append((name, "its name is not UTF-8"))
            continue
        if sent >= most_files or total + size > most_bytes:
            skipped.append((name, "over the limit on files coming out"))
            continue
        try:
            source = os.open(os.path.join(WORK, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            skipped.append((name, str(error.strerror)))
            continue
        try:
            send_content(source, name, size, send, encode)
        finally:
            os.close(source)
        total += size
        sent += 1
    return [(printable(name), reason) for name, reason in skipped[:64]]

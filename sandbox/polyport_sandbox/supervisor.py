"""The one trusted process inside a container: takes one job over stdin, runs it, reports over stdout, ends.

It runs as process 1 of the container from its source text (``python3 -I -S -c …``), so it stands alone: the standard
library only, Python 3.9 or newer. It shares its user id with the code it runs, for a container without capabilities
has no other; what keeps that code away from it:

- it is not dumpable, so its memory, environment and open files under ``/proc/1`` belong to root;
- process 1 can't be killed or stopped from inside its own namespace, and it handles no signal but SIGCHLD;
- the code inherits three descriptors only, none of them the supervisor's;
- each report carries a nonce that came with the job and never leaves this process's memory.

Down (host to container): a length and a JSON header, then the bytes of each file (the code is one), then stdin's.
Up: frames of length, kind and nonce, then the payload. Kinds: ``R`` ready, ``S`` started, ``O`` stdout, ``E`` stderr,
``F`` a file's name and size, ``B`` its bytes, ``D`` done, ``X`` the job could not be set up.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import stat
import struct
import sys
import time
from typing import Any, NoReturn

CHUNK = 65536
WORK = "/work"
MAX_DEPTH = 16
PR_SET_DUMPABLE = 4

Snapshot = dict[str, tuple[int, int, int]]


class HostGoneError(Exception):
    """The host closed its end; nobody waits for an answer."""


def read_exactly(count: int) -> bytes:
    """Read so many bytes of stdin; no more, no fewer."""
    parts = []
    while count:
        part = os.read(0, min(count, 1 << 20))
        if not part:
            raise HostGoneError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def copy_in(name: str, count: int) -> None:
    """Write the next bytes of stdin to a new file of the work folder."""
    path = os.path.join(WORK, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "xb") as out:
        while count:
            part = read_exactly(min(count, CHUNK))
            out.write(part)
            count -= len(part)


def write_all(data: bytes) -> None:
    """Write to stdout until all is written."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(1, view) :]
        except InterruptedError:
            continue
        except OSError:
            raise HostGoneError from None


class Reporter:
    """Sends frames, each with the run's nonce."""

    def __init__(self, nonce: bytes) -> None:
        self.nonce = nonce

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        """Send one frame."""
        write_all(struct.pack(">Ic16s", len(payload), kind, self.nonce) + payload)

    def send_json(self, kind: bytes, value: Any) -> None:
        """Send one frame whose payload is JSON."""
        self.send(kind, json.dumps(value).encode())


def first_number(*candidates: tuple[str, str | None]) -> int | None:
    """Read the first cgroup file that is there; (path, key) reads one line of a keyed file."""
    for path, key in candidates:
        try:
            with open("/sys/fs/cgroup/" + path) as lines:
                for line in lines:
                    words = line.split()
                    if key is None:
                        return int(words[0])
                    if words[0] == key:
                        return int(words[1])
        except (OSError, ValueError, IndexError):
            continue
    return None


def oom_kills() -> int:
    """How many processes of this container the kernel has killed for memory."""
    return first_number(("memory.events", "oom_kill"), ("memory/memory.oom_control", "oom_kill")) or 0


def cpu_seconds() -> float:
    """Processor seconds of this container so far."""
    micro = first_number(("cpu.stat", "usage_usec"))
    if micro is not None:
        return micro / 1e6
    nano = first_number(("cpuacct/cpuacct.usage", None), ("cpu,cpuacct/cpuacct.usage", None))
    if nano is not None:
        return nano / 1e9
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def peak_bytes() -> int | None:
    """The most memory this container has had."""
    return first_number(("memory.peak", None), ("memory/memory.max_usage_in_bytes", None))


class Run:
    """One job: its main process, its pipes and its limits."""

    def __init__(self, job: dict[str, Any], report: Reporter) -> None:
        self.job = job
        self.report = report
        self.stopped: str | None = None
        self.exit: int | None = None
        self.wall = 0.0
        self.left: dict[int, int] = {}
        self.kinds: dict[int, bytes] = {}
        self.truncated: list[str] = []
        self.wake, wake_write = os.pipe()
        for end in (self.wake, wake_write):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def start(self, stdin: int) -> None:
        """Start the code in a session of its own."""
        out, out_child = os.pipe()
        err, err_child = os.pipe()
        self.kinds = {out: b"O", err: b"E"}
        self.left = dict.fromkeys((out, err), self.job["output_bytes"])
        self.oom_before = oom_kills()
        self.cpu_before = cpu_seconds()
        self.began = time.monotonic()
        self.main = os.fork()
        if self.main == 0:
            self.become_code(stdin, out_child, err_child)
        os.close(stdin)
        os.close(out_child)
        os.close(err_child)

    def become_code(self, stdin: int, out: int, err: int) -> NoReturn:
        """In the child: give up everything of the supervisor's, then exec."""
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
                signal.signal(number, signal.SIG_DFL)
            os.setsid()
            for source, target in ((stdin, 0), (out, 1), (err, 2)):
                os.dup2(source, target)
            os.closerange(3, 4096)
            ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
            try:
                with open("/proc/self/oom_score_adj", "w") as score:
                    score.write("1000")  # the code is to go before the supervisor
            except OSError:
                pass
            os.chdir(WORK)
            os.execvpe(self.job["command"][0], self.job["command"], self.job["env"])
        except OSError as error:
            os.write(2, f"{self.job['command'][0]}: {error.strerror}\n".encode())
        finally:
            os._exit(127)

    def reap(self) -> bool:
        """Collect what has ended; say whether anything is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.main:
                self.exit = os.waitstatus_to_exitcode(status)

    def read(self, fd: int) -> None:
        """Pass on what a pipe holds, up to the limit; what is over it is read and dropped."""
        data = os.read(fd, CHUNK)
        if not data:
            del self.left[fd]
            os.close(fd)
            return
        kept = data[: self.left[fd]]
        self.left[fd] -= len(kept)
        if kept:
            self.report.send(self.kinds[fd], kept)
        if len(kept) < len(data):
            if self.kinds[fd].decode() not in self.truncated:
                self.truncated.append(self.kinds[fd].decode())
            self.stopped = self.stopped or "output_limit"

    def watch(self) -> None:
        """Pass output on until the main process ends or has to."""
        deadline = self.began + self.job["wall_s"]
        while True:
            self.reap()
            if self.exit is not None:
                break
            rest = deadline - time.monotonic()
            if rest <= 0:
                self.stopped = "timeout"
            if self.stopped:
                break
            ready, _, _ = select.select([0, self.wake, *self.left], [], [], rest)
            self.handle(ready)
        self.wall = time.monotonic() - self.began

    def handle(self, ready: list[int]) -> None:
        """See to the descriptors that have something."""
        for fd in ready:
            if fd == 0:
                raise HostGoneError  # nothing more is ever sent down, so this is the end of the connection
            if fd == self.wake:
                try:
                    os.read(self.wake, CHUNK)
                except BlockingIOError:
                    pass
            else:
                self.read(fd)

    def sweep(self) -> None:
        """Kill every process but this one, however it detached itself, and pass on what the pipes still hold."""
        give_up = time.monotonic() + 5
        while True:
            try:
                os.kill(-1, signal.SIGKILL)
            except ProcessLookupError:
                pass
            if not self.reap():
                break
            if time.monotonic() > give_up:
                raise RuntimeError("processes survived SIGKILL")
            select.select([self.wake], [], [], 0.01)
        while self.left:
            for fd in select.select(list(self.left), [], [])[0]:
                self.read(fd)

    def status(self) -> str:
        """How the run ended."""
        if self.stopped:
            return self.stopped
        if self.exit == 0:
            return "ok"
        if oom_kills() > self.oom_before:
            return "out_of_memory"
        return "killed" if self.exit is not None and self.exit < 0 else "error"


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
            info = entry.stat(follow_symlinks=False)
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


def send_files(job: dict[str, Any], before: Snapshot, report: Reporter) -> list[tuple[str, str]]:
    """Send what the run left, within its limits; return what was not sent, and why."""
    found, skipped = changed_files(before, job["max_files"])
    total = sent = 0
    for name, size in found:
        try:
            name.encode()
        except UnicodeEncodeError:
            skipped.append((name, "its name is not UTF-8"))
            continue
        if sent >= job["max_files"] or total + size > job["max_file_bytes"]:
            skipped.append((name, "over the limit on files coming out"))
            continue
        try:
            fd = os.open(os.path.join(WORK, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            skipped.append((name, str(error.strerror)))
            continue
        with open(fd, "rb") as source:
            report.send_json(b"F", [name, size])
            while size:
                part = source.read(min(size, CHUNK))
                if not part:
                    raise RuntimeError("a file shrank with no process left to change it")
                report.send(b"B", part)
                size -= len(part)
                total += len(part)
            sent += 1
    return [(printable(name), reason) for name, reason in skipped[:64]]


def prepare(job: dict[str, Any]) -> int:
    """Put the job's files in place; return the descriptor that the code reads as stdin."""
    path = "/tmp/.stdin"  # noqa: S108 - this container's own; gVisor has no O_TMPFILE
    stdin = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    os.unlink(path)
    for name, size in job["files"]:
        copy_in(name, size)
    rest = job["stdin_bytes"]
    while rest:
        part = read_exactly(min(rest, CHUNK))
        os.write(stdin, part)
        rest -= len(part)
    os.lseek(stdin, 0, os.SEEK_SET)
    return stdin


def serve() -> None:
    """Do the one job."""
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    Reporter(bytes(16)).send(b"R")
    job = json.loads(read_exactly(struct.unpack(">I", read_exactly(4))[0]))
    report = Reporter(bytes.fromhex(job.pop("nonce")))
    run = Run(job, report)
    try:
        stdin = prepare(job)
    except OSError as error:
        report.send_json(b"X", f"{error.filename}: {error.strerror}")
        return
    before = snapshot()
    report.send(b"S")
    run.start(stdin)
    run.watch()
    run.sweep()
    status = run.status()
    usage = {"cpu_s": cpu_seconds() - run.cpu_before, "wall_s": run.wall, "peak_memory_bytes": peak_bytes()}
    skipped = send_files(job, before, report)
    report.send_json(
        b"D",
        {"status": status, "exit_code": run.exit, "truncated": run.truncated, "skipped": skipped, "usage": usage},
    )


if __name__ == "__main__":
    try:
        serve()
    except HostGoneError:
        sys.exit(0)

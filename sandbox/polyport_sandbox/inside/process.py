"""Part of the supervisor: the processes it starts, and what they may take with them."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
from collections.abc import Iterator
from typing import Any, NoReturn, TypeAlias

CHUNK = 65536
WORK = "/work"
UP, DOWN, ACKNOWLEDGED = (
    1100,
    1101,
    1102,
)  # well out of the way of code that numbers its own descriptors, and above its limit on them
DESCRIPTORS = 512
PR_SET_DUMPABLE = 4

Job: TypeAlias = "dict[str, Any]"


class Process:
    """A process of the code's, alone in its session, with pipes for its output and, for a kernel, for control."""

    def __init__(self, command: list[str], env: dict[str, str], stdin: int, *, kernel: str | None = None) -> None:
        self.kernel = kernel
        self.exit: int | None = None
        self.outbox = bytearray()
        self.control = Control()
        self.used = False
        out, out_child = os.pipe()
        err, err_child = os.pipe()
        up, up_child = os.pipe() if kernel else (-1, -1)
        down_child, down = os.pipe() if kernel else (-1, -1)
        acknowledged_child, acknowledged = os.pipe() if kernel else (-1, -1)
        self.outputs: dict[int, bytes] = {out: b"O", err: b"E"}
        self.up, self.down, self.acknowledged = up, down, acknowledged
        self.pid = os.fork()
        if self.pid == 0:
            become(command, env, (stdin, out_child, err_child), (up_child, down_child, acknowledged_child))
        for end in (out_child, err_child, up_child, down_child, acknowledged_child):
            if end >= 0:
                os.close(end)
        for end in (out, err, up, down, acknowledged):
            if end >= 0:
                os.set_blocking(end, False)

    def flush(self) -> None:
        """Write to a kernel what it will take now."""
        while self.outbox:
            try:
                del self.outbox[: os.write(self.down, self.outbox[:CHUNK])]
            except BlockingIOError:
                return
            except OSError:
                self.outbox.clear()  # it has ended, which is noticed elsewhere

    def give(self, fields: dict[str, bytes]) -> None:
        """Hand a kernel its job."""
        parts = [part for name, value in fields.items() for part in (name.encode(), value)]
        body = b"".join(struct.pack(">I", len(part)) + part for part in parts)
        self.outbox += struct.pack(">I", len(body)) + body
        self.used = True
        self.flush()

    def acknowledge(self) -> None:
        """Tell a kernel that a display was taken; one that does not listen goes without."""
        try:
            os.write(self.acknowledged, b"A")
        except OSError:
            pass

    def close_control(self) -> None:
        """Let go of the control pipes."""
        for end in (self.up, self.down, self.acknowledged):
            if end >= 0:
                os.close(end)
        self.up = self.down = self.acknowledged = -1
        self.outbox.clear()

    def signal(self, number: int, *, group: bool = False) -> None:
        """Send it a signal, unless it has been reaped and its number may be another's."""
        if self.exit is None:
            try:
                (os.killpg if group else os.kill)(self.pid, number)
            except (ProcessLookupError, PermissionError):
                pass


def become(
    command: list[str], env: dict[str, str], standard: tuple[int, int, int], control: tuple[int, int, int]
) -> NoReturn:
    """In the child: give up everything of the supervisor's, then exec."""
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        for target, source in enumerate(standard):
            os.dup2(source, target)
        if control[0] >= 0:
            os.dup2(control[0], UP)
            os.dup2(control[1], DOWN)
            os.dup2(control[2], ACKNOWLEDGED)
            os.closerange(3, UP)
            os.closerange(ACKNOWLEDGED + 1, 4096)
        else:
            os.closerange(3, 4096)
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
        try:
            with open("/proc/self/oom_score_adj", "w") as score:
                score.write("1000")  # the code is to go before the supervisor
        except OSError:
            pass
        os.chdir(WORK)
        os.execvpe(command[0], command, env)
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


class Control:
    """Cut what a kernel says into messages, in parts as they come; none is kept whole here."""

    def __init__(self) -> None:
        self._head = b""
        self._kind = b""
        self._left = 0

    def feed(self, data: bytes) -> Iterator[tuple[bytes, int | None, bytes, bool]]:
        """Yield kind, the size where a message begins, a part of it, and whether it is the last."""
        while data:
            size = None
            if not self._left:
                need = 5 - len(self._head)
                self._head, data = self._head + data[:need], data[need:]
                if len(self._head) < 5:
                    return
                size, self._kind = struct.unpack(">Ic", self._head)
                self._head, self._left = b"", size
                if not size:
                    yield self._kind, 0, b"", True
                    continue
            part, data = data[: self._left], data[self._left :]
            self._left -= len(part)
            if part or size is not None:
                yield self._kind, size, part, not self._left


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


def others(spare: set[int]) -> Iterator[int]:
    """The live processes of this container, but this one and those to spare."""
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != 1 and int(name) not in spare:
            try:
                with open(f"/proc/{name}/stat", "rb") as told:
                    if told.read().rpartition(b")")[2].split()[0] in b"ZX":
                        continue  # dead, and its parent's to collect
            except (OSError, IndexError):
                continue
            yield int(name)

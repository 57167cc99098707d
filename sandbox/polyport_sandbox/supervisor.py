"""The one trusted process inside a container: takes jobs over stdin, runs them, reports over stdout.

It runs as process 1 of the container from its source text (``python3 -I -S -c …``, this file and its parts
`inside_files`, `inside_process` and `inside_channels` joined), so it stands alone: the standard library only, Python 3.9
or newer. It shares its user id with the code it runs, for a container without capabilities has no other; what keeps
that code away from it:

- it is not dumpable, so its memory, environment and open files under ``/proc/1`` belong to root;
- process 1 can't be killed or stopped from inside its own namespace, and it handles no signal but SIGCHLD;
- the code inherits its three standard descriptors and, in a kernel, two pipes of its own, over which it can only tell
  what it displays: none of the supervisor's;
- each report carries a nonce that came with the first job and never leaves this process's memory. The kernel that
  waits beside it was started before that, and knows nothing.

Down (host to container): a length and a JSON header, then as many bytes as the header announces. The first says
whether it is ``once``, one run and the end, or a ``session``, one request after another.
Up: frames of length, kind and nonce, then the payload. Kinds: ``R`` ready, ``S`` started, ``O`` stdout, ``E`` stderr,
``V`` a part of a display, ``T`` of the exception that ended the code (1 and the part, 0 and the last part), ``F`` a
file's name and size, ``B`` its bytes, ``L`` a part of a list of files, ``D`` done, ``X`` the job could not be set up;
and of channels, each with its number, ``C`` opened, ``c`` bytes, ``x`` no more bytes, ``y`` takes no more, ``w`` took so
many.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from typing import Any

from .inside_channels import OPERATIONS, Channels
from .inside_files import (
    FileProblemError,
    delete,
    list_folder,
    send_changed,
    send_file,
    snapshot,
    write_file,
)
from .inside_process import (
    CHUNK,
    PR_SET_DUMPABLE,
    Job,
    Process,
    cpu_seconds,
    oom_kills,
    others,
    peak_bytes,
)

GRACE_S = 0.5  # between asking a cell to stop and making it
MOST_PENDING = 1 << 18  # bytes on their way up, above which no more is read from the code
MOST_KERNELS = 8
MOST_STRAYS = 64
ERROR_BYTES = 1 << 18


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


class Inbox:
    """What the host sends: headers, each followed by as many bytes as it announces."""

    def __init__(self) -> None:
        self.left = 0

    def header(self) -> Job:
        """Read the next header, past what nobody took of the one before."""
        while self.left:
            self.take(min(self.left, CHUNK))
        header: Job = json.loads(read_exactly(struct.unpack(">I", read_exactly(4))[0]))
        self.left = header["bytes"]
        return header

    def take(self, count: int) -> bytes:
        """Take the next of the announced bytes."""
        self.left -= count
        return read_exactly(count)

    def parts(self, count: int) -> Iterator[bytes]:
        """Take the next of the announced bytes in parts."""
        while count:
            part = self.take(min(count, CHUNK))
            count -= len(part)
            yield part


def encode(value: Any) -> bytes:
    """A value as a payload."""
    return json.dumps(value).encode()


class Reporter:
    """Sends frames, each with the nonce, without ever waiting for the host to take them."""

    def __init__(self) -> None:
        self.nonce = bytes(16)
        self.pending = bytearray()
        os.set_blocking(1, False)

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        """Send one frame, or keep it for `flush`."""
        self.pending += struct.pack(">Ic16s", len(payload), kind, self.nonce) + payload
        self.flush()

    def send_whole(self, kind: bytes, payload: bytes = b"") -> None:
        """Send one frame where nothing else is to be seen to: wait where the host is slow."""
        self.send(kind, payload)
        while len(self.pending) > MOST_PENDING:
            self.wait()

    def flush(self) -> None:
        """Write what can be written now."""
        while self.pending:
            try:
                del self.pending[: os.write(1, self.pending[: 1 << 20])]
            except BlockingIOError:
                return
            except InterruptedError:
                continue
            except OSError:
                raise HostGoneError from None

    def wait(self) -> None:
        """Wait until something could be written."""
        select.select([], [1], [], 1)
        self.flush()

    def finish(self) -> None:
        """Write everything."""
        while self.pending:
            self.wait()


class Cell:
    """One run or cell: its process, its limits and what has become of it."""

    def __init__(self, job: Job, process: Process) -> None:
        self.job = job
        self.process = process
        self.left = {kind: job["output_bytes"] for kind in (b"O", b"E")}
        self.displays, self.display_bytes = job["displays"], job["display_bytes"]
        self.dropped = 0
        self.passing = b""
        self.error: bytearray | None = None
        self.error_whole = False
        self.truncated: list[str] = []
        self.stopped: str | None = None
        self.said: int | None = None
        self.kill_at: float | None = None
        self.oom_before = oom_kills()
        self.cpu_before = cpu_seconds()
        self.began = time.monotonic()
        self.deadline = self.began + job["wall_s"]

    @property
    def exit(self) -> int | None:
        """The exit code: what a kernel said of its cell, or the process's own."""
        return self.process.exit if self.said is None else self.said

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.exit is not None

    def status(self) -> str:
        """How it ended."""
        if self.stopped:
            return self.stopped
        if self.exit == 0:
            return "ok"
        if oom_kills() > self.oom_before:
            return "out_of_memory"
        return "killed" if self.exit is not None and self.exit < 0 else "error"


class Supervisor:
    """Everything there is to see to."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.report = Reporter()
        self.inbox = Inbox()
        self.cell: Cell | None = None
        self.kernels: dict[str, Process] = {}
        self.lost: set[str] = set()
        self.strays: list[int] = []
        self.processes: dict[int, Process] = {}
        self.once = True
        self.extra: dict[str, bytes] = {}
        self.env: dict[str, str] = dict(config["env"])
        self.null = os.open("/dev/null", os.O_RDONLY)
        self.warm: Process | None = None
        self.channels: Channels | None = None
        self.wake, wake_write = os.pipe()
        for end in (self.wake, wake_write):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def set_up(self, job: Job) -> None:
        """Take from the first job what holds for all: the nonce, the environment, and what is to listen."""
        self.report.nonce = bytes.fromhex(job.pop("nonce"))
        self.env.update(job["env"])
        if job["env"]:
            self.extra["env"] = "\n".join(f"{name}={value}" for name, value in job["env"].items()).encode()
        if job["tools"]:
            self.extra["tools"] = job["tools"].encode()
        if job["listen"]:
            self.channels = Channels(job["listen"], self.report.send)

    # Processes

    def spawn(self, command: list[str], stdin: int, *, kernel: str | None = None) -> Process:
        """Start a process of the code's."""
        process = Process(command, self.env, stdin, kernel=kernel)
        self.processes[process.pid] = process
        return process

    def start_warm(self) -> None:
        """Start the Python that will run what is not known yet, and wait until it is ready."""
        self.warm = self.spawn(self.config["kernels"]["python"], self.null, kernel="python")
        give_up = time.monotonic() + 10
        while self.warm.exit is None and time.monotonic() < give_up:
            ready, _, _ = select.select([0, self.wake, self.warm.up], [], [], 1)
            if 0 in ready and not select.select([0], [], [], 0)[0]:
                raise HostGoneError
            if self.warm.up in ready:
                os.read(self.warm.up, 22)
                return
            if 0 in ready:
                return  # the first job is here, or the end
            self.reap()

    def reap(self) -> bool:
        """Collect what has ended; say whether anything is left."""
        try:
            os.read(self.wake, CHUNK)
        except BlockingIOError:
            pass
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            process = self.processes.pop(pid, None)
            if process is not None:
                process.exit = os.waitstatus_to_exitcode(status)

    def kill_now(self, process: Process) -> None:
        """Kill a process and wait until it is gone."""
        process.signal(signal.SIGKILL)
        give_up = time.monotonic() + 5
        while process.exit is None and time.monotonic() < give_up:
            self.reap()
            if process.exit is None:
                select.select([self.wake], [], [], 0.01)

    def retire(self, process: Process) -> None:
        """Let go of an ended process's pipes; what others still write there is read and dropped."""
        process.close_control()
        self.strays += process.outputs
        process.outputs = {}
        while len(self.strays) > MOST_STRAYS:
            os.close(self.strays.pop(0))

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
        if self.cell is not None:
            while self.cell.process.up >= 0:
                self.read_control(self.cell.process)
            self.drain(self.cell.process, ended=True)

    def sweep_strays(self) -> None:
        """Kill every process but this one and the kernels; if they breed faster than that, the kernels too."""
        for _ in range(20):
            spare = {kernel.pid for kernel in [*self.kernels.values(), self.warm] if kernel and kernel.exit is None}
            left = 0
            for pid in others(spare):
                left += 1
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            if not left:
                return
            self.reap()
            select.select([self.wake], [], [], 0.005)
        self.sweep()

    # Output

    def read(self, process: Process, fd: int, most: int = CHUNK) -> int:
        """Pass on what a pipe holds, up to the limit; what is over it is read and dropped."""
        try:
            data = os.read(fd, most)
        except BlockingIOError:
            return 0
        cell, kind = self.cell, process.outputs[fd]
        if not data:
            del process.outputs[fd]
            os.close(fd)
        elif cell is not None and cell.process is process:
            kept = data[: cell.left[kind]]
            cell.left[kind] -= len(kept)
            if kept:
                self.report.send(kind, kept)
            if len(kept) < len(data):
                if kind.decode() not in cell.truncated:
                    cell.truncated.append(kind.decode())
                self.stop("output_limit")
        return len(data)

    def drain(self, process: Process, *, ended: bool = False) -> None:
        """Pass on what the pipes hold at this moment; with `ended`, until everybody has closed them."""
        for fd in list(process.outputs):
            if ended:
                while fd in process.outputs:
                    select.select([fd], [], [], 1)
                    self.read(process, fd)
                    self.ease()
                continue
            held = struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0\0\0\0"))[0]
            while held > 0 and fd in process.outputs:
                got = self.read(process, fd, min(held, CHUNK))
                if not got:
                    break
                held -= got

    def ease(self) -> None:
        """Wait for the host where much is on its way up."""
        while len(self.report.pending) > MOST_PENDING:
            self.report.wait()

    def read_control(self, process: Process) -> None:
        """Take what a kernel says."""
        try:
            data = os.read(process.up, CHUNK)
        except BlockingIOError:
            return
        if not data:
            process.close_control()
            return
        for kind, size, part, last in process.control.feed(data):
            cell = self.cell
            if cell is None or cell.process is not process:
                continue  # said between cells
            if kind == b"V":
                self.pass_display(cell, size, part, last)
            elif kind == b"T":
                if size is not None:
                    cell.error = bytearray() if cell.error is None and size <= ERROR_BYTES else cell.error
                    cell.passing = b"T" if cell.error is not None and not cell.error_whole else b""
                if cell.passing == b"T" and cell.error is not None:
                    cell.error += part
                    cell.error_whole = last
            elif kind == b"K" and not self.once and cell.said is None and last:
                self.drain(process)
                cell.said = int(part) & 0xFF if part.isdigit() and len(part) < 4 else 1

    def pass_display(self, cell: Cell, size: int | None, part: bytes, last: bool) -> None:
        """Pass a part of a display on, if the display as a whole is within the limits."""
        if size is not None:
            self.drain(cell.process)
            cell.passing = b"V" if cell.displays > 0 and size <= cell.display_bytes else b""
            if cell.passing:
                cell.displays -= 1
                cell.display_bytes -= size
            else:
                cell.dropped += 1
        if cell.passing == b"V":
            self.report.send(b"V", (b"\0" if last else b"\1") + part)
        if last and cell.process.down >= 0 and len(cell.process.outbox) < CHUNK:
            cell.process.outbox += b"A"
            cell.process.flush()

    # Ends

    def stop(self, why: str) -> None:
        """Begin to end the cell: a run at once, a session's cell by an interrupt first."""
        cell = self.cell
        if cell is None or cell.stopped:
            return
        cell.stopped = why
        self.interrupt(cell, GRACE_S)

    def interrupt(self, cell: Cell, grace_s: float) -> None:
        """Interrupt a session's cell, and see that it ends."""
        if self.once:
            cell.kill_at = 0.0
            return
        cell.process.signal(signal.SIGINT, group=cell.process.kernel is None)
        kill_at = min(time.monotonic() + grace_s, cell.deadline + GRACE_S)
        cell.kill_at = kill_at if cell.kill_at is None else min(kill_at, cell.kill_at)

    def step(self) -> None:
        """Wait for something to happen, and see to it."""
        now, cell, timeout = time.monotonic(), self.cell, None
        if cell is not None:
            timeout = max(0.0, (cell.deadline if cell.kill_at is None else cell.kill_at) - now)
        room = len(self.report.pending) < MOST_PENDING
        outputs: dict[int, Process] = {}
        controls: dict[int, Process] = {}
        inboxes: dict[int, Process] = {}
        for process in [*self.kernels.values(), *([cell.process] if cell else [])]:
            if room or cell is None or process is not cell.process:
                outputs.update(dict.fromkeys(process.outputs, process))
                if process.up >= 0:
                    controls[process.up] = process
            if process.outbox:
                inboxes[process.down] = process
        channels, writers = self.channel_ends(room)
        ready, writable, _ = select.select(
            [0, self.wake, *outputs, *controls, *self.strays, *channels],
            [*([1] if self.report.pending else []), *inboxes, *writers],
            [],
            timeout,
        )
        if self.report.pending:
            self.report.flush()
        if self.channels is not None:
            self.channels.handle(ready, writable)
        for fd in writable:
            if fd in inboxes:
                inboxes[fd].flush()
        for fd in ready:
            if fd in outputs and fd in outputs[fd].outputs:
                self.read(outputs[fd], fd)
            elif fd in self.strays:
                self.read_stray(fd)
        for fd in ready:
            if fd in controls and controls[fd].up == fd:
                self.read_control(controls[fd])
        if self.wake in ready:
            self.reap()
        if 0 in ready:
            self.take_request()
        self.enforce()

    def channel_ends(self, room: bool) -> tuple[list[int], list[int]]:
        """The descriptors of channels to wait on, to read and to write."""
        if self.channels is None:
            return [], []
        return self.channels.readers() if room else [], self.channels.writers()

    def read_stray(self, fd: int) -> None:
        """Drop what is still written where nobody listens any more."""
        try:
            data = os.read(fd, CHUNK)
        except BlockingIOError:
            return
        if not data:
            self.strays.remove(fd)
            os.close(fd)

    def enforce(self) -> None:
        """End the cell when its time has come."""
        cell, now = self.cell, time.monotonic()
        if cell is None or cell.over:
            return
        if cell.kill_at is not None and now >= cell.kill_at:
            cell.process.signal(signal.SIGKILL)
            cell.kill_at = now + 60
        elif cell.kill_at is None and now >= cell.deadline:
            self.stop("timeout")

    def watch(self, cell: Cell) -> float:
        """See the cell to its end; return how long it took."""
        self.cell = cell
        while not cell.over:
            if self.once and cell.stopped:
                break
            self.step()
        return time.monotonic() - cell.began

    def usage(self, cell: Cell, wall: float) -> dict[str, Any]:
        """What a cell took."""
        return {"cpu_s": cpu_seconds() - cell.cpu_before, "wall_s": wall, "peak_memory_bytes": peak_bytes()}

    def conclude(self, cell: Cell) -> str:
        """Send what is told at the end, and return how it ended."""
        status = cell.status()
        if cell.dropped:
            note = f"[{cell.dropped} displays were left out: over the limits]\n".encode()[: cell.left[b"E"]]
            self.report.send(b"E", note)
        if cell.error is not None and cell.error_whole and status != "ok":
            for at in range(0, max(len(cell.error), 1), CHUNK):
                last = at + CHUNK >= len(cell.error)
                self.report.send(b"T", (b"\0" if last else b"\1") + bytes(cell.error[at : at + CHUNK]))
        return status

    # Jobs

    def stdin_file(self, count: int) -> int:
        """Take the next bytes of stdin; return a descriptor that reads them."""
        if not count:
            return os.dup(self.null)
        path = "/tmp/.stdin"  # noqa: S108 - this container's own; gVisor has no O_TMPFILE
        source = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        os.unlink(path)
        for part in self.inbox.parts(count):
            while part:
                part = part[os.write(source, part) :]
        os.lseek(source, 0, os.SEEK_SET)
        return source

    def take_files(self, job: Job) -> None:
        """Put a request's files in place."""
        for name, size in job["files"]:
            write_file(name, self.inbox.parts(size))

    def run_once(self, job: Job) -> None:
        """Do the one job, leave nothing, report."""
        warm = self.warm
        if warm is not None and (job["kernel"] != "python" or warm.exit is not None):
            self.kill_now(warm)
            warm.close_control()
            for fd in warm.outputs:
                os.close(fd)
            warm = None
        try:
            self.take_files(job)
            stdin = b"" if warm else self.stdin_file(job["stdin_bytes"])
        except OSError as error:
            self.report.send_whole(b"X", encode(f"{error.filename}: {error.strerror}"))
            self.report.finish()
            return
        before = snapshot()
        self.report.send(b"S")
        if warm is not None:
            fields = {"mode": b"script", "file": job["file"].encode(), "stdin": self.inbox.take(job["stdin_bytes"])}
            cell = Cell(job, warm)
            warm.give({**fields, **self.extra})
        else:
            cell = Cell(job, self.spawn(job["command"], int(stdin)))
            os.close(int(stdin))
        wall = self.watch(cell)
        self.sweep()
        status = self.conclude(cell)
        usage = self.usage(cell, wall)
        skipped = send_changed(before, job["max_files"], job["max_file_bytes"], self.report.send_whole, encode)
        self.done(cell, status, skipped=skipped, usage=usage)
        self.report.finish()

    def done(self, cell: Cell, status: str, **more: Any) -> None:
        """Report the end of a run or cell."""
        ended = {"status": status, "exit_code": cell.exit, "truncated": cell.truncated, "skipped": [], **more}
        self.report.send(b"D", encode(ended))

    def take_request(self) -> None:
        """Take what the host sends while a cell runs: its end, an interrupt, or what goes to a channel."""
        request = self.inbox.header()
        if request["op"] in OPERATIONS:
            self.channel_request(request)
        elif request["op"] == "interrupt" and self.cell is not None:
            self.interrupt(self.cell, request["grace_s"])
        else:
            raise RuntimeError("more than one job at a time")

    def channel_request(self, request: Job) -> None:
        """Hand a channel what is for it."""
        data = self.inbox.take(request["bytes"])
        if self.channels is not None:
            self.channels.request(request, data)

    def run_cell(self, job: Job) -> None:
        """Run one cell of a session."""
        if job["kernel"] is None:
            cell = self.start_command(job)
        else:
            cell = self.start_kernel_cell(job)
        if cell is None:
            return
        wall = self.watch(cell)
        process = cell.process
        if process.exit is not None and process.kernel is not None:
            while process.up >= 0 and not self.nothing_left(process.up):
                self.read_control(process)
        self.drain(process)
        status = self.conclude(cell)
        detail = None
        if process.exit is not None:
            if process.kernel is not None:
                self.kernels = {name: kernel for name, kernel in self.kernels.items() if kernel is not process}
                detail = "the kernel ended: its variables are gone, files are kept"
            else:
                self.remove_code(job)
        if cell.stopped or (cell.kill_at is not None and process.exit is not None):
            if process.exit is None:
                detail = "the code gave way to an interrupt: variables are kept"
            self.sweep_strays()
        self.cell = None
        if process.exit is not None:
            self.retire(process)
        if cell.job.get("anew"):
            detail = detail or "the kernel was started anew: the variables of earlier cells are gone"
        self.done(cell, status, usage=self.usage(cell, wall), detail=detail)

    def nothing_left(self, fd: int) -> bool:
        """Whether a pipe holds nothing now."""
        return not select.select([fd], [], [], 0)[0]

    def remove_code(self, job: Job) -> None:
        """Take a command's code file away again."""
        try:
            delete(job["file"])
        except (FileProblemError, OSError):
            pass

    def refuse(self, why: str) -> None:
        """Say that a request could not be granted."""
        self.report.send(b"D", encode({"failed": why}))

    def start_command(self, job: Job) -> Cell | None:
        """Start a language that has no kernel."""
        try:
            write_file(job["file"], self.inbox.parts(job["code_bytes"]))
            self.take_files(job)
            stdin = self.stdin_file(job["stdin_bytes"])
        except OSError as error:
            self.refuse(f"failed:{error.filename}: {error.strerror}")
            return None
        self.report.send(b"S")
        cell = Cell(job, self.spawn(job["command"], stdin))
        os.close(stdin)
        return cell

    def start_kernel_cell(self, job: Job) -> Cell | None:
        """Hand a cell to its kernel, which is started where there is none."""
        code = self.inbox.take(job["code_bytes"])
        try:
            self.take_files(job)
        except OSError as error:
            self.refuse(f"failed:{error.filename}: {error.strerror}")
            return None
        stdin = self.inbox.take(job["stdin_bytes"])
        self.reap()
        key = f"{job['kernel']}:{job['context']}"
        for name, kernel in list(self.kernels.items()):
            if kernel.exit is not None:  # it ended between cells
                del self.kernels[name]
                self.retire(kernel)
                self.lost.add(name)
        process = self.kernels.get(key)
        if process is None:
            if len(self.kernels) >= MOST_KERNELS:
                self.refuse(f"kernels:{MOST_KERNELS}")
                return None
            if self.warm is not None and self.warm.exit is None and job["kernel"] == "python":
                process, self.warm = self.warm, None
            else:
                process = self.spawn(self.config["kernels"][job["kernel"]], self.null, kernel=job["kernel"])
            self.kernels[key] = process
        job["anew"] = key in self.lost
        self.lost.discard(key)
        self.report.send(b"S")
        cell = Cell(job, process)
        first = {} if process.used else {"mode": b"cells", **self.extra}
        self.cell = cell
        process.give({"code": code, "stdin": stdin, **first})
        return cell

    def restart(self, context: str | None) -> None:
        """End kernels; they start again with their next cell."""
        for key in list(self.kernels):
            if context is None or key.partition(":")[2] == context:
                kernel = self.kernels.pop(key)
                self.kill_now(kernel)
                self.retire(kernel)
                self.lost.discard(key)
        if context is None:
            self.lost.clear()
            self.sweep_strays()

    def answer(self, job: Job) -> None:
        """Do what one request of a session asks."""
        operation = job["op"]
        if operation == "cell":
            self.run_cell(job)
            return
        if operation in OPERATIONS:
            self.channel_request(job)
            return
        if operation == "interrupt":
            return  # it came when the cell was over already
        done: dict[str, Any] = {}
        try:
            if operation == "upload":
                self.take_files(job)
            elif operation == "download":
                send_file(job["name"], job["max_bytes"], self.report.send_whole, encode)
            elif operation == "list":
                done["entries"] = list_folder(job["name"])
            elif operation == "delete":
                delete(job["name"])
            elif operation == "restart":
                self.restart(job["context"])
        except FileProblemError as error:
            done = {"failed": str(error)}
        except OSError as error:
            done = {"failed": f"failed:{error.strerror}"}
        self.send_large(done)

    def send_large(self, done: dict[str, Any]) -> None:
        """Send an answer that may be too long for one frame."""
        entries = done.pop("entries", None)
        if entries is not None:
            for at in range(0, len(entries), 256):
                self.report.send_whole(b"L", encode(entries[at : at + 256]))
        self.report.send_whole(b"D", encode(done))

    def serve_session(self, job: Job) -> None:
        """Do one request after another until the host goes."""
        self.once = False
        try:
            self.take_files(job)
        except OSError as error:
            self.report.send_whole(b"X", encode(f"{error.filename}: {error.strerror}"))
            self.report.finish()
            return
        self.report.send(b"S")
        self.report.send(b"D", b"{}")
        while True:
            self.idle()
            self.answer(self.inbox.header())

    def idle(self) -> None:
        """Wait for the next request; what is printed meanwhile is dropped."""
        while True:
            outputs = {fd: kernel for kernel in self.kernels.values() for fd in kernel.outputs}
            controls = {kernel.up: kernel for kernel in self.kernels.values() if kernel.up >= 0}
            channels, writers = self.channel_ends(room=len(self.report.pending) < MOST_PENDING)
            ready, writable, _ = select.select(
                [0, self.wake, *outputs, *controls, *self.strays, *channels],
                [*([1] if self.report.pending else []), *writers],
                [],
            )
            self.report.flush()
            if self.channels is not None:
                self.channels.handle(ready, writable)
            for fd in ready:
                if fd in outputs:
                    self.read(outputs[fd], fd)
                elif fd in controls:
                    self.read_control(controls[fd])
                elif fd in self.strays:
                    self.read_stray(fd)
            if self.wake in ready:
                self.reap()
            if 0 in ready:
                return


def serve() -> None:
    """Get ready, wait, work."""
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    supervisor = Supervisor(json.loads(sys.argv[1]))
    supervisor.start_warm()
    supervisor.report.send(b"R")
    job = supervisor.inbox.header()
    supervisor.set_up(job)
    if job["op"] == "once":
        supervisor.run_once(job)
    else:
        supervisor.serve_session(job)


if __name__ == "__main__":
    try:
        serve()
    except HostGoneError:
        sys.exit(0)

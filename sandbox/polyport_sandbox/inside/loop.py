"""Part of the supervisor: one cell, and the loop that sees to everything while it runs."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import termios
import time
from typing import Any

from .channels import OPERATIONS, Channels
from .process import CHUNK, Job, Process, cpu_seconds, oom_kills, others, peak_bytes
from .report import MOST_PENDING, Inbox, Reporter

GRACE_S = 0.5  # between asking a cell to stop and making it
MOST_STRAYS = 64
ERROR_BYTES = 1 << 18


class Cell:
    """One run or cell: its process, its limits and what has become of it."""

    def __init__(self, job: Job, process: Process) -> None:
        self.job = job
        self.process = process
        self.left: dict[bytes, int] = {b"O": job["output_bytes"], b"E": job["output_bytes"]}
        self.displays: int = job["displays"]
        self.display_bytes: int = job["display_bytes"]
        self.dropped = 0
        self.passing = b""
        self.error: bytearray | None = None
        self.error_whole = False
        self.truncated: list[str] = []
        self.stopped: str | None = None
        self.said: int | None = None
        self.kill_at: float | None = None
        self.killed = False
        self.begun = process.kernel is None
        self.interrupt_due = False
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


class Loop:
    """Everything there is to see to, whatever the job."""

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
            if self.warm.up in ready or 0 in ready:
                return  # it is ready, or the first job is here, or the end
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
            cell = self.cell if self.cell is not None and self.cell.process is process else None
            if cell is not None:
                self.take_message(cell, kind, size, part, last)
            if kind == b"V" and last:
                process.acknowledge()  # also between cells, where it goes nowhere: who waits must not wait on

    def take_message(self, cell: Cell, kind: bytes, size: int | None, part: bytes, last: bool) -> None:
        """Take a part of what the kernel says of its cell."""
        if kind == b"V":
            self.pass_display(cell, size, part, last)
        elif kind == b"T":
            if size is not None:
                cell.passing = b"T" if cell.error is None and size <= ERROR_BYTES else b""
                cell.error = bytearray() if cell.passing else cell.error
            if cell.passing == b"T" and cell.error is not None:
                cell.error += part
                cell.error_whole = last
        elif kind == b"B" and not cell.begun:
            cell.begun = True
            if cell.interrupt_due:
                cell.process.signal(signal.SIGINT)
        elif kind == b"K" and not self.once and cell.said is None and last:
            self.drain(cell.process)
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
        if cell.begun:
            cell.process.signal(signal.SIGINT, group=cell.process.kernel is None)
        cell.interrupt_due = not cell.begun  # a kernel that has yet to take the cell would not notice, or end of it
        kill_at = min(time.monotonic() + grace_s, cell.deadline + GRACE_S)
        cell.kill_at = kill_at if cell.kill_at is None else min(kill_at, cell.kill_at)

    def step(self) -> bool:
        """Wait for something to happen, and see to it; say whether the host has sent something, which is left."""
        cell, timeout = self.cell, None
        if cell is not None:
            due = cell.deadline if cell.kill_at is None else cell.kill_at
            timeout = max(0.0, due - time.monotonic())
        room = len(self.report.pending) < MOST_PENDING
        processes = {id(process): process for process in self.kernels.values()}
        if cell is not None:
            processes[id(cell.process)] = cell.process
        # Where the host is slow, no more is read of what would have to wait for it.
        read = [process for process in processes.values() if room or cell is None or process is not cell.process]
        outputs = {fd: process for process in read for fd in process.outputs}
        controls = {process.up: process for process in read if process.up >= 0}
        inboxes = {process.down: process for process in processes.values() if process.outbox}
        channels, writers = self.channel_ends(room)
        ready, writable, _ = select.select(
            [0, self.wake, *outputs, *controls, *self.strays, *channels],
            [*([1] if self.report.pending else []), *inboxes, *writers],
            [],
            timeout,
        )
        self.report.flush()
        if self.channels is not None:
            self.channels.handle(ready, writable)
        for fd in inboxes.keys() & set(writable):
            inboxes[fd].flush()
        self.take_output(ready, outputs, controls)
        if self.wake in ready:
            self.reap()
        self.enforce()
        return 0 in ready

    def take_output(self, ready: list[int], outputs: dict[int, Process], controls: dict[int, Process]) -> None:
        """Read what the code has written: output before what is said of it."""
        for fd in ready:
            if fd in outputs and fd in outputs[fd].outputs:
                self.read(outputs[fd], fd)
            elif fd in self.strays:
                self.read_stray(fd)
        for fd in ready:
            if fd in controls and controls[fd].up == fd:
                self.read_control(controls[fd])

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
            cell.killed, cell.kill_at = True, now + 60
        elif cell.kill_at is None and now >= cell.deadline:
            self.stop("timeout")

    def watch(self, cell: Cell) -> float:
        """See the cell to its end; return how long it took."""
        self.cell = cell
        while not cell.over:
            if self.once and cell.stopped:
                break
            if self.step():
                self.take_request()
        return time.monotonic() - cell.began

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

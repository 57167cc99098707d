"""The one trusted process inside a container: takes jobs over stdin, runs them, reports over stdout.

It runs as process 1 of the container from its source text (``python3 -I -S -c …``, this file and its parts beside it,
joined by `sources`), so it stands alone: the standard library only, Python 3.9 or newer. It shares its user id with the
code it runs, for a container without capabilities has no other; what keeps that code away from it:

- it is not dumpable, so its memory, environment and open files under ``/proc/1`` belong to root;
- process 1 can't be killed or stopped from inside its own namespace, and it handles no signal but SIGCHLD;
- the code inherits its three standard descriptors and, in a kernel, three pipes of its own, over which it can only tell
  what it displays: none of the supervisor's;
- each report carries a nonce that came with the first job and never leaves this process's memory. The kernel that
  waits beside it was started before that, and knows nothing.

Down (host to container): a length and a JSON header, then as many bytes as the header announces. The first says
whether it is ``once``, one run and the end, or a ``session``, one request after another.
Up: frames of length, kind and nonce, then the payload. Kinds: ``R`` ready, ``S`` started, ``O`` stdout, ``E`` stderr,
``V`` a part of a display, ``T`` of the exception that ended the code (1 and the part, 0 and the last part), ``F`` a
file's name and size, ``B`` its bytes, ``L`` a part of a list of files, ``D`` done, ``X`` the job could not be set up;
and of channels, each with its number, ``C`` opened, ``c`` bytes, ``x`` no more bytes, ``y`` takes no more, ``w`` took
so many.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
from typing import Any

from .channels import OPERATIONS
from .files import FileProblemError, delete, list_folder, send_changed, send_file, snapshot, write_file
from .loop import Cell, Loop
from .process import PR_SET_DUMPABLE, Job
from .report import HostGoneError, decode, encode

MOST_KERNELS = 8


class Supervisor(Loop):
    """Does the jobs."""

    def stdin_file(self, count: int) -> int:
        """Take the next bytes of stdin; return a descriptor that reads them."""
        if not count:
            return os.dup(self.null)
        path = "/tmp/.stdin"  # noqa: S108 - this container's own; gVisor has no O_TMPFILE
        source = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            os.unlink(path)
            for part in self.inbox.parts(count):
                while part:
                    part = part[os.write(source, part) :]
        except OSError:
            os.close(source)
            raise
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

    def run_cell(self, job: Job) -> None:
        """Run one cell of a session."""
        cell = self.start_command(job) if job["kernel"] is None else self.start_kernel_cell(job)
        if cell is None:
            return
        wall = self.watch(cell)
        process = cell.process
        if cell.killed:  # a kernel that gave way at this very moment is lost all the same
            self.kill_now(process)
        if process.exit is not None:
            while process.up >= 0 and select.select([process.up], [], [], 0)[0]:
                self.read_control(process)
        self.drain(process)
        status = self.conclude(cell)
        for name, kernel in list(self.kernels.items()):
            if kernel is process and kernel.exit is not None:
                del self.kernels[name]
                self.lost.add(name)
        if cell.kill_at is not None and (cell.stopped or process.exit is not None):
            self.sweep_strays()
        self.cell = None
        if process.exit is not None:
            self.retire(process)
        self.done(cell, status, usage=self.usage(cell, wall), detail=self.detail(cell))

    def detail(self, cell: Cell) -> str | None:
        """What became of the variables, where that needs saying."""
        if cell.process.kernel is None:
            return None
        if cell.process.exit is not None:
            return "the kernel ended: its variables are gone, files are kept"
        if cell.stopped:
            return "the code gave way to an interrupt: variables are kept"
        return "the kernel was started anew: the variables of earlier cells are gone" if cell.job["anew"] else None

    def refuse(self, why: str) -> None:
        """Say that a request could not be granted."""
        self.report.send(b"D", encode({"failed": why}))

    def start_command(self, job: Job) -> Cell | None:
        """Start a language that has no kernel."""
        try:
            write_file(f".cell/{job['file']}", self.inbox.parts(job["code_bytes"]), "/tmp")  # noqa: S108 - its own
            self.take_files(job)
            stdin = self.stdin_file(job["stdin_bytes"])
        except OSError as error:
            self.refuse(f"failed:{error.filename}: {error.strerror}")
            return None
        self.report.send(b"S")
        # Its code lies elsewhere than the session's files, which may have one of the same name.
        command = [f"/tmp/.cell/{part}" if part == job["file"] else part for part in job["command"]]  # noqa: S108
        cell = Cell(job, self.spawn(command, stdin))
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
            while not self.step():  # what is printed meanwhile is dropped
                pass
            self.answer(self.inbox.header())


def serve() -> None:
    """Get ready, wait, work."""
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    supervisor = Supervisor(decode(sys.argv[1]))
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

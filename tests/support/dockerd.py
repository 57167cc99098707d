"""A Docker daemon of the tests' own: socket, data and control group of its own, no network, gVisor where installed.

What restarts a daemon, or must be held by an outer limit, is done to this one and never to the machine's.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["Daemon", "own_daemon"]

CGROUPS = Path("/sys/fs/cgroup")
STARTS_WITHIN_S = 60.0
STOPS_WITHIN_S = 60.0
GVISOR = {
    "path": shutil.which("runsc") or "runsc",
    "runtimeArgs": ["--platform=ptrace", "--network=none", "--oci-seccomp"],
}


class Daemon:
    """A Docker daemon in a folder of its own. Use `own_daemon`.

    Args:
        folder: Where all of it lives; its path must be short, for it holds Unix sockets.
        memory_mb: What all its containers together may have.
        pids: Processes of all its containers together.
    """

    def __init__(self, folder: Path, *, memory_mb: int = 6144, pids: int = 4096) -> None:
        self._folder = folder
        self._group = f"polyport-tests-{folder.name}"
        self._process: subprocess.Popen[bytes] | None = None
        self._bounds = {"memory": ("memory.limit_in_bytes", memory_mb << 20), "pids": ("pids.max", pids)}
        self.socket = str(folder / "docker.sock")

    def __enter__(self) -> Daemon:
        self._make_group()
        runtimes = {"runsc": GVISOR} if shutil.which("runsc") else {}
        (self._folder / "daemon.json").write_text(json.dumps({"runtimes": runtimes}))
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            with contextlib.suppress(subprocess.SubprocessError):
                left = self.docker("ps", "-aq").split()
                if left:
                    self.docker("rm", "-f", *left)
            self.stop()
        for folder in self._groups():
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _groups(self) -> list[Path]:
        if (CGROUPS / "cgroup.controllers").exists():
            return [CGROUPS / self._group]
        return [CGROUPS / controller / self._group for controller in self._bounds]

    def _make_group(self) -> None:
        """Put an outer limit around all its containers together."""
        unified = (CGROUPS / "cgroup.controllers").exists()
        for folder in self._groups():
            folder.mkdir(exist_ok=True)
        for controller, (name, value) in self._bounds.items():
            folder = CGROUPS / self._group if unified else CGROUPS / controller / self._group
            (folder / ("memory.max" if unified and controller == "memory" else name)).write_text(str(value))

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "dockerd", "--config-file", str(self._folder / "daemon.json"), "--host", f"unix://{self.socket}",
                    "--data-root", str(self._folder / "data"), "--exec-root", str(self._folder / "exec"),
                    "--pidfile", str(self._folder / "pid"), "--bridge=none", "--iptables=false",
                    f"--cgroup-parent=/{self._group}",
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + STARTS_WITHIN_S
        while True:
            with contextlib.suppress(subprocess.SubprocessError):
                self.docker("version")
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                tail = (self._folder / "log").read_text(errors="replace")[-1500:]
                raise RuntimeError(f"the daemon did not start: {tail}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End it as a service manager does, and see that it and its containerd are gone."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def restart(self) -> None:
        """Stop it, with its containers, and start it again."""
        self.stop()
        self.start()

    def docker(self, *arguments: str) -> str:
        """Run Docker's own client against it and return what it prints."""
        command = ["docker", "--host", f"unix://{self.socket}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout.strip()

    def load(self, image: str) -> None:
        """Give it an image of the machine's own daemon."""
        with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saved:
            subprocess.run(
                ["docker", "--host", f"unix://{self.socket}", "load"], stdin=saved.stdout,
                capture_output=True, timeout=300, check=True,
            )  # fmt: skip

    @property
    def runtimes(self) -> set[str]:
        """The runtimes it offers."""
        return set(json.loads(self.docker("info", "--format", "{{json .Runtimes}}")))


@contextlib.contextmanager
def own_daemon(*images: str, memory_mb: int = 6144, pids: int = 4096) -> Iterator[Daemon]:
    """Start a daemon that has these images, and leave nothing of it."""
    folder = Path(tempfile.mkdtemp(prefix="pd-"))
    try:
        with Daemon(folder, memory_mb=memory_mb, pids=pids) as daemon:
            for image in images:
                daemon.load(image)
            yield daemon
    finally:
        shutil.rmtree(folder, ignore_errors=True)

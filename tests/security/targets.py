"""What is attacked: our own sandbox on either runtime, and a peer in an environment of its own."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from polyport_sandbox import Limits, RunResult, SyncSandbox
from tests.support.dockerd import Daemon

from .case import CoarseResult, Place

__all__ = ["OursTarget", "PeerTarget", "ours", "peer"]

WORKER = Path(__file__).with_name("peer_worker.py")
LABEL = "label=io.polyport.sandbox=run"


class _OurPlace:
    """A session of ours as an attack sees it."""

    def __init__(self, session: Any) -> None:
        self.session = session

    def run(self, code: str, *, wall_s: float = 10.0, language: str = "python") -> RunResult:
        result: RunResult = self.session.run(code, language=language, limits=Limits(wall_s=wall_s))
        return result

    def upload(self, files: Mapping[str, bytes]) -> None:
        self.session.upload(dict(files))

    def download(self, name: str) -> bytes:
        content: bytes = self.session.download(name)
        return content


class OursTarget:
    """Our sandbox over one Docker daemon."""

    def __init__(self, box: SyncSandbox, runtime: Literal["runc", "runsc"], socket: str) -> None:
        self.box = box
        self.runtime: Literal["runc", "runsc"] = runtime
        self.socket = socket
        self.name = f"polyport ({runtime})"
        offers = {"files of a run", "limits of a run", "our own parts"}
        if hasattr(box, "open_session"):
            offers |= {"session", "upload", "download", "kernel", "tools", "network"}
        self.offers = frozenset(offers)

    def run(
        self,
        code: str,
        *,
        language: str = "python",
        limits: Limits | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> RunResult:
        return self.box.run(code, language=language, limits=limits, files=files)

    @contextlib.contextmanager
    def place(self) -> Iterator[Place]:
        with self.box.session() as session:
            yield _OurPlace(session)

    def containers(self) -> list[str]:
        command = ["docker", "--host", f"unix://{self.socket}", "ps", "-q", "--no-trunc", "--filter", LABEL]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split()

    def container_of(self, uid: int) -> str | None:
        """The running container whose code has this user id, which no other has."""
        users = ["docker", "--host", f"unix://{self.socket}", "inspect", "--format", "{{.Id}} {{.Config.User}}"]
        # One may be removed between the two questions.
        told = subprocess.run([*users, *self.containers()], capture_output=True, text=True, timeout=60, check=False)
        found = [line.split()[0] for line in told.stdout.splitlines() if line.endswith(f" {uid}:{uid}")]
        return found[0] if found else None


@contextlib.contextmanager
def ours(socket: str, runtime: Literal["runc", "runsc"] = "runc") -> Iterator[OursTarget]:
    """Open our sandbox for an attack."""
    gvisor = "require" if runtime == "runsc" else "never"
    with SyncSandbox("docker", socket=socket, pool_size=2, max_running=4, gvisor=gvisor) as box:
        yield OursTarget(box, runtime, socket)


class PeerTarget:
    """`llm-sandbox` with its defaults, in a process of its own and containers of a daemon with an outer limit."""

    def __init__(self, worker: subprocess.Popen[str], daemon: Daemon) -> None:
        self._worker = worker
        self._daemon = daemon
        self.runtime: Literal["runc", "runsc"] = "runc"
        self.name = "llm-sandbox"
        self.offers = frozenset({"session", "upload", "download"})

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self._worker.stdin is not None
        assert self._worker.stdout is not None
        self._worker.stdin.write(json.dumps(request) + "\n")
        self._worker.stdin.flush()
        line = self._worker.stdout.readline()
        if not line:
            raise AssertionError("BREACH: the host's own process ended")
        answer: dict[str, Any] = json.loads(line)
        if "failure" in answer:
            raise RuntimeError(answer["failure"])
        return answer

    def run(
        self,
        code: str,
        *,
        language: str = "python",
        limits: Limits | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> RunResult:
        assert not files, "an attack with files of a run needs a target that offers them"
        return self._result(self.ask(do="run", code=_as_python(code, language), wall_s=(limits or Limits()).wall_s))

    @staticmethod
    def _result(answer: Mapping[str, Any]) -> CoarseResult:
        return CoarseResult(
            answer["status"],
            exit_code=answer["exit_code"],
            stdout=base64.b64decode(answer["stdout"]),
            stderr=base64.b64decode(answer["stderr"]),
            detail=answer["detail"],
            written=answer["written"],
        )

    @contextlib.contextmanager
    def place(self) -> Iterator[Place]:
        self.ask(do="open")
        try:
            yield _PeerPlace(self)
        finally:
            self.ask(do="close")

    def containers(self) -> list[str]:
        return self._daemon.docker("ps", "-q", "--no-trunc").split()


class _PeerPlace:
    def __init__(self, target: PeerTarget) -> None:
        self._target = target

    def run(self, code: str, *, wall_s: float = 10.0, language: str = "python") -> RunResult:
        answer = self._target.ask(do="run_in_session", code=_as_python(code, language), wall_s=wall_s)
        return PeerTarget._result(answer)

    def upload(self, files: Mapping[str, bytes]) -> None:
        for name, content in files.items():
            self._target.ask(do="upload", name=name, content=base64.b64encode(content).decode())

    def download(self, name: str) -> bytes:
        return base64.b64decode(self._target.ask(do="download", name=name)["content"])


def _as_python(code: str, language: str) -> str:
    """The peer runs no shell scripts: hand bash its script from Python, in the same process."""
    if language == "python":
        return code
    return f"import os\nopen('/tmp/main.sh', 'w').write({code!r})\nos.execvp('bash', ['bash', '/tmp/main.sh'])"


@contextlib.contextmanager
def peer(python: Path, daemon: Daemon, image: str) -> Iterator[PeerTarget]:
    """Start the peer's worker under its own Python."""
    environment = {"PATH": os.environ["PATH"], "DOCKER_HOST": f"unix://{daemon.socket}", "HOME": "/nonexistent"}
    with subprocess.Popen(
        [str(python), str(WORKER), image],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as worker:
        try:
            yield PeerTarget(worker, daemon)
        finally:
            worker.kill()

"""Drive `llm-sandbox` by JSON lines, in an environment of its own: ``python peer_worker.py IMAGE``.

Its settings are its defaults but for `image` and `skip_environment_setup`, which its documentation gives for images that
have their Python already, and the timeout of each run, which is how its interface asks for one.
"""

from __future__ import annotations

import base64
import json
import os
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

from llm_sandbox import SandboxSession  # type: ignore[import-not-found,unused-ignore]
from llm_sandbox.exceptions import SandboxTimeoutError  # type: ignore[import-not-found,unused-ignore]

SHOWN = 4 << 20
MEMORY = 6 << 30  # so that its reading of endless output ends this process and not the machine


class Worker:
    """Runs one request after another."""

    def __init__(self, image: str) -> None:
        self.image = image
        self.session: Any = None

    def make(self) -> Any:
        """A session with its defaults."""
        return SandboxSession(lang="python", image=self.image, skip_environment_setup=True)

    def open(self) -> dict[str, Any]:
        """Open a session that lasts."""
        self.session = self.make()
        self.session.open()
        return {}

    def close(self) -> dict[str, Any]:
        """Close it."""
        session, self.session = self.session, None
        end(session)
        return {}

    def run(self, code: str, wall_s: float) -> dict[str, Any]:
        """Run once in a session of its own."""
        session = self.make()
        session.open()
        try:
            return told(session, code, wall_s)
        finally:
            end(session)

    def run_in_session(self, code: str, wall_s: float) -> dict[str, Any]:
        """Run in the open session."""
        return told(self.session, code, wall_s)

    def upload(self, name: str, content: str) -> dict[str, Any]:
        """Copy a file in."""
        with tempfile.NamedTemporaryFile() as source:
            source.write(base64.b64decode(content))
            source.flush()
            self.session.copy_to_runtime(source.name, f"/sandbox/{name}")
        return {}

    def download(self, name: str) -> dict[str, Any]:
        """Copy a file out."""
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder, "out")
            self.session.copy_from_runtime(f"/sandbox/{name}", str(out))
            return {"content": base64.b64encode(out.read_bytes()).decode()}


def end(session: Any) -> None:
    """Close a session; its container is stopped as it does by default, but without the ten seconds' grace."""
    if getattr(session, "container", None) is not None:
        try:
            session.container.kill()
        except Exception as error:
            print(f"killing the container: {error}", file=sys.stderr)
    session.close()


def told(session: Any, code: str, wall_s: float) -> dict[str, Any]:
    """Run and say what came of it."""
    status, exit_code, out, err, detail = "error", None, "", "", None
    try:
        result = session.run(code, timeout=wall_s)
        status, exit_code, out, err = (
            ("ok" if result.exit_code == 0 else "error"),
            result.exit_code,
            result.stdout,
            result.stderr,
        )
    except SandboxTimeoutError:
        status = "timeout"
    except Exception as error:
        detail = f"{type(error).__name__}: {error}"[:300]
    stdout = out.encode("utf-8", "surrogateescape")
    return {
        "status": status,
        "exit_code": exit_code,
        "stdout": base64.b64encode(stdout[:SHOWN]).decode(),
        "stderr": base64.b64encode(err.encode("utf-8", "surrogateescape")[:SHOWN]).decode(),
        "written": len(stdout),
        "detail": detail,
    }


def main() -> None:
    """Answer until stdin ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    worker = Worker(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the library prints must not mix with the answers
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(worker, request.pop("do"))(**request)
        except Exception as error:
            answer = {"failure": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()

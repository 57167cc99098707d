"""A load generator: keep-alive HTTP/1.1 over raw asyncio connections, in a process of its own.

Each connection sends its request again as soon as the whole answer is here. It costs a fraction of what an HTTP
client does, so that what is measured is the server.

    generate(Target("127.0.0.1", 8400), [request] * 16, seconds=5)
"""

from __future__ import annotations

import asyncio
import base64
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

__all__ = ["Load", "Target", "generate", "post"]

ROOT = Path(__file__).resolve().parents[2]
END = b"\r\n\r\n"


@dataclass(frozen=True)
class Target:
    """Where to connect."""

    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Target:
        """Read it from a URL."""
        parts = urlsplit(url)
        return cls(parts.hostname or "127.0.0.1", parts.port or 80)


@dataclass(frozen=True)
class Load:
    """What one run measured; latencies in milliseconds.

    Attributes:
        errors: Answers whose status was not 200, and connections that broke.
    """

    requests: int
    errors: int
    seconds: float
    per_second: float
    median_ms: float
    p95_ms: float
    p99_ms: float


def post(path: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """Return the bytes of a POST request with a JSON body."""
    fields = {"Host": "127.0.0.1", "Content-Type": "application/json", "Content-Length": str(len(body))}
    fields.update(headers or {})
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def generate(
    target: Target, requests: Sequence[bytes], *, seconds: float | None = None, count: int | None = None
) -> Load:
    """Run the load in a process of its own.

    Args:
        target: Whom to ask.
        requests: What each connection sends; as many connections as there are requests.
        seconds: How long; or
        count: How many answers in all.
    """
    spec = {
        **asdict(target),
        "requests": [base64.b64encode(request).decode() for request in requests],
        "seconds": seconds,
        "count": count,
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.load"],
        input=json.dumps(spec).encode(),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    return Load(**json.loads(done.stdout))


class _Run:
    def __init__(self, seconds: float | None, count: int | None) -> None:
        self.started = time.perf_counter()
        self.stop_at = self.started + seconds if seconds is not None else float("inf")
        self.left = count if count is not None else sys.maxsize
        self.latencies: list[float] = []
        self.errors = 0

    def take(self) -> bool:
        """Whether another request may go out."""
        if self.left <= 0 or time.perf_counter() >= self.stop_at:
            return False
        self.left -= 1
        return True

    def summary(self) -> Load:
        seconds = time.perf_counter() - self.started
        ordered = sorted(self.latencies) or [0.0]
        return Load(
            requests=len(self.latencies),
            errors=self.errors,
            seconds=seconds,
            per_second=len(self.latencies) / seconds,
            median_ms=statistics.median(ordered) * 1000,
            p95_ms=ordered[int(len(ordered) * 0.95)] * 1000,
            p99_ms=ordered[int(len(ordered) * 0.99)] * 1000,
        )


class _Connection(asyncio.Protocol):
    """One connection: send, read one whole answer, send again."""

    def __init__(self, run: _Run, request: bytes) -> None:
        self.run = run
        self.request = request
        self.buffer = bytearray()
        self.body_at = -1
        self.length = -1
        self.sent_at = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.run.errors += 1
            self.done.set_result(None)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.body_at < 0 and not self._read_head():
            return
        if self.length >= 0:
            whole = len(self.buffer) >= self.body_at + self.length
        else:
            # Chunked: one answer at a time is under way, so the last chunk is where the buffer ends.
            whole = self.buffer.endswith(b"0\r\n\r\n") and len(self.buffer) > self.body_at
        if whole:
            self._finish()

    def _read_head(self) -> bool:
        end = self.buffer.find(END)
        if end < 0:
            return False
        head = bytes(self.buffer[:end]).lower()
        self.body_at = end + len(END)
        at = head.find(b"\r\ncontent-length:")
        self.length = int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else -1
        return True

    def _finish(self) -> None:
        self.run.latencies.append(time.perf_counter() - self.sent_at)
        if not self.buffer.startswith(b"HTTP/1.1 200"):
            self.run.errors += 1
        self._send()

    def _send(self) -> None:
        self.buffer.clear()
        self.body_at = -1
        if self.run.take():
            self.sent_at = time.perf_counter()
            self.transport.write(self.request)
        else:
            self.done.set_result(None)
            self.transport.close()


async def _main(host: str, port: int, requests: Sequence[bytes], seconds: float | None, count: int | None) -> Load:
    run = _Run(seconds, count)
    loop = asyncio.get_running_loop()
    connections = []
    for request in requests:
        _, connection = await loop.create_connection(lambda request=request: _Connection(run, request), host, port)
        connections.append(connection)
    async with asyncio.timeout(None if seconds is None else seconds + 60):
        await asyncio.gather(*(connection.done for connection in connections))
    return run.summary()


if __name__ == "__main__":
    import uvloop

    spec = json.load(sys.stdin)
    spec["requests"] = [base64.b64decode(request) for request in spec["requests"]]
    print(json.dumps(asdict(uvloop.run(_main(**spec)))))

"""A Docker daemon's socket that gives the answers a test writes down, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VERSION = {"Version": "20.10.24", "ApiVersion": "1.41"}
INFO: dict[str, Any] = {
    "SecurityOptions": ["name=seccomp,profile=default"],
    "MemoryLimit": True, "PidsLimit": True, "CpuCfsQuota": True, "SwapLimit": True, "CgroupVersion": "2",
    "Runtimes": {"runc": {}},
}  # fmt: skip
FIT = {"/version": VERSION, "/info": INFO, "/json": {"Id": "1"}, "/containers/json": []}


@dataclass
class FakeDocker:
    """Answers by a path's end, or by ``"METHOD end"``: a value as JSON, bytes as they are, an int a refusal."""

    answers: dict[str, Any]
    asked: list[str] = field(default_factory=list)
    bodies: dict[str, bytes] = field(default_factory=dict)

    def _answer(self, method: str, path: str) -> tuple[str, bytes]:
        bare = path.partition("?")[0]
        best = max(
            (key for key in self.answers if f"{method} {bare}".endswith(key) or _fits(key, method, bare)),
            key=len,
            default=None,
        )
        answer = None if best is None else self.answers[best]
        if answer is None:
            return "404 Not Found", b'{"message": "No such image"}'
        if isinstance(answer, int) and not isinstance(answer, bool):
            return f"{answer} Refused", b'{"message": "refused by the test"}'
        return "200 OK", answer if isinstance(answer, bytes) else json.dumps(answer).encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, path = head.split()[:2]
        self.asked.append(f"{method} {path}")
        self.bodies[f"{method} {path.partition('?')[0]}"] = await _body(head.lower(), reader)
        status, body = self._answer(method, path)
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()


def _fits(key: str, method: str, path: str) -> bool:
    wanted, _, end = key.partition(" ")
    return bool(end) and wanted == method and path.endswith(end)


async def _body(head: str, reader: asyncio.StreamReader) -> bytes:
    if "transfer-encoding: chunked" in head:
        parts = []
        while count := int(await reader.readline(), 16):
            parts.append(await reader.readexactly(count))
            await reader.readline()
        await reader.readline()
        return b"".join(parts)
    lengths = [line.split(":")[1] for line in head.splitlines() if line.startswith("content-length:")]
    return await reader.readexactly(int(lengths[0])) if lengths else b""


@asynccontextmanager
async def daemon(folder: Path, answers: dict[str, Any]) -> AsyncIterator[tuple[str, FakeDocker]]:
    """Serve on a socket in `folder`; give its path and the daemon."""
    fake = FakeDocker(answers)
    socket = str(folder / "d.sock")
    async with await asyncio.start_unix_server(fake.serve, socket):
        yield socket, fake

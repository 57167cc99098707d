"""The host's end of what `supervisor` speaks: requests down, frames up, each from a peer that is not trusted."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from polyport_sandbox.types import LANGUAGES, Language, Limits, RunRequest, SessionRequest

__all__ = [
    "DockerStreams",
    "Frame",
    "FrameReader",
    "Openings",
    "ProtocolError",
    "encode_cell",
    "encode_job",
    "encode_request",
    "encode_session",
    "encode_upload",
    "parse_json",
]

HEADER = struct.Struct(">Ic16s")
MAX_FRAME = 1 << 20
STDERR_KEPT = 2000


class ProtocolError(Exception):
    """What came up is not what our supervisor sends: it failed, or something else spoke."""


@dataclass(frozen=True)
class Frame:
    """One report of the supervisor."""

    kind: bytes
    nonce: bytes
    payload: bytes


def encode_request(operation: str, fields: Mapping[str, Any], *contents: bytes) -> bytes:
    """Write one request as the supervisor reads it."""
    header = json.dumps({**fields, "op": operation, "bytes": sum(map(len, contents))}).encode()
    return b"".join([struct.pack(">I", len(header)), header, *contents])


def _kernel(language: Language, *, session: bool) -> str | None:
    """Which kernel runs a language; None where its command does."""
    if language == LANGUAGES["python"]:
        return "python"
    return "javascript" if session and language == LANGUAGES["javascript"] else None


def _limits(limits: Limits) -> dict[str, Any]:
    return {
        "wall_s": limits.wall_s,
        "output_bytes": limits.output_bytes,
        "displays": limits.displays,
        "display_bytes": limits.display_bytes,
    }


def _sizes(files: Mapping[str, bytes]) -> list[tuple[str, int]]:
    return [(name, len(content)) for name, content in files.items()]


@dataclass(frozen=True)
class Openings:
    """What leads out of a container.

    Args:
        listen: The kinds of channels the code can open: ``"proxy"``, ``"tools"``.
        env: Variables that tell programs of them.
        tools: The source of the module that calls the tools.
    """

    listen: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    tools: str | None = None

    def header(self, nonce: bytes) -> dict[str, Any]:
        """What the first request says of them."""
        return {"nonce": nonce.hex(), "listen": list(self.listen), "env": dict(self.env), "tools": self.tools}


def encode_job(request: RunRequest, nonce: bytes, openings: Openings = Openings()) -> bytes:
    """Write a job for a container of its own."""
    files = {request.language.filename: request.code, **request.files}
    fields = {
        **openings.header(nonce),
        "kernel": _kernel(request.language, session=False),
        "command": list(request.language.command),
        "file": request.language.filename,
        "max_files": request.limits.output_files,
        "max_file_bytes": request.limits.output_file_bytes,
        "files": _sizes(files),
        "stdin_bytes": len(request.stdin),
        **_limits(request.limits),
    }
    return encode_request("once", fields, *files.values(), request.stdin)


def encode_session(request: SessionRequest, nonce: bytes, openings: Openings = Openings()) -> bytes:
    """Write the beginning of a session."""
    fields = {**openings.header(nonce), "files": _sizes(request.files)}
    return encode_request("session", fields, *request.files.values())


def encode_cell(request: RunRequest) -> bytes:
    """Write one cell of a session."""
    fields = {
        "kernel": _kernel(request.language, session=True),
        "context": request.context,
        "command": list(request.language.command),
        "file": request.language.filename,
        "code_bytes": len(request.code),
        "files": _sizes(request.files),
        "stdin_bytes": len(request.stdin),
        **_limits(request.limits),
    }
    return encode_request("cell", fields, request.code, *request.files.values(), request.stdin)


def encode_upload(files: Mapping[str, bytes]) -> bytes:
    """Write files for a session."""
    return encode_request("upload", {"files": _sizes(files)}, *files.values())


class DockerStreams:
    """Take apart what Docker's attach interleaves: stdout is returned, the end of stderr is kept."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.stderr = bytearray()

    def feed(self, data: bytes) -> bytes:
        """Add bytes from the connection; return the container's stdout among them."""
        self._buffer += data
        out = bytearray()
        while len(self._buffer) >= 8:
            size = int.from_bytes(self._buffer[4:8], "big")
            if len(self._buffer) < 8 + size:
                break
            payload = self._buffer[8 : 8 + size]
            if self._buffer[0] == 1:
                out += payload
            elif self._buffer[0] == 2:
                self.stderr = (self.stderr + payload)[-STDERR_KEPT:]
            else:
                raise ProtocolError(f"Docker sent a stream of unknown number {self._buffer[0]}")
            del self._buffer[: 8 + size]
        return bytes(out)


class FrameReader:
    """Cut the container's stdout into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Add bytes; yield the frames that are whole by now."""
        self._buffer += data
        while len(self._buffer) >= HEADER.size:
            size, kind, nonce = HEADER.unpack_from(self._buffer)
            if size > MAX_FRAME:
                raise ProtocolError(f"a frame claims {size} bytes")
            end = HEADER.size + size
            if len(self._buffer) < end:
                return
            frame = Frame(kind, nonce, bytes(self._buffer[HEADER.size : end]))
            del self._buffer[:end]  # before the yield: a reader may stop at this frame and go on later
            yield frame


def parse_json(payload: bytes, kind: type) -> Any:
    """Read a payload that must be JSON of one kind.

    Raises:
        ProtocolError: If it is not.
    """
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("a frame that is not JSON") from error
    if not isinstance(value, kind):
        raise ProtocolError(f"a frame that is not a {kind.__name__}")
    return value

"""The host's end of what `supervisor` speaks: a job down, frames up, each from a peer that is not trusted."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .files import name_problem
from .types import Limits, RunRequest, RunResult, SkippedFile, Status, Usage

__all__ = ["Collector", "DockerStreams", "Frame", "FrameReader", "ProtocolError", "encode_job"]

HEADER = struct.Struct(">Ic16s")
MAX_FRAME = 1 << 20
STDERR_KEPT = 2000
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/work",
    "TMPDIR": "/tmp",  # noqa: S108 - inside the container, a tmpfs of its own
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
}
_STATUSES: dict[str, Status] = {
    "ok": "ok",
    "error": "error",
    "timeout": "timeout",
    "out_of_memory": "out_of_memory",
    "output_limit": "output_limit",
    "killed": "killed",
}


class ProtocolError(Exception):
    """What came up is not what our supervisor sends: it failed, or something else spoke."""


@dataclass(frozen=True)
class Frame:
    """One report of the supervisor."""

    kind: bytes
    nonce: bytes
    payload: bytes


def encode_job(request: RunRequest, nonce: bytes) -> bytes:
    """Write a job as the supervisor reads it."""
    files = {request.language.filename: request.code, **request.files}
    limits = request.limits
    header = json.dumps(
        {
            "nonce": nonce.hex(),
            "command": list(request.language.command),
            "env": ENVIRONMENT,
            "wall_s": limits.wall_s,
            "output_bytes": limits.output_bytes,
            "max_files": limits.output_files,
            "max_file_bytes": limits.output_file_bytes,
            "files": [[name, len(content)] for name, content in files.items()],
            "stdin_bytes": len(request.stdin),
        }
    ).encode()
    return b"".join([struct.pack(">I", len(header)), header, *files.values(), request.stdin])


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


@dataclass
class Collector:
    """Put one run's frames together, holding them to its nonce, its order and its limits."""

    nonce: bytes
    limits: Limits
    started: bool = False
    done: dict[str, Any] | None = None
    _output: dict[bytes, bytearray] = field(default_factory=lambda: {b"O": bytearray(), b"E": bytearray()})
    _files: dict[str, bytearray] = field(default_factory=dict)
    _current: tuple[str, int] | None = None
    _file_bytes: int = 0

    def add(self, frame: Frame) -> None:
        """Take one frame.

        Raises:
            ProtocolError: If our supervisor would not have sent it.
        """
        if frame.nonce != self.nonce:
            raise ProtocolError("a frame without the run's nonce")
        if frame.kind == b"X":
            raise ProtocolError(f"the job could not be set up: {frame.payload[:300].decode(errors='replace')}")
        if frame.kind == b"S":
            if self.started:
                raise ProtocolError("a second start")
            self.started = True
            return
        if not self.started or self.done is not None:
            raise ProtocolError(f"a frame {frame.kind!r} out of order")
        if frame.kind in self._output:
            self._add_output(frame)
        elif frame.kind == b"F":
            self._open_file(frame.payload)
        elif frame.kind == b"B":
            self._add_content(frame.payload)
        elif frame.kind == b"D":
            self._check_file_whole()
            self.done = _json(frame.payload, dict)
        else:
            raise ProtocolError(f"a frame of unknown kind {frame.kind!r}")

    def _add_output(self, frame: Frame) -> None:
        kept = self._output[frame.kind]
        if len(kept) + len(frame.payload) > self.limits.output_bytes:
            raise ProtocolError("more output than the limit")
        kept += frame.payload

    def _check_file_whole(self) -> None:
        if self._current is not None and len(self._files[self._current[0]]) != self._current[1]:
            raise ProtocolError("a file shorter than its size")

    def _open_file(self, payload: bytes) -> None:
        self._check_file_whole()
        name, size = _pair(_json(payload, list))
        if name in self._files or len(self._files) >= self.limits.output_files:
            raise ProtocolError("too many files, or one twice")
        self._file_bytes += size
        if size < 0 or self._file_bytes > self.limits.output_file_bytes:
            raise ProtocolError("more bytes in files than the limit")
        self._files[name] = bytearray()
        self._current = (name, size)

    def _add_content(self, payload: bytes) -> None:
        if self._current is None:
            raise ProtocolError("content before its file")
        name, size = self._current
        if len(self._files[name]) + len(payload) > size:
            raise ProtocolError("a file longer than its size")
        self._files[name] += payload

    def partial(self, status: Status, detail: str | None = None, *, usage: Usage | None = None) -> RunResult:
        """Return what is known of a run whose end never came."""
        return RunResult(
            status,
            stdout=bytes(self._output[b"O"]),
            stderr=bytes(self._output[b"E"]),
            detail=detail,
            usage=usage or Usage(),
        )

    def result(self, queued_s: float) -> RunResult:
        """Return the result, once the run is done.

        Raises:
            ProtocolError: If the report is not of the agreed shape.
        """
        done = self.done or {}
        try:
            usage, peak = done["usage"], done["usage"]["peak_memory_bytes"]
            exit_code = done["exit_code"]
            skipped = [SkippedFile(str(name)[:256], str(reason)[:100]) for name, reason in done["skipped"][:64]]
            kept: dict[str, bytes] = {}
            for name, content in self._files.items():
                # A name that could not go in does not come out either: whoever writes it to a disk is safe.
                problem = name_problem(name)
                if problem is None:
                    kept[name] = bytes(content)
                else:
                    skipped.append(SkippedFile(name[:256], f"its name {problem}"))
            return RunResult(
                _STATUSES[done["status"]],
                exit_code=None if exit_code is None else int(exit_code),
                stdout=bytes(self._output[b"O"]),
                stderr=bytes(self._output[b"E"]),
                files=kept,
                skipped_files=tuple(skipped),
                stdout_truncated="O" in done["truncated"],
                stderr_truncated="E" in done["truncated"],
                usage=Usage(
                    cpu_s=float(usage["cpu_s"]),
                    peak_memory_mb=None if peak is None else int(peak) / (1 << 20),
                    wall_s=float(usage["wall_s"]),
                    queued_s=queued_s,
                ),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ProtocolError(f"a report of the wrong shape: {error!r}") from error


def _json(payload: bytes, kind: type) -> Any:
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("a frame that is not JSON") from error
    if not isinstance(value, kind):
        raise ProtocolError(f"a frame that is not a {kind.__name__}")
    return value


def _pair(value: list[Any]) -> tuple[str, int]:
    if len(value) != 2 or not isinstance(value[0], str) or type(value[1]) is not int:
        raise ProtocolError("a file without name and size")
    return value[0], value[1]

"""Put one run's frames together, and say of each what happened, holding them to their order and limits."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from polyport_sandbox.files import name_problem
from polyport_sandbox.types import (
    CodeError,
    Display,
    DisplayEvent,
    ErrorEvent,
    Limits,
    OutputEvent,
    RunEvent,
    RunResult,
    SkippedFile,
    Status,
    Usage,
)

from .protocol import Frame, ProtocolError, parse_json

__all__ = ["Collector"]

MAX_ERROR = 1 << 18
MAX_DEPTH = 32
_MIME = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,63}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,63}")
_STATUSES: dict[str, Status] = {
    "ok": "ok",
    "error": "error",
    "timeout": "timeout",
    "out_of_memory": "out_of_memory",
    "output_limit": "output_limit",
    "killed": "killed",
}


@dataclass
class Collector:
    """Collect one run or cell."""

    nonce: bytes
    limits: Limits
    started: bool = False
    done: dict[str, Any] | None = None
    displays: list[Display] = field(default_factory=list)
    error: CodeError | None = None
    _output: dict[bytes, bytearray] = field(default_factory=lambda: {b"O": bytearray(), b"E": bytearray()})
    _files: dict[str, bytearray] = field(default_factory=dict)
    _current: tuple[str, int] | None = None
    _file_bytes: int = 0
    _parts: dict[bytes, bytearray] = field(default_factory=lambda: {b"V": bytearray(), b"T": bytearray()})
    _display_bytes: int = 0
    _display_count: int = 0

    def add(self, frame: Frame) -> RunEvent | None:
        """Take one frame; return what it tells the reader of a stream.

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
            return None
        if self.done is not None or not (self.started or frame.kind == b"D"):
            raise ProtocolError(f"a frame {frame.kind!r} out of order")
        if frame.kind in self._output:
            return self._add_output(frame)
        if frame.kind in self._parts:
            return self._add_part(frame)
        if frame.kind == b"F":
            self._open_file(frame.payload)
        elif frame.kind == b"B":
            self._add_content(frame.payload)
        elif frame.kind == b"D":
            self._check_file_whole()
            self.done = parse_json(frame.payload, dict)
        else:
            raise ProtocolError(f"a frame of unknown kind {frame.kind!r}")
        return None

    def _add_output(self, frame: Frame) -> RunEvent:
        kept = self._output[frame.kind]
        if len(kept) + len(frame.payload) > self.limits.output_bytes:
            raise ProtocolError("more output than the limit")
        kept += frame.payload
        return OutputEvent("stdout" if frame.kind == b"O" else "stderr", frame.payload)

    def _add_part(self, frame: Frame) -> RunEvent | None:
        """Add a part of a display or of the error; both come from the code itself and are checked as such."""
        parts, more, part = self._parts[frame.kind], frame.payload[:1], frame.payload[1:]
        if more not in (b"\0", b"\1"):
            raise ProtocolError("a part that is neither the last nor another")
        parts += part
        if frame.kind == b"V":
            self._display_bytes += len(part)
            if self._display_bytes > self.limits.display_bytes:
                raise ProtocolError("more bytes in displays than the limit")
        elif len(parts) > MAX_ERROR:
            raise ProtocolError("an error longer than the limit")
        if more == b"\1":
            return None
        whole = bytes(parts)
        parts.clear()
        return self._add_display(whole) if frame.kind == b"V" else self._add_error(whole)

    def _add_display(self, payload: bytes) -> RunEvent | None:
        self._display_count += 1
        if self._display_count > self.limits.displays:
            raise ProtocolError("more displays than the limit")
        display = _display(payload)
        if display is None:
            return None
        self.displays.append(display)
        return DisplayEvent("result" if display.is_result else "display", display)

    def _add_error(self, payload: bytes) -> RunEvent | None:
        if self.error is not None:
            raise ProtocolError("a second error")
        told = _untrusted(payload)
        words = [told.get(name) for name in ("name", "value", "traceback")] if isinstance(told, dict) else []
        if not words or not all(isinstance(word, str) for word in words):
            return None
        self.error = CodeError(*map(str, words))
        return ErrorEvent(self.error)

    def _check_file_whole(self) -> None:
        if self._current is not None and len(self._files[self._current[0]]) != self._current[1]:
            raise ProtocolError("a file shorter than its size")

    def _open_file(self, payload: bytes) -> None:
        self._check_file_whole()
        name, size = _pair(parse_json(payload, list))
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
            displays=tuple(self.displays),
            error=self.error,
        )

    def result(self, queued_s: float) -> RunResult:
        """Return the result, once the run is done.

        Raises:
            ProtocolError: If the report is not of the agreed shape.
        """
        done = self.done or {}
        try:
            usage, peak = done["usage"], done["usage"]["peak_memory_bytes"]
            exit_code, detail = done["exit_code"], done.get("detail")
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
                detail=None if detail is None else str(detail)[:500],
                displays=tuple(self.displays),
                error=self.error,
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ProtocolError(f"a report of the wrong shape: {error!r}") from error


def _untrusted(payload: bytes) -> Any:
    """Read JSON that the code itself may have written; None if it is none that can be handed on."""
    try:
        value = json.loads(payload, parse_constant=lambda _: None)
        return _clean(value, 0)
    except (ValueError, RecursionError):
        return None


def _clean(value: Any, depth: int) -> Any:
    """Replace what could not be written down again: lone surrogates, and nesting without end."""
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_clean(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {_clean(name, depth + 1): _clean(item, depth + 1) for name, item in value.items()}
    return value


def _display(payload: bytes) -> Display | None:
    """Read a display; one that is of no sense is none."""
    told = _untrusted(payload)
    if not isinstance(told, dict) or not isinstance(told.get("data"), dict):
        return None
    data = {
        mime: content
        for mime, content in told["data"].items()
        if _MIME.fullmatch(mime) and (isinstance(content, str) or mime.endswith("json"))
    }
    about = told.get("metadata")
    metadata = about if isinstance(about, dict) else {}
    return Display(data, metadata, is_result=told.get("is_result") is True) if data else None


def _pair(value: list[Any]) -> tuple[str, int]:
    if len(value) != 2 or not isinstance(value[0], str) or type(value[1]) is not int:
        raise ProtocolError("a file without name and size")
    return value[0], value[1]

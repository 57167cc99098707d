"""The sandbox without IO: what is asked, and its stream as events."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from urllib.parse import quote, urlencode

from pydantic import ValidationError

from polyport.client.decoding import mid_stream
from polyport.client.exchange import Request
from polyport.client.requests import checked_name, encoded, loads, path_of
from polyport.client.sse import SSEDecoder
from polyport.errors import APIConnectionError, BadRequestError, UpstreamError
from polyport.types.sandbox import (
    CodeDisplay,
    CodeFailure,
    CodeLimits,
    CodeResult,
    SandboxDeleted,
    SandboxFile,
    SandboxFileList,
    SandboxInterrupted,
    SandboxRestarted,
    SandboxSession,
    SandboxSessionList,
)

__all__ = [
    "CodeDecoder",
    "CodeEvent",
    "Files",
    "FilesFound",
    "Limits",
    "SessionsFound",
    "close_session",
    "delete_file",
    "download",
    "file_items",
    "get_session",
    "interrupt",
    "list_files",
    "list_sessions",
    "open_session",
    "restart",
    "run",
    "upload",
]

Files: TypeAlias = Mapping[str, bytes | str]
"""Content by relative name; text is written as UTF-8."""
Limits: TypeAlias = CodeLimits | Mapping[str, float]
FilesFound: TypeAlias = list[SandboxFile]
SessionsFound: TypeAlias = list[SandboxSession]

_EVENTS = {"accept": "text/event-stream"}


@dataclass(frozen=True, slots=True)
class CodeEvent:
    """Something that running code gave.

    Attributes:
        type: ``stdout`` and ``stderr`` have `text` and `data`, ``display`` and ``result`` a `display`, ``error`` an
            uncaught exception in `error`, and ``end``, always the last, the whole `result`.
        text: What it wrote; bytes that are not UTF-8 become U+FFFD.
        data: The same, exactly.
        display: A rich result.
        error: An exception that the code did not catch.
        result: What came of the run.
    """

    type: Literal["stdout", "stderr", "display", "result", "error", "end"]
    text: str = ""
    data: bytes = b""
    display: CodeDisplay | None = None
    error: CodeFailure | None = None
    result: CodeResult | None = None


def run(
    code: str | bytes,
    *,
    session: str | None = None,
    language: str = "python",
    files: Files | None = None,
    stdin: bytes | str = b"",
    limits: Limits | None = None,
    allow_hosts: Iterable[str] = (),
    context: str | None = None,
    stream: bool = False,
) -> Request[CodeResult]:
    """Run code, in a session or in a place of its own."""
    body: dict[str, Any] = {"language": language, **_program(code)}
    hosts = list(allow_hosts)
    optional = {
        "files": _files(files),
        "stdin": _base64(stdin, "stdin"),
        "limits": _limits(limits),
        "allow_hosts": hosts,
        "context": context,
        "stream": stream,
    }
    body |= {name: value for name, value in optional.items() if value}
    path = path_of("sandbox", "run") if session is None else _session_path(session, "run")
    return Request(
        "POST",
        path,
        CodeResult.model_validate_json,
        body=encoded(body),
        safe=False,
        headers=_EVENTS if stream else {},
    )


def open_session(
    *,
    limits: Limits | None = None,
    files: Files | None = None,
    allow_hosts: Iterable[str] = (),
    idle_s: float | None = None,
    lifetime_s: float | None = None,
    name: str | None = None,
) -> Request[SandboxSession]:
    """Open a session."""
    optional = {
        "limits": _limits(limits),
        "files": _files(files),
        "allow_hosts": list(allow_hosts),
        "idle_s": idle_s,
        "lifetime_s": lifetime_s,
        "name": name,
    }
    body = {key: value for key, value in optional.items() if value is not None and value != [] and value != {}}
    return Request("POST", path_of("sandbox", "sessions"), SandboxSession.model_validate_json, body=encoded(body),
                   safe=False)  # fmt: skip


def list_sessions() -> Request[SessionsFound]:
    """Ask for the caller's sessions."""
    return Request(
        "GET", path_of("sandbox", "sessions"), lambda body: SandboxSessionList.model_validate_json(body).data
    )


def get_session(session: str) -> Request[SandboxSession]:
    """Ask for one of them."""
    return Request("GET", _session_path(session), SandboxSession.model_validate_json)


def close_session(session: str) -> Request[SandboxDeleted]:
    """Close one."""
    return Request("DELETE", _session_path(session), SandboxDeleted.model_validate_json)


def interrupt(session: str) -> Request[SandboxInterrupted]:
    """End what runs in one."""
    return Request("POST", _session_path(session, "interrupt"), SandboxInterrupted.model_validate_json, body=b"{}")


def restart(session: str, context: str | None) -> Request[SandboxRestarted]:
    """Start its kernels anew, or one of them."""
    body = encoded({} if context is None else {"context": context})
    return Request("POST", _session_path(session, "restart"), SandboxRestarted.model_validate_json, body=body)


def list_files(session: str, folder: str) -> Request[FilesFound]:
    """Ask what its working folder holds."""
    query = f"?{urlencode({'folder': folder})}" if folder else ""
    return Request(
        "GET", _session_path(session, "files") + query, lambda body: SandboxFileList.model_validate_json(body).data
    )


def upload(session: str, name: str, content: bytes | str) -> Request[SandboxFile]:
    """Write a file."""
    body = _octets(content, f"the content of file {name!r}")
    headers = {"content-type": "application/octet-stream"}
    return Request("PUT", _file_path(session, name), SandboxFile.model_validate_json, body=body, headers=headers)


def download(session: str, name: str) -> Request[bytes]:
    """Ask for a file's bytes."""
    return Request("GET", _file_path(session, name), bytes)


def delete_file(session: str, name: str) -> Request[SandboxDeleted]:
    """Delete a file, or a folder."""
    return Request("DELETE", _file_path(session, name), SandboxDeleted.model_validate_json)


def _session_path(session: str, *more: str) -> str:
    return path_of("sandbox", "sessions", checked_name(session, "session"), *more)


def _file_path(session: str, name: str) -> str:
    parts = checked_name(name, "file").split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise BadRequestError(f"{name!r} is not the name of a file: it is relative, without empty parts and dots")
    return _session_path(session, "files") + "/" + "/".join(quote(part, safe="") for part in parts)


def _program(code: str | bytes) -> dict[str, str]:
    if isinstance(code, str):
        return {"code": code}
    data = _octets(code, "code")
    try:
        return {"code": data.decode()}
    except UnicodeDecodeError:
        return {"code_base64": _base64(data, "code")}


def _octets(value: bytes | str, what: str) -> bytes:
    if isinstance(value, str):
        return value.encode()
    # bytes() of anything else would make something of it: of a number, as many zeros.
    if not isinstance(value, bytes | bytearray | memoryview):
        raise BadRequestError(f"{what} is {type(value).__name__}; give text or bytes")
    return bytes(value)


def _base64(value: bytes | str, what: str) -> str:
    return base64.b64encode(_octets(value, what)).decode("ascii")


def file_items(files: Files | None) -> list[tuple[str, bytes | str]]:
    """Return names and contents.

    Raises:
        BadRequestError: It is no mapping.
    """
    if files is None:
        return []
    if not isinstance(files, Mapping):
        raise BadRequestError(f'files is {type(files).__name__}; give a dict of content by name: {{"in.csv": b"…"}}')
    return list(files.items())


def _files(files: Files | None) -> dict[str, str]:
    return {name: _base64(content, f"the content of file {name!r}") for name, content in file_items(files)}


def _limits(limits: Limits | None) -> dict[str, Any] | None:
    if limits is None:
        return None
    if isinstance(limits, CodeLimits):
        return limits.model_dump(exclude_none=True)
    if not isinstance(limits, Mapping):
        raise BadRequestError(f'limits is {type(limits).__name__}; give a dict such as {{"wall_s": 5}}')
    return dict(limits)


class CodeDecoder:
    """A run's stream."""

    def __init__(self) -> None:
        self.request_id: str | None = None
        self.result: CodeResult | None = None
        self._sse = SSEDecoder()

    def feed(self, data: bytes) -> list[CodeEvent]:
        """Take a piece and return the events it completes."""
        found: list[CodeEvent] = []
        for event in self._sse.feed(data):
            body = loads(event.data)
            if not isinstance(body, dict):
                raise UpstreamError(f"The stream has an event that is no JSON object: {event.data[:80]!r}")
            if event.event == "error" and isinstance(body.get("error"), dict):
                raise mid_stream(body, request_id=self.request_id)
            try:
                self._take(event.event, body, found)
            except (ValidationError, ValueError, TypeError, KeyError) as error:
                raise UpstreamError(
                    f"The stream has an event {event.event!r} that can't be read: {error}", request_id=self.request_id
                ) from error
        return found

    def _take(self, kind: str, body: dict[str, Any], found: list[CodeEvent]) -> None:
        match kind:
            case "stdout" | "stderr":
                found.append(CodeEvent(kind, text=body["text"], data=base64.b64decode(body["base64"])))
            case "display" | "result":
                found.append(CodeEvent(kind, display=CodeDisplay.model_validate(body)))
            case "error":
                found.append(CodeEvent("error", error=CodeFailure.model_validate(body)))
            case "end":
                self.result = CodeResult.model_validate(body)
                found.append(CodeEvent("end", result=self.result))
            case _:
                pass  # from a newer gateway

    def finish(self) -> None:
        """Take the end."""
        if self.result is None:
            raise APIConnectionError("The stream ended before the run's result", request_id=self.request_id)

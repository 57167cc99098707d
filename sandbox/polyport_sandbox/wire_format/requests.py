"""Requests: read strictly, since an unknown member may be a limit that was misspelt."""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from polyport_sandbox.errors import InvalidRunError
from polyport_sandbox.types import Limits, RunRequest, SessionRequest

from .values import decode, encode, encode_files, finite, short

__all__ = [
    "RunFields",
    "SessionFields",
    "limits_from_json",
    "limits_to_json",
    "run_from_json",
    "run_to_json",
    "session_from_json",
    "session_to_json",
]


@dataclass(frozen=True)
class RunFields:
    """What a request to run says; its language is a name still, and what it leaves out is None."""

    code: bytes
    language: str = "python"
    files: Mapping[str, bytes] = field(default_factory=dict)
    stdin: bytes = b""
    limits: Limits | None = None
    allow_hosts: tuple[str, ...] = ()
    context: str = "default"
    stream: bool = False


@dataclass(frozen=True)
class SessionFields:
    """What a request for a session says; what it leaves out is None."""

    limits: Limits | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    allow_hosts: tuple[str, ...] = ()
    idle_s: float | None = None
    lifetime_s: float | None = None
    name: str | None = None


def run_to_json(request: RunRequest, *, session_limits: Limits | None = None, stream: bool = False) -> dict[str, Any]:
    """Write a run; one in a session names its context, and leaves out what is the session's.

    Args:
        request: The run.
        session_limits: The limits of the session it is in; None for a run that is in none.
        stream: Whether its events are asked for.
    """
    in_session = session_limits is not None
    body: dict[str, Any] = {"language": request.language.name}
    if limits := limits_to_json(request.limits, base=session_limits):
        body["limits"] = limits
    try:
        body["code"] = request.code.decode()
    except UnicodeDecodeError:
        body["code_base64"] = encode(request.code)
    if request.stdin:
        body["stdin"] = encode(request.stdin)
    if request.files:
        body["files"] = encode_files(request.files)
    if in_session:
        body["context"] = request.context
    elif request.allow_hosts:
        body["allow_hosts"] = list(request.allow_hosts)
    if stream:
        body["stream"] = True
    return body


def run_from_json(value: Any, *, in_session: bool = False) -> RunFields:
    """Read a run.

    Raises:
        InvalidRunError: With the member that is wrong, and how.
    """
    known = {"code", "code_base64", "language", "files", "stdin", "limits", "stream"}
    body = _members(value, known | ({"context"} if in_session else {"allow_hosts"}))
    if ("code" in body) == ("code_base64" in body):
        raise InvalidRunError("give the program as 'code', or as 'code_base64' where it is not text", param="code")
    try:
        code = _text(body, "code", "").encode() if "code" in body else _bytes(body, "code_base64")
    except UnicodeEncodeError as error:
        raise InvalidRunError(f"the code is not valid Unicode: {error}", param="code") from error
    stream = body.get("stream", False)
    if not isinstance(stream, bool):
        raise InvalidRunError(f"'stream' is {short(stream)}; it must be true or false", param="stream")
    return RunFields(
        code=code,
        language=_text(body, "language", "python"),
        files=_files(body),
        stdin=_bytes(body, "stdin"),
        limits=limits_from_json(body["limits"]) if body.get("limits") is not None else None,
        allow_hosts=_hosts(body),
        context=_text(body, "context", "default"),
        stream=stream,
    )


def session_to_json(request: SessionRequest, *, idle_s: float | None = None, name: str | None = None) -> dict[str, Any]:
    """Write a request for a session."""
    body: dict[str, Any] = {"lifetime_s": request.lifetime_s}
    if limits := limits_to_json(request.limits):
        body["limits"] = limits
    if request.files:
        body["files"] = encode_files(request.files)
    if request.allow_hosts:
        body["allow_hosts"] = list(request.allow_hosts)
    if idle_s is not None:
        body["idle_s"] = idle_s
    if name is not None:
        body["name"] = name
    return body


def session_from_json(value: Any) -> SessionFields:
    """Read a request for a session.

    Raises:
        InvalidRunError: With the member that is wrong, and how.
    """
    body = _members(value, {"limits", "files", "allow_hosts", "idle_s", "lifetime_s", "name"})
    return SessionFields(
        limits=limits_from_json(body["limits"]) if body.get("limits") is not None else None,
        files=_files(body),
        allow_hosts=_hosts(body),
        idle_s=_seconds(body, "idle_s"),
        lifetime_s=_seconds(body, "lifetime_s"),
        name=_text(body, "name", "") if body.get("name") is not None else None,
    )


def limits_to_json(limits: Limits, *, base: Limits | None = None) -> dict[str, Any]:
    """Write the limits that differ from `base`, or else from the defaults.

    The others are the gateway's own: its maxima may lie below our defaults, and asking for those would be refused.
    """
    usual = asdict(base or Limits())
    return {name: value for name, value in asdict(limits).items() if value != usual[name]}


def limits_from_json(value: Any) -> Limits:
    """Read limits; those left out are as in `Limits`.

    Raises:
        InvalidRunError: For an unknown one, or one out of its range.
    """
    return Limits(**_members(value, {item.name for item in fields(Limits)}, within="limits."))


def _members(value: Any, known: set[str], *, within: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRunError(f"{within[:-1] or 'the request'} is {short(value)}; it must be a JSON object")
    for name in value:
        if name not in known:
            raise InvalidRunError(
                f"unknown member {short(f'{within}{name}')}; known are {', '.join(sorted(known))}",
                param=f"{within}{name}"[:80],
            )
    return value


def _text(body: Mapping[str, Any], name: str, default: str) -> str:
    value = body.get(name, default)
    if not isinstance(value, str):
        raise InvalidRunError(f"{name!r} is {short(value)}; it must be text", param=name)
    return value


def _bytes(body: Mapping[str, Any], name: str) -> bytes:
    try:
        return decode(body.get(name, ""))
    except (TypeError, ValueError, binascii.Error) as error:
        raise InvalidRunError(f"{name!r} must be base64: {error}", param=name) from error


def _files(body: Mapping[str, Any]) -> dict[str, bytes]:
    files = body.get("files", {})
    if not isinstance(files, dict):
        raise InvalidRunError(f"'files' is {short(files)}; it must map each name to base64", param="files")
    read = {}
    for name, content in files.items():
        try:
            read[name] = decode(content)
        except (TypeError, ValueError, binascii.Error) as error:
            raise InvalidRunError(f"the file {short(name)} must be base64: {error}", param="files") from error
    return read


def _hosts(body: Mapping[str, Any]) -> tuple[str, ...]:
    hosts = body.get("allow_hosts", [])
    if not isinstance(hosts, list) or not all(isinstance(host, str) for host in hosts):
        raise InvalidRunError(f"'allow_hosts' is {short(hosts)}; it must be a list of host names", param="allow_hosts")
    return tuple(hosts)


def _seconds(body: Mapping[str, Any], name: str) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    try:
        seconds = finite(value)
    except TypeError as error:
        raise InvalidRunError(f"{name!r} is {short(value)}; it must be a number of seconds", param=name) from error
    if seconds <= 0:
        raise InvalidRunError(f"{name!r} is {value}; it must be more than 0", param=name)
    return seconds

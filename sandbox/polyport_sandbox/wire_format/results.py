"""Results, events and files: read leniently, since an unknown member comes from a newer gateway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal, cast, get_args

from polyport_sandbox.errors import InvalidRunError, SandboxError
from polyport_sandbox.files import name_problem
from polyport_sandbox.types import (
    CodeError,
    Display,
    DisplayEvent,
    EndEvent,
    ErrorEvent,
    FileInfo,
    OutputEvent,
    RunEvent,
    RunResult,
    SkippedFile,
    Status,
    Usage,
)

from .values import decode, encode, encode_files, finite, short

__all__ = [
    "event_from_json",
    "event_to_json",
    "file_info_from_json",
    "file_info_to_json",
    "is_failure",
    "result_from_json",
    "result_to_json",
]


def result_to_json(result: RunResult) -> dict[str, Any]:
    """Write a result."""
    return {
        "status": result.status,
        "exit_code": result.exit_code,
        "stdout": result.stdout_text,
        "stdout_base64": encode(result.stdout),
        "stdout_truncated": result.stdout_truncated,
        "stderr": result.stderr_text,
        "stderr_base64": encode(result.stderr),
        "stderr_truncated": result.stderr_truncated,
        "files": encode_files(result.files),
        "skipped_files": [asdict(skipped) for skipped in result.skipped_files],
        "displays": [_display_to_json(display) for display in result.displays],
        "error": None if result.error is None else asdict(result.error),
        "usage": asdict(result.usage),
        "detail": result.detail,
    }


def result_from_json(value: Any) -> RunResult:
    """Read a result. A file whose name could leave a folder is put among those skipped.

    Raises:
        SandboxError: If it is none.
    """
    try:
        return _result(value)
    except (KeyError, TypeError, ValueError, AttributeError, InvalidRunError) as error:
        raise SandboxError(f"The gateway's result can't be read: {type(error).__name__}: {error}") from error


def event_to_json(event: RunEvent) -> tuple[str, dict[str, Any]]:
    """Write an event as its name and its value."""
    match event:
        case OutputEvent():
            return event.type, {"text": event.data.decode("utf-8", "replace"), "base64": encode(event.data)}
        case DisplayEvent():
            return event.type, _display_to_json(event.display)
        case ErrorEvent():
            return event.type, asdict(event.error)
        case EndEvent():
            return event.type, result_to_json(event.result)


def is_failure(name: str, value: Any) -> bool:
    """Whether an event says that the stream failed, rather than that the code did."""
    return name == "error" and isinstance(value, Mapping) and isinstance(value.get("error"), Mapping)


def event_from_json(name: str, value: Any) -> RunEvent | None:
    """Read an event; None for one of an unknown name, which a newer gateway may send.

    Raises:
        SandboxError: If its value is not what its name says.
    """
    try:
        if name in ("stdout", "stderr"):
            return OutputEvent(cast(Literal["stdout", "stderr"], name), decode(value["base64"]))
        if name in ("display", "result"):
            return DisplayEvent(cast(Literal["display", "result"], name), _display(value))
        if name == "error":
            return ErrorEvent(_code_error(value))
        return EndEvent(_result(value)) if name == "end" else None
    except (KeyError, TypeError, ValueError, AttributeError, InvalidRunError) as error:
        raise SandboxError(f"The gateway's {name!r} event can't be read: {type(error).__name__}: {error}") from error


def file_info_to_json(info: FileInfo) -> dict[str, Any]:
    """Write what is known of a session's file."""
    return asdict(info)


def file_info_from_json(value: Any) -> FileInfo:
    """Read what is known of a session's file.

    Raises:
        SandboxError: If it is something else.
    """
    try:
        info = FileInfo(
            _string(value["name"]), int(value["size"]), finite(value["modified"]), value.get("is_folder") is True
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SandboxError(f"The gateway's file can't be read: {type(error).__name__}: {error}") from error
    problem = name_problem(info.name)
    if problem is not None:
        raise SandboxError(f"The gateway lists a file whose name {short(info.name)} {problem}.")
    return info


def _result(value: Any) -> RunResult:
    status = value["status"]
    if status not in get_args(Status):
        raise ValueError(f"the status is {short(status)}")
    exit_code = value.get("exit_code")
    if exit_code is not None and (isinstance(exit_code, bool) or not isinstance(exit_code, int)):
        raise TypeError(f"the exit code is {short(exit_code)}")
    files: dict[str, bytes] = {}
    skipped = [SkippedFile(_string(item["name"]), _string(item["reason"])) for item in value.get("skipped_files", ())]
    for name, content in value.get("files", {}).items():
        problem = name_problem(name)
        if problem is None:
            files[name] = decode(content)
        else:
            skipped.append(SkippedFile(name, f"its name {problem}"))
    detail = value.get("detail")
    return RunResult(
        status=cast(Status, status),
        exit_code=exit_code,
        stdout=decode(value["stdout_base64"]),
        stderr=decode(value["stderr_base64"]),
        files=files,
        skipped_files=tuple(skipped),
        stdout_truncated=value.get("stdout_truncated") is True,
        stderr_truncated=value.get("stderr_truncated") is True,
        usage=_usage(value.get("usage", {})),
        detail=None if detail is None else _string(detail),
        displays=tuple(_display(item) for item in value.get("displays", ())),
        error=None if value.get("error") is None else _code_error(value["error"]),
    )


def _usage(value: Any) -> Usage:
    peak = value.get("peak_memory_mb")
    return Usage(
        cpu_s=finite(value.get("cpu_s", 0.0)),
        peak_memory_mb=None if peak is None else finite(peak),
        wall_s=finite(value.get("wall_s", 0.0)),
        queued_s=finite(value.get("queued_s", 0.0)),
    )


def _display_to_json(display: Display) -> dict[str, Any]:
    return {"data": dict(display.data), "metadata": dict(display.metadata), "is_result": display.is_result}


def _display(value: Any) -> Display:
    return Display(dict(value["data"]), dict(value.get("metadata") or {}), value.get("is_result") is True)


def _code_error(value: Any) -> CodeError:
    return CodeError(_string(value["name"]), _string(value["value"]), _string(value.get("traceback") or ""))


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{short(value)} is not text")
    return value

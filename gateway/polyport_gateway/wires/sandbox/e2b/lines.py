"""A run's events as the lines of ``/execute``."""

from __future__ import annotations

import codecs
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any

from polyport_sandbox.types import Display, DisplayEvent, EndEvent, ErrorEvent, OutputEvent, RunEvent, RunResult

__all__ = ["write_events"]

_FORMS = {
    "text/plain": "text",
    "text/html": "html",
    "text/markdown": "markdown",
    "image/svg+xml": "svg",
    "image/png": "png",
    "image/jpeg": "jpeg",
    "application/pdf": "pdf",
    "text/latex": "latex",
    "application/json": "json",
    "application/javascript": "javascript",
    "e2b/data": "data",
    "e2b/chart": "chart",
}
# As E2B's service says it, where it does: a kernel that died is a context that is restarted, whatever it died of. The
# limits are this gateway's own.
_DIED = "ContextRestarting"
_ENDS = {
    "timeout": ("TimeoutError", "The code was still running at its time limit and was stopped."),
    "out_of_memory": (_DIED, "The code needed more memory than this sandbox has and was stopped."),
    "output_limit": ("OutputLimitError", "The code wrote more than may be kept of its output and was stopped."),
    "killed": (_DIED, "The code was stopped by a signal."),
    "sandbox_error": ("UnexpectedEndOfExecution", "The sandbox failed; nothing is known about the code."),
}


async def write_events(events: AsyncGenerator[RunEvent], write: Callable[[Mapping[str, Any]], Awaitable[None]]) -> None:
    """Write each event of a run as a line."""
    # A character may be cut in two between events.
    decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in ("stdout", "stderr")}
    failed = False

    async def output(name: str, data: bytes, *, final: bool = False) -> None:
        text = decoders[name].decode(data, final)
        if text:
            await write({"type": name, "text": text, "timestamp": time.time_ns()})

    async for event in events:
        match event:
            case OutputEvent():
                await output(event.type, event.data)
            case DisplayEvent():
                await write(_result(event.display, main=event.type == "result"))
            case ErrorEvent(error=error):
                failed = True
                await write({"type": "error", "name": error.name, "value": error.value, "traceback": error.traceback})
            case EndEvent(result=result):
                for name in decoders:
                    await output(name, b"", final=True)
                ending = _ending(result, failed)
                if ending is not None:
                    await write(ending)


def _result(display: Display, *, main: bool) -> dict[str, Any]:
    line: dict[str, Any] = {"type": "result", "is_main_result": main}
    extra = {}
    for kind, value in display.data.items():
        if kind in _FORMS:
            line[_FORMS[kind]] = value
        else:
            extra[kind] = value
    text = line.get("text")
    # E2B shows a text without the quotes that Python gives it.
    if isinstance(text, str) and len(text) >= 2 and text[0] == text[-1] == "'":
        line["text"] = text[1:-1]
    if extra:
        line["extra"] = extra
    return line


def _ending(result: RunResult, failed: bool) -> dict[str, Any] | None:
    """Return the error that a run's status tells beyond what its exception did."""
    if result.status in _ENDS:
        name, value = _ENDS[result.status]
        told = f"{value} ({result.detail})" if result.detail else value
        return {"type": "error", "name": name, "value": told, "traceback": ""}
    if result.status == "error" and not failed:
        code = "" if result.exit_code is None else str(result.exit_code)
        # With a detail, the kernel went with it (`os._exit`); else it is Jupyter's way to tell of `sys.exit`.
        if result.detail is None:
            return {"type": "error", "name": "SystemExit", "value": code, "traceback": f"SystemExit: {code}"}
        return {"type": "error", "name": _DIED, "value": result.detail, "traceback": ""}
    return None

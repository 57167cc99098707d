"""One execution in E2B's code interpreter: its messages as our events, under our limits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import Any

from polyport_sandbox.errors import SandboxError
from polyport_sandbox.types import CodeError, Display, RunEvent, RunRequest, Status

from .base import code_text
from .e2b_api import E2BApi, E2BBox
from .kernel import exit_of, plain
from .recorder import Recorder

__all__ = ["Cell"]

KINDS = {
    "text": "text/plain",
    "html": "text/html",
    "markdown": "text/markdown",
    "svg": "image/svg+xml",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "pdf": "application/pdf",
    "latex": "text/latex",
    "json": "application/json",
    "javascript": "application/javascript",
    "data": "e2b/data",
    "chart": "e2b/chart",
}
DIED = ("ContextRestarting",)
# What a gateway that serves E2B's shape says of its own limits; an exception of the code's has a traceback.
OVER: Mapping[str, Status] = {"TimeoutError": "timeout", "OutputLimitError": "output_limit"}
BROKE = ("UnexpectedEndOfExecution", "WebSocketError", "ExecutionAborted")


class Cell:
    """One run of code.

    Args:
        request: What to run.
        recorder: Where it is kept.
    """

    def __init__(self, request: RunRequest, recorder: Recorder) -> None:
        self._request = request
        self._recorder = recorder
        self._timed_out = False
        self.finished = False
        self.detail: str | None = None

    async def stream(self, api: E2BApi, box: E2BBox, *, context: str | None) -> AsyncGenerator[RunEvent]:
        """Run it and give its events; it is cut off where it reaches a limit."""
        limits = self._request.limits
        language = self._request.language.name if context is None else None
        # JSON may write a character in six.
        max_line = 6 * max(limits.output_bytes, limits.display_bytes) + (1 << 20)
        async with api.execute(
            box, code_text(self._request), context=context, language=language, max_line=max_line
        ) as messages:
            self._recorder.start()
            until = time.monotonic() + limits.wall_s
            while not self.finished and not self._recorder.over:
                try:
                    message = await asyncio.wait_for(anext(messages), max(0.0, until - time.monotonic()))
                except TimeoutError:
                    self._timed_out = True
                    break
                except StopAsyncIteration:
                    raise SandboxError("E2B's answer ended before the execution did") from None
                for event in self._events(message):
                    yield event
        note = self._recorder.left_out()
        if note is not None:
            yield note

    def status(self) -> tuple[Status, int | None]:
        """How it ended, as far as a kernel's messages tell.

        Raises:
            SandboxError: If it was the service that failed.
        """
        if self._timed_out:
            return "timeout", None
        if not self.finished:
            return "killed", None  # the recorder says output_limit
        error = self._recorder.error
        if error is None:
            return "ok", 0
        if error.name in DIED:
            self.detail = "the kernel died, E2B does not say why: its variables are gone, files are kept"
            return "killed", None
        if error.name in BROKE:
            raise SandboxError(f"E2B lost the execution: {error.name}: {error.value[:200]}")
        if error.name == "SystemExit":
            return exit_of(error.value)
        if error.name in OVER and not error.traceback:
            return OVER[error.name], None
        return "error", 1

    def _events(self, message: Mapping[str, Any]) -> Iterable[RunEvent]:
        try:
            kind = message["type"]
            if kind in ("stdout", "stderr"):
                event: RunEvent | None = self._recorder.output(kind, message["text"].encode("utf-8", "replace"))
            elif kind == "result":
                event = self._recorder.display(_display(message))
            elif kind == "error":
                event = self._recorder.fail(_error(message))
            else:  # keepalive, number_of_executions, and what a newer service may add
                self.finished = kind == "end_of_execution"
                event = None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SandboxError(f"E2B's message can't be read: {type(error).__name__}: {error}") from error
        return [] if event is None else [event]


def _display(message: Mapping[str, Any]) -> Display:
    data = {KINDS[name]: value for name, value in message.items() if name in KINDS and value is not None}
    data.update({str(kind): value for kind, value in (message.get("extra") or {}).items()})
    return Display(data, is_result=message.get("is_main_result") is True)


def _error(message: Mapping[str, Any]) -> CodeError:
    name, value, traceback = (message.get(member) or "" for member in ("name", "value", "traceback"))
    return CodeError(str(name), str(value), plain(str(traceback)))

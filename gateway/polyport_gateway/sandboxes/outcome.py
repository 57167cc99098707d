"""A run's result as a tool tells it: structured, as text for a model, and as content for a client that shows it."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

from polyport.content import Content, EmbeddedResource, Image, Text
from polyport.types.sandbox import (
    CodeFailure,
    CodeOutcome,
    CodeUsage,
    OutcomeDisplay,
    OutcomeFile,
    SkippedCodeFile,
)

if TYPE_CHECKING:
    from polyport_sandbox import Display, RunResult

__all__ = ["file_content", "make_outcome", "outcome_content", "outcome_text"]

_LONGEST_INLINE = 8 * 1024
# All of it together has to fit into one event of a stream, and clients' limit for one is a megabyte; text comes twice,
# as content and structured, and bytes a third larger, in base64.
_LONGEST_TEXT = 20_000
_MOST_TEXT = 40_000
_MOST_INLINE = 32 * 1024
_MOST_BYTES = 400 * 1024
_PICTURES = ("image/png", "image/jpeg")
_ENDINGS = {
    "timeout": "it was still running at its time limit and was killed",
    "out_of_memory": "it needed more memory than its limit and was killed",
    "output_limit": "it wrote more than its output limit and was killed",
    "killed": "a signal ended it",
    "sandbox_error": "the sandbox failed, not the code; try again",
}


def make_outcome(result: RunResult, *, session: str | None = None) -> CodeOutcome:
    """Describe a result without its bytes; of long texts the middle is left out."""
    room, inline = _Room(_MOST_TEXT), _Room(_MOST_INLINE)
    stderr, stdout = room.take(result.stderr_text), room.take(result.stdout_text)
    displays = [(display, None if display.text is None else room.take(display.text)) for display in result.displays]
    return CodeOutcome(
        status=result.status,
        exit_code=result.exit_code,
        stdout=stdout,
        stderr=stderr,
        result=next((text for display, text in reversed(displays) if display.is_result), None),
        error=_failure(result, room),
        displays=[OutcomeDisplay(types=sorted(display.data), text=text) for display, text in displays],
        files=[
            OutcomeFile(name=name, size=len(content), text=_short_text(content, inline))
            for name, content in sorted(result.files.items())
        ],
        skipped_files=[SkippedCodeFile(name=file.name, reason=file.reason) for file in result.skipped_files],
        truncated=result.stdout_truncated or result.stderr_truncated or room.cut,
        usage=CodeUsage(
            cpu_s=result.usage.cpu_s,
            peak_memory_mb=result.usage.peak_memory_mb,
            wall_s=result.usage.wall_s,
            queued_s=result.usage.queued_s,
        ),
        session=session,
        detail=result.detail,
    )


class _Room:
    """What is left for text."""

    def __init__(self, characters: int) -> None:
        self.left = characters
        self.cut = False

    def take(self, text: str) -> str:
        """Return a text, without its middle where it is too long."""
        most = min(self.left, _LONGEST_TEXT)
        if len(text) > most:
            self.cut = True
            half = most // 2
            text = f"{text[:half]}\n[… {len(text) - 2 * half} characters left out …]\n{text[len(text) - half :]}"
        self.left -= min(self.left, len(text))
        return text


def _failure(result: RunResult, room: _Room) -> CodeFailure | None:
    error = result.error
    if error is None:
        return None
    # What a traceback says is in stderr, too, where a program ended by it.
    traceback = error.traceback if len(error.traceback) <= _LONGEST_INLINE else room.take(error.traceback)
    return CodeFailure(name=error.name, value=room.take(error.value), traceback=traceback)


def outcome_text(outcome: CodeOutcome) -> str:
    """Say in text what came out, with nothing around it where there is nothing but output."""
    parts = [outcome.stdout]
    parts += [display.text for display in outcome.displays if display.text]
    if outcome.stderr:
        parts.append(f"[stderr]\n{outcome.stderr}")
    if outcome.error is not None and outcome.error.name not in outcome.stderr:
        parts.append(outcome.error.traceback or f"{outcome.error.name}: {outcome.error.value}")
    parts += _notes(outcome)
    return "\n".join(part.rstrip("\n") for part in parts if part) or "[no output]"


def _notes(outcome: CodeOutcome) -> Iterator[str]:
    if outcome.truncated:
        yield "[output cut at its limit]"
    if outcome.status in _ENDINGS:
        detail = f" ({outcome.detail})" if outcome.detail else ""
        yield f"[{outcome.status}: {_ENDINGS[outcome.status]}{detail}]"
    elif outcome.status == "error":
        yield "[it failed]" if outcome.exit_code is None else f"[exit code {outcome.exit_code}]"
    if outcome.files:
        yield f"[files: {', '.join(f'{file.name} ({file.size} bytes)' for file in outcome.files)}]"
    for skipped in outcome.skipped_files:
        yield f"[file left out: {skipped.name}: {skipped.reason}]"


def outcome_content(text: str, result: RunResult) -> tuple[Content, ...]:
    """Return text, pictures and files as content; nothing where the text is all there is."""
    found: list[Content] = []
    left_out: list[str] = []
    left = _MOST_BYTES
    for name, size, content in (*_pictures(result.displays), *_resources(result)):
        if size > left:
            left_out.append(f"{name} ({size} bytes)")
            continue
        left -= size
        found.append(content)
    if left_out:
        text += f"\n[too large to come along: {', '.join(left_out)}; make it smaller, or show less of it]"
    return (Text(text), *found) if found or left_out else ()


def _pictures(displays: tuple[Display, ...]) -> Iterator[tuple[str, int, Content]]:
    from polyport.types.sandbox import CodeDisplay

    for number, display in enumerate(displays, 1):
        name = f"picture {number}"
        png = display.png
        if png:
            yield name, len(png), Image(png, "image/png")
        elif "image/jpeg" in display.data:
            picture = CodeDisplay(data={"image/png": display.data["image/jpeg"]}).png
            if picture:
                yield name, len(picture), Image(picture, "image/jpeg")
        elif display.svg is not None:
            yield name, len(display.svg), EmbeddedResource("sandbox:///display.svg", display.svg, "image/svg+xml")


def _resources(result: RunResult) -> Iterator[tuple[str, int, Content]]:
    for name, content in sorted(result.files.items()):
        yield name, len(content), file_content(name, content)


def file_content(name: str, content: bytes) -> Content:
    """Return a file as content: a picture where clients can show it, text where it is text."""
    kind = mimetypes.guess_type(name)[0]
    if kind in _PICTURES:
        return Image(content, kind)
    uri = f"sandbox:///{quote(name)}"
    try:
        return EmbeddedResource(uri, content.decode(), kind or "text/plain")
    except UnicodeDecodeError:
        return EmbeddedResource(uri, content, kind or "application/octet-stream")


def _short_text(content: bytes, room: _Room) -> str | None:
    if len(content) > min(_LONGEST_INLINE, room.left):
        return None
    try:
        return room.take(content.decode())
    except UnicodeDecodeError:
        return None

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
_LARGEST_RESOURCE = 1 << 20
_MOST_RESOURCES = 4 << 20
_PICTURES = ("image/png", "image/jpeg")
_ENDINGS = {
    "timeout": "it was still running at its time limit and was killed",
    "out_of_memory": "it needed more memory than its limit and was killed",
    "output_limit": "it wrote more than its output limit and was killed",
    "killed": "a signal ended it",
    "sandbox_error": "the sandbox failed, not the code; try again",
}


def make_outcome(result: RunResult, *, session: str | None = None) -> CodeOutcome:
    """Describe a result without its bytes."""
    return CodeOutcome(
        status=result.status,
        exit_code=result.exit_code,
        stdout=result.stdout_text,
        stderr=result.stderr_text,
        result=next((display.text for display in reversed(result.displays) if display.is_result), None),
        error=None
        if result.error is None
        else CodeFailure(name=result.error.name, value=result.error.value, traceback=result.error.traceback),
        displays=[OutcomeDisplay(types=sorted(display.data), text=display.text) for display in result.displays],
        files=[
            OutcomeFile(name=name, size=len(content), text=_short_text(content))
            for name, content in sorted(result.files.items())
        ],
        skipped_files=[SkippedCodeFile(name=file.name, reason=file.reason) for file in result.skipped_files],
        truncated=result.stdout_truncated or result.stderr_truncated,
        usage=CodeUsage(
            cpu_s=result.usage.cpu_s,
            peak_memory_mb=result.usage.peak_memory_mb,
            wall_s=result.usage.wall_s,
            queued_s=result.usage.queued_s,
        ),
        session=session,
        detail=result.detail,
    )


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
    found: list[Content] = [*_pictures(result.displays), *_resources(result)]
    return (Text(text), *found) if found else ()


def _pictures(displays: tuple[Display, ...]) -> Iterator[Content]:
    from polyport.types.sandbox import CodeDisplay

    for display in displays:
        png = display.png
        if png:
            yield Image(png, "image/png")
        elif "image/jpeg" in display.data:
            picture = CodeDisplay(data={"image/png": display.data["image/jpeg"]}).png
            if picture:
                yield Image(picture, "image/jpeg")
        elif display.svg is not None:
            yield EmbeddedResource("sandbox:///display.svg", display.svg, "image/svg+xml")


def _resources(result: RunResult) -> Iterator[Content]:
    left = _MOST_RESOURCES
    for name, content in sorted(result.files.items()):
        if len(content) > min(left, _LARGEST_RESOURCE):
            continue
        left -= len(content)
        yield file_content(name, content)


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


def _short_text(content: bytes) -> str | None:
    if len(content) > _LONGEST_INLINE:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None

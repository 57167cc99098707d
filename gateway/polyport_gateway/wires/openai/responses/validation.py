"""A request's first check, with problems named by where they are in the body and not by how types are built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from polyport.errors import BadRequestError, CallError, UnsupportedParameterError
from polyport.types.responses import ResponseRequest

__all__ = ["name_as_asked", "parse_request"]

Path: TypeAlias = tuple[str | int, ...]

_MOST_PROBLEMS = 8
_LONGEST_VALUE = 80

_ASKED_AS = {
    "max_completion_tokens": "max_output_tokens",
    "messages": "input",
    "reasoning_effort": "reasoning.effort",
    "response_format": "text.format",
    "verbosity": "text.verbosity",
}
"""What a chat calls it, and what a request for a response does."""


def parse_request(body: Mapping[str, Any]) -> ResponseRequest:
    """Validate a body.

    Raises:
        BadRequestError: It is not a request for a response; the message names each wrong place.
    """
    try:
        return ResponseRequest.model_validate(body)
    except ValidationError as error:
        raise _describe(error, body) from error


def name_as_asked(error: CallError) -> CallError:
    """Name the parameter as the caller wrote it where a call's failure names it as a chat has it."""
    first, _, _ = (error.param or "").partition(".")
    asked = _ASKED_AS.get(first)
    if asked is not None:
        if isinstance(error, UnsupportedParameterError):
            error.message = error.message.replace(str(error.param), asked)
        error.param = asked
    return error


def _describe(error: ValidationError, body: Mapping[str, Any]) -> BadRequestError:
    found: dict[Path, list[str]] = {}
    for problem in error.errors(include_url=False, include_context=False):
        found.setdefault(_path(problem, body), []).append(_message(problem))
    # Of a union's branches only those that came furthest into the value were meant.
    meant = {path: said for path, said in found.items() if not any(_inside(other, path) for other in found)}
    parts = [
        f"{where}: {message}" if (where := _dotted(path)) else message
        for path, said in meant.items()
        for message in dict.fromkeys(said)
    ]
    if len(parts) > _MOST_PROBLEMS:
        parts[_MOST_PROBLEMS:] = [f"and {len(parts) - _MOST_PROBLEMS} more"]
    first = next(iter(meant), ())
    return BadRequestError(f"The request is invalid: {'; '.join(parts)}", param=_dotted(first) or None)


def _path(problem: ErrorDetails, body: Any) -> Path:
    """Return where in the body a problem is: pydantic's place without the names of types and tags."""
    path: list[str | int] = []
    at = body
    loc = problem["loc"]
    for position, part in enumerate(loc):
        if _holds(at, part):
            at = at[part]
        elif position < len(loc) - 1 or problem["type"] != "missing":
            continue
        path.append(part)
    return tuple(path)


def _holds(value: Any, part: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, dict) and part in value


def _message(problem: ErrorDetails) -> str:
    if problem["type"] == "missing":
        return "Field required"
    got = repr(problem["input"])
    if len(got) > _LONGEST_VALUE:
        got = got[:_LONGEST_VALUE] + "…"
    if problem["type"] == "union_tag_not_found":
        return f"An object with a type is needed (got {got})"
    return f"{problem['msg']} (got {got})"


def _inside(path: Path, other: Path) -> bool:
    return len(path) > len(other) and path[: len(other)] == other


def _dotted(path: Path) -> str:
    return ".".join(str(part) for part in path)

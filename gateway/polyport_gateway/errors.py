"""The gateway's side of `polyport.errors`: how any failure becomes an answer."""

from __future__ import annotations

import asyncio
import logging
import re
import reprlib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from polyport.errors import (
    BadRequestError,
    CallCancelledError,
    CallError,
    DeadlineExceededError,
    InternalServerError,
    InvalidArgumentsError,
)

__all__ = ["describe_validation", "invalid_arguments", "invalid_request", "mcp_error_data", "to_call_error"]

_log = logging.getLogger("polyport.errors")

_MOST_PROBLEMS = 8
# What stands under such a name is shown to nobody, whatever is wrong with it.
_SECRET = re.compile(r"(?i)passw|passphrase|secret|api_?key|authorization")
_LONGEST_VALUE = 80
_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = 2 * _LONGEST_VALUE


def describe_validation(error: ValidationError) -> tuple[str, str | None]:
    """Say in one line what a value's schema forbids, and where first.

    Returns:
        The message, and the dotted path of the first problem (None when it is the value itself).
    """
    problems = error.errors(include_url=False, include_context=False)
    parts = []
    for problem in problems[:_MOST_PROBLEMS]:
        where = ".".join(str(part) for part in problem["loc"])
        hidden = problem["type"] == "missing" or _SECRET.search(where)
        shown = problem["msg"] if hidden else f"{problem['msg']} (got {_shown(problem['input'])})"
        parts.append(f"{where}: {shown}" if where else shown)
    if len(problems) > _MOST_PROBLEMS:
        parts.append(f"and {len(problems) - _MOST_PROBLEMS} more")
    loc = problems[0]["loc"] if problems else ()
    return "; ".join(parts), ".".join(str(part) for part in loc) or None


def _shown(value: Any) -> str:
    # Not plain `repr`: a value may be huge, nest deeper than the interpreter can follow, or fail to show itself.
    if isinstance(value, Mapping):
        value = {key: "…" if _SECRET.search(str(key)) else inner for key, inner in value.items()}
    got = _repr.repr(value)
    return got if len(got) <= _LONGEST_VALUE else got[:_LONGEST_VALUE] + "…"


def invalid_request(error: ValidationError) -> BadRequestError:
    """Describe a body that doesn't match an endpoint's schema."""
    message, param = describe_validation(error)
    return BadRequestError(f"The request is invalid: {message}", param=param)


def invalid_arguments(name: str, error: ValidationError) -> InvalidArgumentsError:
    """Describe arguments that don't match a capability's input schema."""
    message, param = describe_validation(error)
    return InvalidArgumentsError(f"Invalid arguments for {name!r}: {message}", param=param)


def to_call_error(error: BaseException, *, request_id: str | None = None) -> CallError:
    """Turn any exception into what a caller may see; what it hides is logged.

    Args:
        error: What was raised.
        request_id: Put on the result, and on the log line.
    """
    if isinstance(error, CallError):
        result = error
    elif isinstance(error, TimeoutError):
        result = DeadlineExceededError("The call took longer than its deadline and was cancelled.")
    elif isinstance(error, asyncio.CancelledError):
        result = CallCancelledError("The call was cancelled.")
    else:
        _log.error("unexpected failure", exc_info=error, extra={"request_id": request_id})
        result = InternalServerError(
            "The gateway failed to answer; its log says why under this request's id.", request_id=request_id
        )
    if result.request_id is None:
        result.request_id = request_id
    return result


def mcp_error_data(error: CallError) -> dict[str, Any]:
    """Return what travels as ``_meta`` beside an MCP tool error: the same code and status as everywhere."""
    return {"code": error.code, "type": error.type, "status": error.status, "param": error.param}

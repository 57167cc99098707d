"""How an upstream's failure becomes a `CallError`, without telling a caller what only the operator should know."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from polyport.errors import (
    BadRequestError,
    CallError,
    DeadlineExceededError,
    PayloadTooLargeError,
    RateLimitError,
    UpstreamError,
)

__all__ = [
    "UpstreamAnswer",
    "broken_off",
    "from_answer",
    "invalid",
    "refused",
    "retry_after",
    "scrub",
    "silent",
    "unreachable",
]

_log = logging.getLogger("polyport.engines")

_LONGEST_MESSAGE = 2000
_SHORTEST_SECRET = 6
_LONGEST_RETRY_AFTER_S = 24 * 3600.0


def unreachable(name: str) -> UpstreamError:
    """No connection: refused, no such host, or no TLS."""
    return UpstreamError(
        f"The engine behind {name!r} can't be reached; it may be down or its address wrong.",
        code="upstream_unreachable",
    )


def broken_off(name: str) -> UpstreamError:
    """The answer ended before it was whole."""
    return UpstreamError(f"The engine behind {name!r} broke off its answer half-way.", code="upstream_cut")


def silent(name: str, seconds: float | None) -> DeadlineExceededError:
    """Nothing came for too long."""
    waited = f" for {seconds:g} s" if seconds is not None else " for too long"
    return DeadlineExceededError(f"The engine behind {name!r} sent nothing{waited}.", code="upstream_timeout")


def invalid(name: str, what: str) -> UpstreamError:
    """An answer that is none: `what` says how, as in ``it is not JSON``."""
    return UpstreamError(
        f"The engine behind {name!r} sent an answer that can't be used: {what}.", code="upstream_invalid"
    )


def refused(name: str, status: int) -> UpstreamError:
    """The upstream does not accept who the gateway says it is."""
    return UpstreamError(
        f"The engine behind {name!r} refused the gateway's own key (HTTP {status}); "
        "whoever runs the gateway must check it.",
        code="upstream_refused_key",
    )


def scrub(text: str, secrets: Iterable[str]) -> str:
    """Take secrets out of a text, and shorten it."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "***")
    return text if len(text) <= _LONGEST_MESSAGE else text[:_LONGEST_MESSAGE] + "…"


class UpstreamAnswer:
    """The body of an error answer, read leniently: servers differ in where they put the message.

    Args:
        body: The bytes; OpenAI's ``{"error": {…}}``, vLLM's older flat form, TGI's ``{"error": "…"}``
            and FastAPI's ``{"detail": …}`` are understood.
    """

    def __init__(self, body: bytes) -> None:
        self.message: str | None = None
        self.param: str | None = None
        self.code: str | None = None
        try:
            data = orjson.loads(body)
        except ValueError:
            return
        if isinstance(data, dict):
            self._read(data)

    def _read(self, data: Mapping[str, Any]) -> None:
        error = data.get("error")
        detail: Mapping[str, Any] = error if isinstance(error, dict) else data
        for candidate in (detail.get("message"), error, data.get("detail")):
            if isinstance(candidate, str) and candidate:
                self.message = candidate
                break
        param, code = detail.get("param"), detail.get("code")
        self.param = param if isinstance(param, str) and param else None
        self.code = code if isinstance(code, str) and code and not code.isdigit() else None


def from_answer(
    name: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    model: str,
    secrets: Iterable[str] = (),
) -> CallError:
    """Describe an upstream's answer that is not a success.

    What is the caller's fault keeps the upstream's words; what is the gateway's own configuration is
    told as an upstream failure.

    Args:
        name: The model's name on the gateway.
        status: The upstream's HTTP status.
        headers: Its headers.
        body: Its body.
        model: The model's name as the gateway asks the upstream for it.
        secrets: Texts that must not be shown.
    """
    answer = UpstreamAnswer(body)
    said = scrub(answer.message, secrets) if answer.message else None
    _log.warning("upstream of %r answered %d: %s", name, status, said or "no message")
    wait = retry_after(headers)
    if status in (400, 422):
        return BadRequestError(
            said or f"The engine behind {name!r} refused the request (HTTP {status}).",
            param=answer.param,
            code=answer.code,
            status=status,
        )
    if status == 413:
        return PayloadTooLargeError(said or f"The request is too large for the engine behind {name!r}.")
    if status in (401, 403):
        return refused(name, status)
    if status == 404:
        return UpstreamError(
            f"The engine behind {name!r} doesn't know the model {model!r} it is configured for, "
            "or doesn't offer this operation (HTTP 404).",
            code="upstream_not_found",
        )
    if status == 429:
        return RateLimitError(
            said or f"The engine behind {name!r} is out of capacity; try again later.",
            code=answer.code,
            retry_after=wait,
        )
    if 300 <= status < 400:
        return invalid(name, f"a redirect (HTTP {status}), which is not followed")
    if status in (408, 504):
        return DeadlineExceededError(f"The engine behind {name!r} ran out of time.", code="upstream_timeout")
    shown = f": {said}" if said else "."
    return UpstreamError(f"The engine behind {name!r} failed (HTTP {status}){shown}", retry_after=wait)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from ``retry-after-ms`` (OpenAI's) or ``Retry-After``; a date there is ignored."""
    for header, scale in (("retry-after-ms", 1000.0), ("Retry-After", 1.0)):
        try:
            seconds = float(headers.get(header, "")) / scale
        except ValueError:
            continue
        if 0 <= seconds <= _LONGEST_RETRY_AFTER_S:
            return seconds
    return None

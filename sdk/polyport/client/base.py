"""What both clients are made of: where to go, with which headers, for how long, how often."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import httpx

from polyport.app import App
from polyport.client.exchange import Request, Send, Timeout
from polyport.client.retry import RetryPolicy
from polyport.embedded import EmbeddedGateway, load_gateway
from polyport.errors import ConfigurationError, UsageError

__all__ = ["NOT_GIVEN", "BaseClient", "NotGiven", "TimeoutChoice"]

DEFAULT_URL = "http://127.0.0.1:8400"
DEFAULT_TIMEOUT_S = 600.0
_EMBEDDED_URL = "http://127.0.0.1"


class NotGiven(Enum):
    """The value of a parameter that was left out, where None means something else."""

    NOT_GIVEN = "not given"


NOT_GIVEN: Final = NotGiven.NOT_GIVEN
TimeoutChoice: TypeAlias = Timeout | NotGiven


class BaseClient:
    """Resolves what a client was given; does no IO."""

    def __init__(
        self,
        target: str | App | None,
        *,
        api_key: str | None,
        timeout: Timeout,
        max_retries: int,
        headers: Mapping[str, str] | None,
        settings: Mapping[str, Any],
    ) -> None:
        if max_retries < 0:
            raise ConfigurationError(f"max_retries is {max_retries}; it must be 0 or more")
        self._app = target if isinstance(target, App) else None
        if self._app is None and settings:
            raise ConfigurationError(
                f"{sorted(settings)} are settings of an embedded gateway; a client of a URL takes none"
            )
        self.base_url = _EMBEDDED_URL if isinstance(target, App) else _checked_url(target)
        if api_key is None and self._app is None:
            api_key = os.environ.get("POLYPORT_API_KEY") or None
        self.timeout = _checked_timeout(timeout)
        self._local = api_key is None
        self._policy = RetryPolicy(max_retries=max_retries)
        self._settings = dict(settings)
        self._pid = os.getpid()
        self._headers = {"user-agent": "polyport-python", "accept": "application/json", **(headers or {})}
        if api_key is not None:
            self._headers["authorization"] = f"Bearer {_checked_key(api_key)}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._app.name + ' (embedded)' if self._app else self.base_url!r})"

    def _build_gateway(self) -> EmbeddedGateway:
        assert self._app is not None  # noqa: S101 - only an embedded client has a gateway
        return load_gateway().embed(self._app, **self._settings)

    def _check_open(self, closed: bool) -> None:
        if closed:
            raise UsageError("this client is closed")
        if os.getpid() != self._pid:
            raise UsageError("this client was made before the process forked; make one in each process")

    def _arguments(self, request: Request[Any], step: Send) -> dict[str, Any]:
        """Return what `httpx.Client.build_request` takes for one try."""
        headers = {**self._headers, **request.headers, "x-request-id": step.request_id}
        if request.body is not None:
            headers.setdefault("content-type", "application/json")
        return {
            "method": request.method,
            "url": self.base_url + request.path,
            "content": request.body,
            "headers": headers,
            "timeout": step.timeout,
        }

    def _timeout(self, chosen: TimeoutChoice) -> Timeout:
        return self.timeout if isinstance(chosen, NotGiven) else _checked_timeout(chosen)


def _checked_url(target: str | None) -> str:
    if target is None:
        target = os.environ.get("POLYPORT_BASE_URL") or DEFAULT_URL
    if not isinstance(target, str):
        raise ConfigurationError(f"a client's target is a URL or an App, not {target!r}")
    try:
        parts = urlsplit(target)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or parts.query or parts.fragment:
        raise ConfigurationError(f"{target!r} is not a gateway's address; write it like {DEFAULT_URL}")
    return target.rstrip("/").removesuffix("/v1").rstrip("/")


def _checked_key(api_key: str) -> str:
    if not api_key.isascii() or not api_key.isprintable() or not api_key.strip():
        raise ConfigurationError("the API key is empty, or has a character that a header can't carry")
    return api_key.strip()


def _checked_timeout(timeout: Timeout) -> Timeout:
    if isinstance(timeout, int | float) and not timeout > 0:
        raise ConfigurationError(f"timeout is {timeout}; it must be a positive number of seconds, or None for none")
    if isinstance(timeout, int | float | None | httpx.Timeout):
        return timeout
    raise ConfigurationError(f"timeout is {timeout!r}; it must be seconds, an httpx.Timeout, or None")

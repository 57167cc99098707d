"""One HTTP service: its key, its timeouts, what is tried again, and what each refusal is called."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import json
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import httpx

from polyport.errors import ConfigurationError
from polyport_sandbox.errors import InvalidRunError, SandboxBusyError, SandboxError, SandboxUnavailableError

__all__ = ["Answer", "Service", "checked_url", "read_key", "read_lines"]

TRIES = 3
BACKOFF_S = 0.2
PATIENCE_S = 5.0
"""Seconds that a call waits by itself where a service says when to come back; what takes longer is told the caller."""
SHOWN_BYTES = 64 * 1024
EXCERPT = 300


class LostError(SandboxError):
    """A request was sent, and no whole answer came back."""


@dataclass(frozen=True)
class Answer:
    """A whole answer, no larger than was asked for."""

    status: int
    body: bytes
    service: str

    def json(self) -> Any:
        """Read it as JSON.

        Raises:
            SandboxError: If it is none.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            start = self.body[:60].decode("utf-8", "replace")
            raise SandboxError(f"{self.service} answered with something that is not JSON: {start!r}") from error


class Service:
    """Calls of one service. A connection that was never made, and a refusal that says so, are tried again.

    Args:
        name: What messages call it.
        url: Its base address; paths are put behind it, and whole addresses are taken as they are.
        headers: Sent with each request, the key among them; never shown or logged.
        timeout_s: Seconds for a connection, and between two pieces of an answer where a call names no other.
        key_hint: What mends a refused key.
    """

    def __init__(self, name: str, url: str, *, headers: Mapping[str, str], timeout_s: float, key_hint: str) -> None:
        self.name = name
        self.url = url
        self._timeout_s = timeout_s
        self._key_hint = key_hint
        self._client = httpx.AsyncClient(
            # identity: a small answer can't unfold into a large one
            headers={"accept-encoding": "identity", **headers},
            timeout=httpx.Timeout(timeout_s),
            limits=httpx.Limits(max_connections=256, max_keepalive_connections=32),
        )

    async def aclose(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def call(
        self,
        method: str,
        path: str,
        *,
        max_bytes: int = 1 << 20,
        total_s: float | None = None,
        accept: tuple[int, ...] = (),
        repeatable: bool | None = None,
        **request: Any,
    ) -> Answer:
        """Make a request and read its whole answer.

        Args:
            method: The HTTP method.
            path: Behind the base address, or a whole address.
            max_bytes: What the answer may hold at most.
            total_s: Seconds from first to last; the service's timeout where None.
            accept: Statuses other than 2xx that are answers rather than failures.
            repeatable: Whether it may happen twice without harm; GET and DELETE may.
            **request: ``json``, ``content``, ``files``, ``params`` and ``headers``, as httpx takes them.

        Raises:
            SandboxUnavailableError: If the service is not there, or refuses the key.
            SandboxBusyError: If it has too much to do.
            InvalidRunError: If it refuses the request itself.
            SandboxError: If it fails, or answers with something else than an answer.
        """
        total_s = self._timeout_s if total_s is None else total_s
        try:
            async with (
                asyncio.timeout(total_s),
                self.open(method, path, accept=accept, repeatable=repeatable, read_s=total_s, **request) as response,
            ):
                return Answer(response.status_code, await self.read(response, max_bytes), self.name)
        except TimeoutError as error:
            raise LostError(f"{self.name} did not answer {method} {_path(path)} within {total_s:g} s") from error

    @contextlib.asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        *,
        accept: tuple[int, ...] = (),
        repeatable: bool | None = None,
        read_s: float | None = None,
        **request: Any,
    ) -> AsyncIterator[httpx.Response]:
        """Make a request and give its answer as it comes; leaving closes the connection. Arguments are as in `call`."""
        repeatable = method in ("GET", "DELETE") if repeatable is None else repeatable
        timeout = httpx.Timeout(self._timeout_s, read=self._timeout_s if read_s is None else read_s)
        url = path if "://" in path else f"{self.url}{path}"
        response = await self._start(method, url, accept, repeatable, {**request, "timeout": timeout})
        try:
            yield response
        except httpx.TransportError as error:
            raise LostError(f"{self.name} broke off its answer: {_kind(error)}") from error
        finally:
            await response.aclose()

    async def read(self, response: httpx.Response, max_bytes: int) -> bytes:
        """Read a whole answer.

        Raises:
            SandboxError: If it is larger than `max_bytes`.
        """
        pieces, size = [], 0
        async for piece in response.aiter_bytes():
            size += len(piece)
            if size > max_bytes:
                raise SandboxError(f"{self.name} answered with more than the {max_bytes} bytes that were expected")
            pieces.append(piece)
        return b"".join(pieces)

    async def _start(
        self, method: str, url: str, accept: tuple[int, ...], repeatable: bool, request: dict[str, Any]
    ) -> httpx.Response:
        attempt = 1
        while True:
            try:
                return await self._once(method, url, accept, request)
            except _FailedError as failed:
                wait = failed.wait(attempt, repeatable=repeatable)
                if wait is None:
                    raise failed.error from failed.__cause__
            await asyncio.sleep(wait)
            attempt += 1

    async def _once(self, method: str, url: str, accept: tuple[int, ...], request: dict[str, Any]) -> httpx.Response:
        try:
            response = await self._client.send(self._client.build_request(method, url, **request), stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            gone = SandboxUnavailableError(
                f"{self.name} at {_origin(url)} can't be reached: {_kind(error)}.",
                mend="check its address and that it runs",
            )
            raise _FailedError(gone, again="always") from error
        except httpx.TransportError as error:
            lost = LostError(f"{self.name} did not answer {method} {_path(url)}: {_kind(error)}")
            raise _FailedError(lost, again="repeatable") from error
        if response.is_success or response.status_code in accept:
            return response
        try:
            body = await self._refusal(response)
        finally:
            await response.aclose()
        failure = self.failure(response.status_code, response.headers, body)
        raise _FailedError(failure, again=_again(response.status_code, failure))

    async def _refusal(self, response: httpx.Response) -> bytes:
        body = b""
        with contextlib.suppress(httpx.TransportError):  # the status alone says enough
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > SHOWN_BYTES:
                    break
        return body

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> SandboxError:
        """Name what a status other than 2xx means."""
        said = _message(body)
        told = f"{self.name} answered {status}{f': {said}' if said else ''}"
        after = _retry_after(headers.get("retry-after"))
        if status == 429 or (status == 503 and after is not None):
            return SandboxBusyError(told, retry_after=after)
        if status in (401, 402, 403):
            return SandboxUnavailableError(f"{told}.", mend=self._key_hint)
        if status in (502, 503, 504):
            return SandboxUnavailableError(f"{told}.", mend="check that the service runs, and try again")
        if 400 <= status < 500:
            return InvalidRunError(told)
        return LostError(told) if status >= 500 else SandboxError(f"{told}, which is no answer to it")


def checked_url(url: str, *, what: str) -> str:
    """Take an address without its last slash.

    Raises:
        ConfigurationError: If it is none of HTTP.
    """
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as error:
        raise ConfigurationError(f"{what} {url!r} is no address: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.userinfo:
        raise ConfigurationError(f"{what} {url!r} must look like https://host:port, with no name or password in it")
    return url.rstrip("/")


def read_key(api_key: str | None, variable: str | None, *, needed_by: str | None = None) -> str | None:
    """Take a key as given, or from the environment variable that is named.

    Args:
        api_key: The key itself.
        variable: The environment variable that has it where `api_key` is None.
        needed_by: The service that does not work without one.

    Raises:
        SandboxUnavailableError: If there is none where one is needed.
        ConfigurationError: If it can't be sent.
    """
    key = api_key if api_key is not None else os.environ.get(variable or "") or None
    if key is None and needed_by is not None:
        raise SandboxUnavailableError(f"{needed_by} needs an API key.", mend=f"pass api_key=…, or export {variable}=…")
    if key is not None and (not key.isascii() or not key.isprintable() or " " in key or not key):
        raise ConfigurationError("the API key is empty, or has a space or a character that HTTP can't send")
    return key


async def read_lines(response: httpx.Response, *, max_bytes: int, service: str) -> AsyncGenerator[bytes]:
    """Give an answer's lines as they come, each at most `max_bytes` long.

    Raises:
        SandboxError: If a line is longer.
    """
    rest = bytearray()
    async for piece in response.aiter_bytes():
        *lines, last = piece.split(b"\n")
        for line in lines:
            yield bytes(rest + line)
            rest.clear()
        rest += last
        if len(rest) > max_bytes:
            raise SandboxError(f"{service} sent a line of more than {max_bytes} bytes")
    if rest:
        yield bytes(rest)


def _again(status: int, error: SandboxError) -> Literal["never", "repeatable", "always"]:
    if isinstance(error, SandboxBusyError):
        return "always" if status == 429 else "repeatable"
    return "repeatable" if status >= 500 else "never"


class _FailedError(Exception):
    """A try that failed, and whether another makes sense."""

    def __init__(self, error: SandboxError, *, again: Literal["never", "repeatable", "always"]) -> None:
        super().__init__(str(error))
        self.error = error
        self._again = again

    def wait(self, attempt: int, *, repeatable: bool) -> float | None:
        """Say for how many seconds to wait before another try; None where there is to be none."""
        if attempt >= TRIES or self._again == "never" or (self._again == "repeatable" and not repeatable):
            return None
        wait = self.error.retry_after
        if wait is None:
            # A service that is busy and does not say for how long is left alone.
            return None if isinstance(self.error, SandboxBusyError) else float(BACKOFF_S * 4 ** (attempt - 1))
        return wait if wait <= PATIENCE_S else None


def _retry_after(value: str | None) -> float | None:
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value.strip()[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def _message(body: bytes) -> str:
    """Find what a refusal says, in the forms that services give it."""
    text = body.decode("utf-8", "replace").strip()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    for name in ("message", "detail", "error"):
        found = value.get(name) if isinstance(value, dict) else None
        if isinstance(found, dict):
            found = found.get("message")
        if isinstance(found, str):
            text = found
            break
    return text if len(text) <= EXCERPT else f"{text[:EXCERPT]}…"


def _origin(url: str) -> str:
    parsed = httpx.URL(url)
    return f"{parsed.scheme}://{parsed.netloc.decode('ascii')}"


def _path(url: str) -> str:
    return httpx.URL(url).path


def _kind(error: Exception) -> str:
    text = str(error)
    return f"{type(error).__name__}{f' ({text})' if text else ''}"

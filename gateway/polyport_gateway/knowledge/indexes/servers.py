"""An index's server, which may be down, slow or broken: clear errors, bounded waiting, and no waiting for the dead.

A server that has failed is left alone for a while (Nygard, "Release it!", 2007, the circuit breaker): at once where it
was too slow, for each question would cost that time again, otherwise after some failures in a row. Then one question
tries it, and the others are told meanwhile what was wrong.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

import httpx

from polyport.errors import ConfigurationError, ServiceUnavailableError

__all__ = ["DeadlineTransport", "Failure", "Server", "failure_of", "place_of"]

Value = TypeVar("Value")

_FAILURES = 3
_REST_S = 2.0
_LONGEST_REST_S = 60.0


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong with a request.

    Args:
        said: To be shown; without keys.
        down: Whether it says that the server is not well, rather than that the request was not.
        sent: Whether the server may have done what was asked.
        slow: Whether it took all the time that it was given.
        retry_after: Seconds that the server wants to be left alone.
    """

    said: str
    down: bool = True
    sent: bool = True
    slow: bool = False
    retry_after: float | None = None


def place_of(url: str) -> str:
    """Return a URL as it may be shown: no user, password, path or query.

    Raises:
        ConfigurationError: It is none.
    """
    if "://" not in url:
        return url.rpartition("@")[2]
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise ConfigurationError(f"The URL of an index's server is wrong: {error}.") from error
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"


def failure_of(error: Exception) -> Failure:
    """Return what an error of httpx says."""
    said = str(error) or type(error).__name__
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return Failure(f"it took no connection in time ({type(error).__name__})", sent=False, slow=True)
    if isinstance(error, httpx.TimeoutException):
        return Failure(f"it did not answer in time ({type(error).__name__})", slow=True)
    if isinstance(error, httpx.ConnectError):
        return Failure(said, sent=False)
    if isinstance(error, httpx.TransportError):
        return Failure(f"it broke off ({said})")
    return Failure(f"its answer can't be read ({type(error).__name__})")


class Server:
    """Calls a server, and remembers how it is.

    Args:
        name: What to call it, such as ``Qdrant``.
        url: Where it is.
        errors: What its client raises.
        read: Says what such an error means.
        clock: Tells the time, in seconds.
    """

    def __init__(
        self,
        name: str,
        url: str,
        errors: tuple[type[Exception], ...],
        read: Callable[[Exception], Failure],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.place = place_of(url)
        self._name = f"The {name} server at {self.place}"
        self._errors, self._read, self._clock = errors, read, clock
        self._lock = threading.Lock()
        self._failed = 0
        self._rests = 0
        self._until = 0.0
        self._trying = False
        self._last = ""

    def call(self, action: Callable[[], Value], *, repeat: bool = False) -> Value:
        """Return what an action returns; once more where that can do no harm.

        Args:
            action: Asks the server.
            repeat: Whether doing it twice does the same as once. What never reached the server is always tried again.

        Raises:
            ServiceUnavailableError: It failed, or is left alone for now.
        """
        with self._accounted() as outcome:
            try:
                return action()
            except self._errors as error:
                failure = outcome.failure = self._read(error)
                if failure.slow or not failure.down or (failure.sent and not repeat):
                    raise self._error(failure) from error
            time.sleep(random.uniform(0.05, 0.2))  # noqa: S311  # not all at the same moment
            outcome.failure = None
            try:
                return action()
            except self._errors as error:
                outcome.failure = self._read(error)
                raise self._error(outcome.failure) from error

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Do what asks the server, once.

        Raises:
            ServiceUnavailableError: It failed, or is left alone for now.
        """
        with self._accounted() as outcome:
            try:
                yield
            except self._errors as error:
                outcome.failure = self._read(error)
                raise self._error(outcome.failure) from error

    def _error(self, failure: Failure) -> ServiceUnavailableError:
        return ServiceUnavailableError(f"{self._name} failed: {failure.said}", retry_after=failure.retry_after)

    @contextmanager
    def _accounted(self) -> Iterator[_Outcome]:
        trying = self._admit()
        outcome = _Outcome()
        try:
            yield outcome
        except BaseException as error:
            self._left(trying, outcome.failure, sound=isinstance(error, Exception) and outcome.failure is None)
            raise
        self._left(trying, outcome.failure, sound=True)

    def _admit(self) -> bool:
        """Let a call through, or refuse it; return whether it is the one that tries a server that was left alone."""
        with self._lock:
            if not self._until:
                return False
            left = self._until - self._clock()
            if left <= 0 and not self._trying:
                self._trying = True
                return True
            wait = max(left, 1.0)
            raise ServiceUnavailableError(
                f"{self._name} is left alone for {wait:.0f} s, for it failed: {self._last}", retry_after=wait
            )

    def _left(self, trying: bool, failure: Failure | None, *, sound: bool) -> None:
        with self._lock:
            if trying:
                self._trying = False
            if failure is None or not failure.down:
                if sound or failure is not None:
                    self._failed, self._rests, self._until = 0, 0, 0.0
                return
            self._failed += 1
            self._last = failure.said
            if trying or failure.slow or self._failed >= _FAILURES:
                rest = min(_LONGEST_REST_S, _REST_S * 2**self._rests)
                self._rests += 1
                self._until = self._clock() + max(rest, failure.retry_after or 0.0)


@dataclass(slots=True)
class _Outcome:
    failure: Failure | None = None


class DeadlineTransport(httpx.HTTPTransport):
    """Gives a whole answer so many seconds, where httpx bounds each wait for some bytes alone.

    Args:
        seconds: From the request to the last byte of its answer.
        limits: Of connections.
    """

    def __init__(self, seconds: float, limits: httpx.Limits | None = None) -> None:
        super().__init__(limits=limits or httpx.Limits())
        self._seconds = seconds

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        end = time.monotonic() + self._seconds
        response = super().handle_request(request)
        if isinstance(response.stream, httpx.SyncByteStream):
            response.stream = _Hurried(response.stream, end, request)
        return response


class _Hurried(httpx.SyncByteStream):
    def __init__(self, inner: httpx.SyncByteStream, end: float, request: httpx.Request) -> None:
        self._inner, self._end, self._request = inner, end, request

    def __iter__(self) -> Iterator[bytes]:
        for part in self._inner:
            if time.monotonic() > self._end:
                raise httpx.ReadTimeout("The whole answer took too long.", request=self._request)
            yield part

    def close(self) -> None:
        self._inner.close()

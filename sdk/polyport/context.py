"""`Context`: what a running function may know of its call and say to its caller."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from polyport.events import LogLevel

__all__ = ["Ask", "AskRoots", "CallerInfo", "Context", "Elicit", "ElicitResult", "Sample", "SampleResult"]


@dataclass(frozen=True, slots=True)
class CallerInfo:
    """Who calls.

    Attributes:
        id: The key's id, or ``local`` where no key is asked for.
        name: The key's name, for people.
    """

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Elicit:
    """Ask the person behind the client to fill in a form.

    Attributes:
        message: What is asked, for a person.
        schema: A flat JSON schema object, or a pydantic model / dataclass that gives one.
    """

    message: str
    schema: Any


@dataclass(frozen=True, slots=True)
class Sample:
    """Ask the client's own model.

    Attributes:
        prompt: The user message.
        system: A system prompt.
        max_tokens: The longest answer, in tokens.
        temperature: Sampling temperature.
    """

    prompt: str
    system: str | None = None
    max_tokens: int = 1024
    temperature: float | None = None


@dataclass(frozen=True, slots=True)
class AskRoots:
    """Ask the client which folders it offers."""


Ask: TypeAlias = Elicit | Sample | AskRoots


@dataclass(frozen=True, slots=True)
class ElicitResult:
    """The person's answer; `data` only when the action is ``accept``."""

    action: Literal["accept", "decline", "cancel"]
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SampleResult:
    """The client's model's answer."""

    text: str
    model: str
    stop_reason: str | None = None


class ContextBackend(Protocol):
    """What the gateway puts behind a `Context`. Every method may be called from any thread."""

    request_id: str
    caller: CallerInfo
    deadline: float | None

    def cancelled(self) -> bool:
        """Whether the caller has gone away or the deadline has passed."""
        ...

    def progress(self, progress: float, total: float | None, message: str | None) -> None:
        """Report progress."""
        ...

    def log(self, level: LogLevel, data: Any, logger: str | None) -> None:
        """Send a log line to the caller."""
        ...

    def resource_updated(self, uri: str) -> None:
        """Tell subscribers that a resource has changed."""
        ...

    async def ask(self, asks: Mapping[str, Ask]) -> dict[str, Any]:
        """Ask the client; answers come by the same keys."""
        ...


class _Done:
    """Already done; may also be awaited, so that one method serves plain and async functions."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, None]:
        # One turn of the event loop, so that a report goes out before the function works on.
        yield


_DONE = _Done()


class Context:
    """What a running function may know of its call and say to its caller.

    Add a parameter annotated ``Context`` to a function and it is passed in; it is not part of the
    schema. In an ``async def`` function await `progress` and `log`; in a plain function, which runs in a
    worker thread, call them without.

    >>> async def index(folder: str, ctx: Context) -> int:
    ...     await ctx.progress(1, 3, "reading")
    ...     return 3
    """

    __slots__ = ("_backend",)

    def __init__(self, backend: ContextBackend) -> None:
        self._backend = backend

    @property
    def request_id(self) -> str:
        """The id under which this call is logged."""
        return self._backend.request_id

    @property
    def caller(self) -> CallerInfo:
        """Who calls."""
        return self._backend.caller

    @property
    def cancelled(self) -> bool:
        """Whether to stop: the caller has gone away or the deadline has passed."""
        return self._backend.cancelled()

    @property
    def deadline(self) -> float | None:
        """Seconds left until the call is cancelled; None when it has no deadline."""
        deadline = self._backend.deadline
        return None if deadline is None else max(0.0, deadline - time.monotonic())

    def progress(self, progress: float, total: float | None = None, message: str | None = None) -> Awaitable[None]:
        """Tell the caller how far this call has come.

        Args:
            progress: Units done so far.
            total: Units in all, if known.
            message: What is being done.
        """
        self._backend.progress(progress, total, message)
        return _DONE

    def log(self, data: Any, *, level: LogLevel = "info", logger: str | None = None) -> Awaitable[None]:
        """Send a line to the caller (over MCP and REST's event stream; other wires drop it)."""
        self._backend.log(level, data, logger)
        return _DONE

    async def elicit(self, message: str, schema: Any) -> ElicitResult:
        """Ask the person behind the client to fill in a form.

        On MCP 2026-07-28 the function is run again from its start with the answer at hand, so
        whatever it does before must bear repeating.

        Raises:
            UnsupportedOperationError: The wire or the client can't ask.
        """
        result = await self.ask(answer=Elicit(message, schema))
        return result["answer"]  # type: ignore[no-any-return]

    async def sample(
        self, prompt: str, *, system: str | None = None, max_tokens: int = 1024, temperature: float | None = None
    ) -> SampleResult:
        """Ask the client's own model.

        Raises:
            UnsupportedOperationError: The wire or the client can't.
        """
        result = await self.ask(answer=Sample(prompt, system, max_tokens, temperature))
        return result["answer"]  # type: ignore[no-any-return]

    async def roots(self) -> list[str]:
        """Return the URIs of the folders that the client offers.

        Raises:
            UnsupportedOperationError: The wire or the client can't.
        """
        result = await self.ask(answer=AskRoots())
        return result["answer"]  # type: ignore[no-any-return]

    async def ask(self, **asks: Ask) -> dict[str, Any]:
        """Ask several things in one round; answers come back by the same keys.

        Raises:
            UnsupportedOperationError: The wire or the client can't.
        """
        return await self._backend.ask(asks)

    def resource_updated(self, uri: str) -> None:
        """Tell every client that subscribed to the resource at `uri` that it has changed."""
        self._backend.resource_updated(uri)

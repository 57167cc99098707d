"""`Dispatcher`: the one way through. What should hold on every wire is written here, once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import replace

from polyport.errors import ServiceUnavailableError
from polyport.events import Usage
from polyport_gateway.agents.server_tools import with_server_tools
from polyport_gateway.call import Call, CallEvent, Chat, Input, InputRequired
from polyport_gateway.calls.adapt import adapt_events, adapt_input
from polyport_gateway.calls.deadline import Deadline
from polyport_gateway.calls.features import check_features
from polyport_gateway.calls.limits import cut_to, token_limit
from polyport_gateway.catalog import Capability, Catalog
from polyport_gateway.errors import to_call_error
from polyport_gateway.storage.usage import UsageRow

__all__ = ["Dispatcher"]

_log = logging.getLogger("polyport.calls")

Record = Callable[[UsageRow], None]


class Dispatcher:
    """Resolves, admits, invokes and accounts for every call.

    Args:
        catalog: What can be called.
        record: Takes the usage row of each call that ended; must not block.
        timeout_s: The deadline of calls whose capability and wire set none; None for no deadline.
        max_concurrent: Calls from wires that may be under way at a time.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        record: Record,
        timeout_s: float | None = 600.0,
        max_concurrent: int = 1000,
    ) -> None:
        self._catalog = catalog
        self._record = record
        self._timeout_s = timeout_s
        self._max_concurrent = max_concurrent
        self._running = 0
        self._closing = False
        self._idle = asyncio.Event()

    @property
    def running(self) -> int:
        """Calls from wires under way."""
        return self._running

    def refuse_new(self) -> None:
        """Answer every further call with 503: the gateway is shutting down."""
        self._closing = True

    async def drained(self, grace_s: float) -> bool:
        """Wait for running calls, `grace_s` seconds at most; say whether all have ended."""
        if self._running == 0:
            return True
        self._idle.clear()
        try:
            async with asyncio.timeout(grace_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def stream(self, call: Call) -> AsyncGenerator[CallEvent, None]:
        """Run a call; see `polyport_gateway.catalog.Capability.invoke` for what it gives.

        Raises:
            CallError: Refused or failed. Nothing but `CallError`, `InputRequired` and cancellation gets out.
        """
        started = time.monotonic()
        capability: Capability | None = None
        usage: Usage | None = None
        status, code = 200, None
        self._enter(call)
        try:
            capability = self._catalog.resolve(call.name, call.caller, granted=call.granted)
            self._set_deadline(call, capability, started)
            events = self._invoke(call, capability)
            step = events.__anext__
            deadline = Deadline(call.deadline, call.name)
            try:
                while True:
                    event = await deadline.next(step)
                    if isinstance(event, Usage):
                        usage = event if usage is None else usage + event
                    yield event
            except StopAsyncIteration:
                pass
            finally:
                await _close(events)
        except (asyncio.CancelledError, GeneratorExit):
            status, code = 499, "cancelled"
            call.cancel()
            raise
        except InputRequired:
            code = "input_required"
            raise
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            # The last two, from an engine's code, would end the event loop and so the gateway.
            call.cancel()
            failure = to_call_error(error, request_id=call.request_id)
            status, code = failure.status, failure.code
            if failure is error:
                raise
            raise failure from error
        finally:
            self._leave(call)
            self._account(call, capability, started, usage, status, code)

    def _enter(self, call: Call) -> None:
        if call.depth:
            return
        if self._closing:
            raise ServiceUnavailableError("The gateway is shutting down; try again in a moment.", retry_after=1)
        if self._running >= self._max_concurrent:
            raise ServiceUnavailableError(
                f"The gateway has {self._running} calls under way, its limit (max_concurrent_calls); try again later.",
                code="overloaded",
                retry_after=1,
            )
        self._running += 1

    def _leave(self, call: Call) -> None:
        if call.depth == 0:
            self._running -= 1
            if self._running == 0:
                self._idle.set()

    def _set_deadline(self, call: Call, capability: Capability, started: float) -> None:
        limit = capability.timeout
        if limit is None and call.depth == 0 and call.deadline is None:
            limit = self._timeout_s
        if limit is not None:
            deadline = started + limit
            call.deadline = deadline if call.deadline is None else min(call.deadline, deadline)

    def _invoke(self, call: Call, capability: Capability) -> AsyncIterator[CallEvent]:
        given = call.input
        if isinstance(given, Chat) and given.server_tools is not None and capability.kind == "model":
            capability = with_server_tools(capability, self._catalog)
        adapted = adapt_input(capability, given)
        check_features(capability, given)
        if adapted is given:
            events = capability.invoke(call)
        else:
            events = adapt_events(call, capability.invoke(_with_input(call, adapted)))
        limit = token_limit(capability, given)
        return events if limit is None else cut_to(limit, events)

    def _account(
        self,
        call: Call,
        capability: Capability | None,
        started: float,
        usage: Usage | None,
        status: int,
        code: str | None,
    ) -> None:
        duration = time.monotonic() - started
        row = UsageRow(
            at=int((time.time() - duration) * 1000),
            request_id=call.request_id,
            key_id=call.caller.id,
            wire=call.wire,
            kind=capability.kind if capability else "",
            name=call.name if capability else call.name[:64],
            operation=call.input.operation.value,
            status=status,
            code=code,
            prompt_tokens=usage.prompt_tokens if usage else None,
            completion_tokens=usage.completion_tokens if usage else None,
            duration_ms=int(duration * 1000),
            depth=call.depth,
        )
        self._record(row)


def _with_input(call: Call, adapted: Input) -> Call:
    return replace(call, input=adapted, parent=call)


async def _close(events: AsyncIterator[CallEvent]) -> None:
    close = getattr(events, "aclose", None)
    if close is not None:
        await close()

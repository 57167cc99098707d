"""What the wires ask of the sandbox as calls of `run_code`, which see to limits, usage rows and deadlines."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, TypeVar, cast

from polyport.errors import InternalServerError
from polyport.events import Result
from polyport_gateway.call import Call, CodeEvent, CodeRun, Dispatch, SandboxWork
from polyport_gateway.sandboxes.service import RUN_CODE
from polyport_gateway.wires.http import RequestInfo

if TYPE_CHECKING:
    from polyport_sandbox.types import RunEvent

__all__ = ["in_sandbox", "run_code", "sandbox_call"]

Value = TypeVar("Value")


def sandbox_call(dispatch: Dispatch, info: RequestInfo, what: CodeRun | SandboxWork, *, wire: str) -> Call:
    """Return the call that a request makes of the sandbox."""
    return Call(
        name=RUN_CODE,
        input=what,
        caller=info.caller,
        wire=wire,
        request_id=info.request_id,
        traceparent=info.traceparent,
        dispatch=dispatch,
    )


async def run_code(dispatch: Dispatch, info: RequestInfo, run: CodeRun, *, wire: str) -> AsyncGenerator[RunEvent]:
    """Run code and give what it gives; closing the generator kills the run.

    Raises:
        CallError: Refused or failed.
    """
    async with aclosing(sandbox_call(dispatch, info, run, wire=wire).run()) as events:
        async for event in events:
            if isinstance(event, CodeEvent):
                yield event.event


async def in_sandbox(dispatch: Dispatch, info: RequestInfo, do: Callable[[], Awaitable[Value]], *, wire: str) -> Value:
    """Do what takes time or room there, and return what it gives.

    To look at sessions, interrupt or close them is not done this way: a caller must be able to free what it holds
    when the gateway takes no more calls.

    Raises:
        CallError: Refused or failed.
    """
    found: Result | None = None
    async with aclosing(sandbox_call(dispatch, info, SandboxWork(do), wire=wire).run()) as events:
        async for event in events:
            if isinstance(event, Result):
                found = event
    if found is None:
        raise InternalServerError("The sandbox's work ended without a result.")
    return cast("Value", found.value)

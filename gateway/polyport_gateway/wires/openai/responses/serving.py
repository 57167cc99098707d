"""Answering: runs the call behind a response, in the request or behind it, and keeps what it made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from polyport.errors import CallCancelledError, CallError, ServiceUnavailableError
from polyport_gateway.agents.searched_answer import SearchedAnswer
from polyport_gateway.call import Call, CallEvent
from polyport_gateway.errors import to_call_error
from polyport_gateway.jobs.background import BackgroundTasks, EventLog
from polyport_gateway.jobs.responses import INTERRUPTED, ResponseArchive
from polyport_gateway.storage.responses import StoredResponse
from polyport_gateway.wires.openai.responses.builder import ResponseBuilder
from polyport_gateway.wires.openai.responses.open_items import WireEvent
from polyport_gateway.wires.openai.responses.plan import Plan

__all__ = ["Serving"]


class Serving:
    """One response in the making.

    Args:
        plan: What was asked.
        call: What answers it.
        archive: Where it is kept, if it is to be.
    """

    def __init__(self, plan: Plan, call: Call | SearchedAnswer, archive: ResponseArchive) -> None:
        self.id = plan.response.id
        self.builder = ResponseBuilder(plan)
        self._plan = plan
        self._call = call
        self._archive = archive
        self._created_at = plan.response.created_at * 1000

    async def answer(self) -> dict[str, Any]:
        """Run the call to its end and return the response.

        Raises:
            CallError: It failed; nothing is kept, as nobody knows the response's id.
        """
        async with aclosing(self._events()) as events:
            async for _ in events:
                pass
        self._keep()
        return self.builder.snapshot()

    async def stream(self) -> AsyncGenerator[WireEvent, None]:
        """Run the call and give the response's events; the first come with the first event of the call.

        A caller that goes away leaves a stored response behind as ``cancelled``.

        Raises:
            CallError: It failed before its first event. Later, the failure is the stream's last event.
        """
        begun = False
        if self.builder.response.store:
            self._archive.announce(self.id, self._record)
        try:
            async with aclosing(self._events()) as events:
                async for event in events:
                    begun = True
                    yield event
        except CallError as error:
            if not begun:
                raise
            for event in self.builder.fail(error):
                yield event
        except (asyncio.CancelledError, GeneratorExit):
            # Whoever reads the last event and closes has had all of it.
            if not self.builder.final:
                self.builder.cancel()
            raise
        finally:
            if begun:
                self._keep()
            self._archive.withdraw(self.id)

    def start(self, tasks: BackgroundTasks) -> EventLog:
        """Run the call behind the request; it ends with itself, by `BackgroundTasks.cancel`, or with the gateway."""
        log = EventLog()
        self._archive.announce(self.id, self._record)
        for event in self.builder.created():
            log.append(event)
        self._keep()
        tasks.start(self.id, self._run(log.append, tasks), log)
        return log

    async def _run(self, emit: Callable[[WireEvent], None], tasks: BackgroundTasks) -> None:
        try:
            async with aclosing(self._events(created=True)) as events:
                async for event in events:
                    emit(event)
        except CallCancelledError:
            self.builder.cancel()
        except CallError as error:
            for event in self.builder.fail(error):
                emit(event)
        except asyncio.CancelledError:
            if tasks.stopping:
                for event in self.builder.fail(ServiceUnavailableError(INTERRUPTED)):
                    emit(event)
            else:
                self.builder.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - the edge of a task: nobody else would hear of it
            for event in self.builder.fail(to_call_error(error, request_id=self._call.request_id)):
                emit(event)
        finally:
            self._keep()
            self._archive.withdraw(self.id)

    async def _events(self, *, created: bool = False) -> AsyncGenerator[WireEvent, None]:
        builder = self.builder
        if created:
            for event in builder.begin():
                yield event
        async with aclosing(_closable(self._call.run())) as events:
            async for given in events:
                if not created:
                    created = True
                    for event in (*builder.created(), *builder.begin()):
                        yield event
                for event in builder.add(given):
                    yield event
        for event in builder.finish():
            yield event

    def _record(self) -> StoredResponse:
        response = self.builder.response
        return StoredResponse(
            id=self.id,
            owner=self._call.caller.id,
            created_at=self._created_at,
            status=response.status,
            model=response.model,
            body=self.builder.record(),
            input_items=self._plan.input_items,
            previous_response_id=response.previous_response_id,
        )

    def _keep(self) -> None:
        if self.builder.response.store:
            self._archive.put(self._record())


async def _closable(events: AsyncIterator[CallEvent]) -> AsyncGenerator[CallEvent, None]:
    try:
        async for event in events:
            yield event
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()

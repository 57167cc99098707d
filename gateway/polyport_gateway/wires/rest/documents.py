"""``/v1/documents``: files read and cut."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing

from pydantic import BaseModel

from polyport.errors import CallError, InternalServerError
from polyport.events import Result
from polyport.types.documents import (
    ChunkerList,
    DocumentChunkRequest,
    DocumentFormatList,
    DocumentReadRequest,
)
from polyport_gateway.call import Call, Dispatch, DocumentWork
from polyport_gateway.knowledge.readers import ReadOptions
from polyport_gateway.reading.cutting import cut_document
from polyport_gateway.reading.forms import result_form
from polyport_gateway.reading.listing import describe_chunkers, describe_formats
from polyport_gateway.reading.options import read_options
from polyport_gateway.reading.service import READ_DOCUMENT, DocumentService
from polyport_gateway.reading.tools import CHUNK_DOCUMENT
from polyport_gateway.settings import Settings
from polyport_gateway.wires.http import (
    ClientGoneError,
    Receive,
    Scope,
    Send,
    info_of,
    run_until_disconnect,
    send_bytes,
    send_error,
    send_json,
)
from polyport_gateway.wires.rest.documents_bodies import read_request
from polyport_gateway.wires.rest.documents_paths import PATHS
from polyport_gateway.wires.router import Route

__all__ = ["DocumentsWire"]

Handler = Callable[[Scope, Receive, Send], Awaitable[None]]


class DocumentsWire:
    """The endpoints of documents.

    Every file is read as a call of `read_document` or `chunk_document`: that sees to limits, usage and cancellation.

    Args:
        service: The gateway's documents.
        dispatcher: The way through.
        settings: Limits on bodies.
    """

    def __init__(self, service: DocumentService, dispatcher: Dispatch, settings: Settings) -> None:
        self._service = service
        self._dispatcher = dispatcher
        self._settings = settings
        handlers: list[Handler] = [self._read, self._chunk, self._formats, self._chunkers]
        self.routes = [
            Route(method, path, _Endpoint(service, handler))
            for (method, path), handler in zip(PATHS, handlers, strict=True)
        ]

    async def _read(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read a file."""
        asked, name, data = await read_request(
            scope, receive, self._settings, self._service.plan.max_bytes, DocumentReadRequest
        )
        options = _options(asked, pictures=asked.assets or asked.to in ("html", "json"))

        async def work(call: Call) -> bytes:
            parsed = await self._service.read(data, name, options)
            return await self._service.in_thread(
                lambda: _written(result_form(parsed, asked.to, receipt=asked.receipt, assets=asked.assets))
            )

        await self._answer(scope, receive, send, READ_DOCUMENT, work)

    async def _chunk(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read a file and cut it."""
        asked, name, data = await read_request(
            scope, receive, self._settings, self._service.plan.max_bytes, DocumentChunkRequest
        )
        options = _options(asked, pictures=False)

        async def work(call: Call) -> bytes:
            chunks = await cut_document(
                self._service,
                call,
                name,
                data,
                options,
                spec=asked.with_,
                max_tokens=asked.max_tokens,
                tokenizer=asked.tokenizer,
                receipt=asked.receipt,
            )
            return await self._service.in_thread(lambda: _written(chunks))

        await self._answer(scope, receive, send, CHUNK_DOCUMENT, work)

    async def _formats(self, scope: Scope, receive: Receive, send: Send) -> None:
        """List what can be read."""
        found = await self._service.in_thread(describe_formats)
        await send_json(send, DocumentFormatList(data=found))

    async def _chunkers(self, scope: Scope, receive: Receive, send: Send) -> None:
        """List what cuts documents."""
        await send_json(send, ChunkerList(data=describe_chunkers()))

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send, name: str, work: Callable[[Call], Awaitable[bytes]]
    ) -> None:
        info = info_of(scope)
        call = Call(
            name=name,
            input=DocumentWork(work),
            caller=info.caller,
            wire="rest",
            request_id=info.request_id,
            traceparent=info.traceparent,
            dispatch=self._dispatcher,
        )
        await send_bytes(send, await run_until_disconnect(receive, _done(call)))


async def _done(call: Call) -> bytes:
    found: Result | None = None
    async with aclosing(call.run()) as events:
        async for event in events:
            if isinstance(event, Result):
                found = event
    if found is None:
        raise InternalServerError("The document ended without a result.")
    body: bytes = found.value
    return body


def _written(model: BaseModel) -> bytes:
    return model.model_dump_json(by_alias=True).encode()


def _options(asked: DocumentReadRequest, *, pictures: bool) -> ReadOptions:
    return read_options(
        strict=asked.strict,
        password=asked.password,
        format=asked.format,
        encoding=asked.encoding,
        hidden=asked.hidden,
        pictures=pictures,
        ocr=asked.ocr,
        engine=asked.engine,
    )


class _Endpoint:
    """One endpoint: refuses whoever may not have files read, and answers with errors."""

    def __init__(self, service: DocumentService, handler: Handler) -> None:
        self._service = service
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        info = info_of(scope)
        try:
            self._service.check(info.caller)
            await self._handler(scope, receive, send)
        except ClientGoneError:
            return
        except CallError as error:
            await send_error(send, error, request_id=info.request_id)

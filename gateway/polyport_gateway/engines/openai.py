"""`OpenAIEngine`: any server that speaks OpenAI's protocol, passed through as it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import orjson

from polyport.errors import BadRequestError, CallError, ConfigurationError, UnsupportedParameterError, UpstreamError
from polyport.events import Finish, Result, Usage
from polyport_gateway.call import Call, CallEvent, Chat, Completion, Embedding, Moderation, Operation, RawFrame, Rerank
from polyport_gateway.catalog.capability import ALL_FEATURES, Features
from polyport_gateway.engines.base import BaseEngine
from polyport_gateway.engines.failures import broken_off, from_answer, invalid, scrub
from polyport_gateway.engines.openai_events import AnswerReader, read_usage
from polyport_gateway.engines.openai_sniff import StreamWatch, sniff_answer
from polyport_gateway.engines.sse import DONE, EventSplitter, ends_stream, event_data
from polyport_gateway.engines.upstream import DEFAULT_BASE_URL, Upstream, read_key

if TYPE_CHECKING:
    from aiohttp import ClientResponse
    from yarl import URL

    from polyport_gateway.engines.transport import Transport

__all__ = ["OpenAIEngine"]

_ENDPOINTS = {
    Operation.CHAT: "/chat/completions",
    Operation.COMPLETION: "/completions",
    Operation.EMBEDDING: "/embeddings",
    Operation.MODERATION: "/moderations",
    Operation.RERANK: "/rerank",
}
_DEFAULT_OPERATIONS = (Operation.CHAT, Operation.COMPLETION, Operation.EMBEDDING)
_ERROR_BODY_LIMIT = 64 * 1024
_AFTER_DONE_S = 1.0
_MALFORMED = (AttributeError, KeyError, TypeError, ValueError)


class OpenAIEngine(BaseEngine):
    """A model behind an OpenAI-compatible URL.

    A call whose wire can send frames as they are gets the upstream's own bytes; only ``model`` is replaced
    on the way in. What the caller didn't ask for is not asked for either: a streamed answer whose caller
    left out ``stream_options.include_usage`` shows no usage, and is accounted for with none. Any other call
    gets events, and its usage always.

    >>> engine = OpenAIEngine("qwen3", base_url="http://127.0.0.1:8000/v1")
    >>> sorted(engine.operations)
    ['chat', 'completion', 'embedding']

    Args:
        model: The model's name as the upstream knows it.
        base_url: Where the upstream is, up to and with ``/v1``; its query is sent with every request.
        api_key: Its key; better kept out of code with `api_key_env`.
        api_key_env: The environment variable that holds the key. For OpenAI's own address this is
            ``OPENAI_API_KEY`` unless named; elsewhere no key is sent unless given.
        headers: Sent with every request; they override the engine's own.
        timeout_s: Seconds for which the upstream may send nothing; None for as long as the call may last.
        connect_timeout_s: Seconds that a new connection may take.
        operations: What the upstream offers, of ``chat``, ``completion``, ``embedding``, ``moderation`` and
            ``rerank``; the first three unless given.
        max_connections: Connections open at a time, 0 for no limit; further calls wait for one.
        max_answer_bytes: The largest answer taken that is not streamed.

    Raises:
        ConfigurationError: `base_url` is no http URL, or `operations` has an unknown one.
    """

    features: Features = ALL_FEATURES

    def __init__(
        self,
        model: str,
        *,
        base_url: str = DEFAULT_BASE_URL,
        api_key: str | None = None,
        api_key_env: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = 600.0,
        connect_timeout_s: float = 10.0,
        operations: Iterable[str] | None = None,
        max_connections: int = 1000,
        max_answer_bytes: int = 128 * 1024 * 1024,
    ) -> None:
        self._model = model
        self._upstream = Upstream.parse(base_url)
        self._api_key = api_key
        self._api_key_env = self._upstream.key_env(api_key, api_key_env)
        self._more_headers = dict(headers or {})
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._max_connections = max_connections
        self._max_answer_bytes = max_answer_bytes
        self.operations = _parse_operations(operations)
        self._headers: dict[str, str] | None = None
        self._secrets: tuple[str, ...] = ()
        self._urls: dict[Operation, URL] = {}
        self._transport: Transport | None = None
        self._importing: asyncio.Future[Any] | None = None

    async def start(self) -> None:
        """Read the key, and begin to load the HTTP client on another thread.

        Raises:
            ConfigurationError: The key's variable is not set.
        """
        key = read_key(self._model, self._api_key, self._api_key_env)
        self._headers = self._upstream.headers(key, self._more_headers)
        self._secrets = self._upstream.secrets(key, self._more_headers)
        self._importing = asyncio.get_running_loop().run_in_executor(
            None, import_module, "polyport_gateway.engines.transport"
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._importing is not None:
            await self._importing
            self._importing = None
        if self._transport is not None:
            await self._transport.close()
            self._transport = None

    def chat(self, call: Call, chat: Chat) -> AsyncIterator[CallEvent]:
        """Continue a conversation."""
        if not call.raw and "audio" in (chat.request.modalities or ()):
            raise UnsupportedParameterError(
                f"{call.name!r} can't answer with audio here; ask it over /v1/chat/completions.", param="modalities"
            )
        return self._generate(call, Operation.CHAT, chat.body, stream=chat.stream)

    def complete(self, call: Call, completion: Completion) -> AsyncIterator[CallEvent]:
        """Continue a text."""
        return self._generate(call, Operation.COMPLETION, completion.body, stream=bool(completion.request.stream))

    def embed(self, call: Call, embedding: Embedding) -> AsyncIterator[CallEvent]:
        """Embed texts."""
        if Operation.EMBEDDING not in self.operations:
            return super().embed(call, embedding)
        if call.raw:
            return self._raw_answer(call, Operation.EMBEDDING, embedding.body)
        return self._result(call, Operation.EMBEDDING, embedding.body)

    def moderate(self, call: Call, moderation: Moderation) -> AsyncIterator[CallEvent]:
        """Moderate texts."""
        if Operation.MODERATION not in self.operations:
            return super().moderate(call, moderation)
        if call.raw:
            return self._raw_answer(call, Operation.MODERATION, moderation.body)
        return self._result(call, Operation.MODERATION, moderation.body)

    def rerank(self, call: Call, rerank: Rerank) -> AsyncIterator[CallEvent]:
        """Order documents by their relevance to a query."""
        if Operation.RERANK not in self.operations:
            return super().rerank(call, rerank)
        if call.raw:
            return self._raw_answer(call, Operation.RERANK, rerank.body)
        return self._result(call, Operation.RERANK, rerank.body)

    def _generate(
        self, call: Call, operation: Operation, body: Mapping[str, Any], *, stream: bool
    ) -> AsyncIterator[CallEvent]:
        if call.raw:
            return self._raw_stream(call, operation, body) if stream else self._raw_answer(call, operation, body)
        return self._event_stream(call, operation, body) if stream else self._events(call, operation, body)

    async def _raw_answer(self, call: Call, operation: Operation, body: Mapping[str, Any]) -> AsyncIterator[CallEvent]:
        data = await self._ask(call, operation, body)
        try:
            seen = sniff_answer(data, operation)
        except ValueError as error:
            raise invalid(call.name, str(error)) from error
        yield RawFrame(data)
        for event in seen:
            yield event

    async def _raw_stream(self, call: Call, operation: Operation, body: Mapping[str, Any]) -> AsyncIterator[CallEvent]:
        transport, response = await self._open_stream(call, operation, body)
        splitter = EventSplitter()
        watch = StreamWatch()
        try:
            while not watch.done:
                chunk = await transport.read_some(call.name, response)
                frames = splitter.feed(chunk) if chunk else _last_frame(call.name, splitter)
                if frames:
                    clean = watch.look(frames)
                    if clean:
                        yield RawFrame(clean)
                    if watch.error is not None:
                        raise self._mid_stream(call.name, watch.error)
            await transport.finish(response, within_s=_AFTER_DONE_S)
        except ValueError as error:
            raise invalid(call.name, str(error)) from error
        finally:
            response.close()
        for event in watch.end():
            yield event

    async def _events(self, call: Call, operation: Operation, body: Mapping[str, Any]) -> AsyncIterator[CallEvent]:
        reader = AnswerReader()
        answer = await self._ask_object(call, operation, body)
        try:
            events = [*reader.read(answer), *reader.end()]
        except _MALFORMED as error:
            raise invalid(call.name, _problem(error)) from error
        for event in events:
            yield event

    async def _event_stream(
        self, call: Call, operation: Operation, body: Mapping[str, Any]
    ) -> AsyncIterator[CallEvent]:
        options = {**(body.get("stream_options") or {}), "include_usage": True}
        transport, response = await self._open_stream(call, operation, {**body, "stream_options": options})
        splitter = EventSplitter()
        reader = AnswerReader()
        done = False
        try:
            while not done:
                chunk = await transport.read_some(call.name, response)
                frames = splitter.feed(chunk) if chunk else _last_frame(call.name, splitter)
                for data in event_data(frames):
                    done = done or data.strip() == DONE
                    if done:
                        break
                    for event in reader.read(self._chunk(call.name, data)):
                        yield event
            ending = list(reader.end())
            await transport.finish(response, within_s=_AFTER_DONE_S)
        except CallError:
            raise
        except _MALFORMED as error:
            raise invalid(call.name, _problem(error)) from error
        finally:
            response.close()
        for event in ending:
            yield event

    async def _result(self, call: Call, operation: Operation, body: Mapping[str, Any]) -> AsyncIterator[CallEvent]:
        answer = await self._ask_object(call, operation, body)
        member = "data" if operation is Operation.EMBEDDING else "results"
        if not isinstance(answer.get(member), list):
            raise invalid(call.name, f"it has no {member}")
        yield Result(value=answer, text="")
        usage = read_usage(answer.get("usage"))
        if usage is not None:
            yield Usage(prompt_tokens=usage.prompt_tokens)
        yield Finish()

    def _chunk(self, name: str, data: bytes) -> dict[str, Any]:
        chunk = orjson.loads(data)
        if not isinstance(chunk, dict):
            raise TypeError("a chunk of its stream is not an object")
        if chunk.get("error"):
            raise self._mid_stream(name, chunk["error"])
        return chunk

    async def _ask_object(self, call: Call, operation: Operation, body: Mapping[str, Any]) -> dict[str, Any]:
        data = await self._ask(call, operation, body)
        try:
            answer = orjson.loads(data)
        except ValueError as error:
            raise invalid(call.name, "it is not JSON") from error
        if not isinstance(answer, dict):
            raise invalid(call.name, "it is not a JSON object")
        return answer

    async def _ask(self, call: Call, operation: Operation, body: Mapping[str, Any]) -> bytes:
        transport, response = await self._post(call, operation, body)
        try:
            return await transport.read(call.name, response, self._max_answer_bytes)
        finally:
            response.close()

    async def _open_stream(
        self, call: Call, operation: Operation, body: Mapping[str, Any]
    ) -> tuple[Transport, ClientResponse]:
        transport, response = await self._post(call, operation, body)
        if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
            response.close()
            raise invalid(call.name, f"it is {response.content_type}, not a stream of events")
        return transport, response

    async def _post(
        self, call: Call, operation: Operation, body: Mapping[str, Any]
    ) -> tuple[Transport, ClientResponse]:
        transport = self._transport or await self._connect()
        try:
            payload = orjson.dumps({**body, "model": self._model})
        except TypeError as error:
            raise BadRequestError(f"The request can't be written as JSON: {error}") from error
        url = self._urls[operation]
        response = await transport.post(call.name, url, payload, call.request_id, call.traceparent)
        if not 200 <= response.status < 300:
            raise await self._failure(call, transport, response)
        return transport, response

    async def _failure(self, call: Call, transport: Transport, response: ClientResponse) -> CallError:
        try:
            said = await transport.read(call.name, response, _ERROR_BODY_LIMIT)
        except CallError:
            said = b""
        finally:
            response.close()
        return from_answer(call.name, response.status, response.headers, said, model=self._model, secrets=self._secrets)

    def _mid_stream(self, name: str, error: object) -> UpstreamError:
        said = error.get("message") if isinstance(error, dict) else error
        text = scrub(said, self._secrets) if isinstance(said, str) and said else "it did not say why"
        return UpstreamError(f"The engine behind {name!r} failed in the middle of its answer: {text}")

    async def _connect(self) -> Transport:
        if self._headers is None:
            await self.start()
        if self._importing is not None:
            await asyncio.shield(self._importing)
        from yarl import URL

        from polyport_gateway.engines.transport import Transport

        # Another call may have come this far while the import ran.
        if self._transport is None:
            self._urls = {
                operation: URL(self._upstream.url(path), encoded=True) for operation, path in _ENDPOINTS.items()
            }
            self._transport = Transport(
                self._headers or {},
                timeout_s=self._timeout_s,
                connect_timeout_s=self._connect_timeout_s,
                max_connections=self._max_connections,
            )
        return self._transport


def _parse_operations(given: Iterable[str] | None) -> frozenset[Operation]:
    if given is None:
        return frozenset(_DEFAULT_OPERATIONS)
    names = [given] if isinstance(given, str) else list(given)
    known = {operation.value for operation in _ENDPOINTS}
    if unknown := sorted(set(names) - known):
        raise ConfigurationError(f"operations has {unknown}; an OpenAI-compatible upstream offers {sorted(known)}")
    return frozenset(Operation(name) for name in names)


def _last_frame(name: str, splitter: EventSplitter) -> bytes:
    """Return the last event of a body that has ended, if it is the one that should end it."""
    if not ends_stream(splitter.rest):
        raise broken_off(name)
    rest, splitter.rest = splitter.rest, b""
    return rest.rstrip() + b"\n\n"


def _problem(error: Exception) -> str:
    if isinstance(error, orjson.JSONDecodeError):
        return "it is not JSON"
    return str(error) if isinstance(error, ValueError | TypeError) else "it does not have the form of an answer"

"""``POST /v1/completions``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Any

from polyport.errors import CallError, UpstreamError
from polyport.events import Finish, TextDelta, Usage
from polyport.types.completions import CompletionRequest
from polyport_gateway.call import CallEvent, Completion, RawFrame
from polyport_gateway.wires.http import Scope, Send, info_of, send_bytes, send_json
from polyport_gateway.wires.openai.calls import JSONEndpoint, new_id, now, usage_body
from polyport_gateway.wires.openai.sse import DONE, EventStream, data_frame

__all__ = ["CompletionEndpoint"]

_LOGPROBS = ("tokens", "token_logprobs", "top_logprobs", "text_offset")


class CompletionEndpoint(JSONEndpoint):
    """Continue a text with a model that offers it."""

    async def handle(self, scope: Scope, body: dict[str, Any], send: Send) -> None:
        """Answer with one JSON body, or with a stream."""
        completion = Completion(CompletionRequest.model_validate(body), body)
        call = self.call(scope, completion.request.model, completion, raw=True)
        async with aclosing(call.run()) as events:
            if completion.request.stream:
                await self._stream(completion, events, send, info_of(scope).request_id)
            else:
                await self._answer(completion, events, send)

    async def _answer(self, completion: Completion, events: AsyncGenerator[CallEvent, None], send: Send) -> None:
        raw: bytes | None = None
        texts: dict[int, list[TextDelta]] = {}
        finished: dict[int, str] = {}
        usage: Usage | None = None
        async for event in events:
            match event:
                case RawFrame():
                    raw = event.data
                case TextDelta():
                    texts.setdefault(event.choice, []).append(event)
                case Finish():
                    finished[event.choice] = event.reason
                case Usage():
                    usage = event
                case _:
                    pass
        if raw is not None:
            await send_bytes(send, raw)
            return
        choices = [
            {
                "index": index,
                "text": "".join(delta.text for delta in texts.get(index, ())),
                "logprobs": _joined(texts.get(index, ())),
                "finish_reason": reason,
            }
            for index, reason in sorted(finished.items())
        ]
        await send_json(
            send,
            {
                "id": new_id("cmpl-"),
                "object": "text_completion",
                "created": now(),
                "model": completion.request.model,
                "choices": choices,
                "usage": usage_body(usage),
            },
        )

    async def _stream(
        self, completion: Completion, events: AsyncGenerator[CallEvent, None], send: Send, request_id: str
    ) -> None:
        stream = EventStream(send)
        options = completion.request.stream_options
        include_usage = bool(options and options.include_usage)
        head = {
            "id": new_id("cmpl-"),
            "object": "text_completion",
            "created": now(),
            "model": completion.request.model,
        }
        raw, usage = False, None
        try:
            async for event in events:
                match event:
                    case RawFrame():
                        raw = True
                        await stream.write(event.data)
                    case TextDelta() if not raw:
                        choice = _choice(event.choice, event.text, None, _joined([event]))
                        await stream.write(data_frame({**head, "choices": [choice]}))
                    case Finish() if not raw:
                        await stream.write(data_frame({**head, "choices": [_choice(event.choice, "", event.reason)]}))
                    case Usage():
                        usage = event
                    case _:
                        pass
        except CallError as error:
            if not stream.started:
                raise
            await stream.fail(error, request_id=request_id)
            return
        if not raw:
            if include_usage:
                await stream.write(data_frame({**head, "choices": [], "usage": usage_body(usage)}))
            await stream.write(DONE)
        await stream.end()


def _choice(index: int, text: str, reason: str | None, logprobs: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason}


def _joined(deltas: Iterable[TextDelta]) -> dict[str, Any] | None:
    """Return this endpoint's log-probabilities, an object of parallel lists, of all pieces together.

    Raises:
        UpstreamError: They are of another form, such as that of chats.
    """
    found = [entry for delta in deltas for entry in delta.logprobs or ()]
    if not found:
        return None
    if not all(isinstance(entry.get("tokens"), list) for entry in found):
        raise UpstreamError("The engine gave log-probabilities that are none of a completion.")
    names = [name for name in _LOGPROBS if any(entry.get(name) is not None for entry in found)]
    if not all(entry.get("text_offset") for entry in found):
        names = [name for name in names if name != "text_offset"]  # places can't be null, as the others can
    joined: dict[str, Any] = {name: [] for name in names}
    for entry in found:
        for name in names:
            joined[name].extend(entry.get(name) or [None] * len(entry["tokens"]))
    return joined

"""`Engine`: the protocol behind every model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol, runtime_checkable

from polyport.errors import UnsupportedOperationError
from polyport_gateway.call import Call, CallEvent, Chat, Completion, Embedding, Moderation, Operation, Rerank
from polyport_gateway.catalog.capability import Features

__all__ = ["BaseEngine", "Engine"]


@runtime_checkable
class Engine(Protocol):
    """Something that runs a model.

    An engine is built with ``model=`` and the declaration's options as keyword arguments; an option it
    doesn't know is a `TypeError`, which the gateway reports as a configuration error. It connects in
    `start`, not before.

    Attributes:
        operations: What it can do; the others are refused before it is asked.
        features: Parts of a request it honours (`ALL_FEATURES` when it passes bodies through); a request
            that uses another is refused with 400 before the engine is asked.

    Each method is an async generator of events. A chat gives text, reasoning, refusal and tool-call
    deltas, one `Finish` per choice and, where known, one `Usage`; an embedding, moderation or reranking gives one
    `Result` whose value is the endpoint's JSON body. When `call.raw` is set, an engine that speaks OpenAI's protocol
    may give `RawFrame` instead: the whole JSON body of a plain answer, or pieces of the SSE stream. It then
    must still give the `Usage` that it saw in passing. Failures are `CallError`; being cancelled must end
    the upstream request at once.
    """

    operations: frozenset[Operation]
    features: Features

    async def start(self) -> None:
        """Open connections; called once, on the gateway's loop."""
        ...

    async def close(self) -> None:
        """Close them."""
        ...

    def chat(self, call: Call, chat: Chat) -> AsyncIterator[CallEvent]:
        """Continue a conversation."""
        ...

    def complete(self, call: Call, completion: Completion) -> AsyncIterator[CallEvent]:
        """Continue a text."""
        ...

    def embed(self, call: Call, embedding: Embedding) -> AsyncIterator[CallEvent]:
        """Embed texts."""
        ...

    def moderate(self, call: Call, moderation: Moderation) -> AsyncIterator[CallEvent]:
        """Moderate texts."""
        ...

    def rerank(self, call: Call, rerank: Rerank) -> AsyncIterator[CallEvent]:
        """Order documents by their relevance to a query."""
        ...


class BaseEngine:
    """An engine that can do nothing yet: override what yours can, and name it in `operations`."""

    operations: frozenset[Operation] = frozenset()
    features: Features = frozenset()

    async def start(self) -> None:
        """Open nothing."""

    async def close(self) -> None:
        """Close nothing."""

    def chat(self, call: Call, chat: Chat) -> AsyncIterator[CallEvent]:
        """Refuse."""
        raise _unsupported(call, Operation.CHAT)

    def complete(self, call: Call, completion: Completion) -> AsyncIterator[CallEvent]:
        """Refuse."""
        raise _unsupported(call, Operation.COMPLETION)

    def embed(self, call: Call, embedding: Embedding) -> AsyncIterator[CallEvent]:
        """Refuse."""
        raise _unsupported(call, Operation.EMBEDDING)

    def moderate(self, call: Call, moderation: Moderation) -> AsyncIterator[CallEvent]:
        """Refuse."""
        raise _unsupported(call, Operation.MODERATION)

    def rerank(self, call: Call, rerank: Rerank) -> AsyncIterator[CallEvent]:
        """Refuse."""
        raise _unsupported(call, Operation.RERANK)


def _unsupported(call: Call, operation: Operation) -> UnsupportedOperationError:
    return UnsupportedOperationError(f"{call.name!r} does not offer {operation.value}", param="model")

"""``/v1/embeddings``, ``/v1/moderations`` and ``/v1/rerank``: one question, one JSON body."""

from __future__ import annotations

from base64 import b64encode
from contextlib import aclosing
from struct import pack
from typing import Any

from polyport.errors import BadRequestError, UpstreamError
from polyport.events import Result
from polyport.types.embeddings import EmbeddingRequest
from polyport.types.moderations import ModerationRequest
from polyport.types.rerank import RerankRequest
from polyport_gateway.call import Embedding, Input, Moderation, RawFrame, Rerank
from polyport_gateway.wires.http import Scope, Send, send_bytes, send_json
from polyport_gateway.wires.openai.calls import JSONEndpoint

__all__ = ["EmbeddingEndpoint", "ModerationEndpoint", "RerankEndpoint"]


class _BodyEndpoint(JSONEndpoint):
    """An endpoint whose answer is the capability's one `Result` or `RawFrame`."""

    async def answer(self, scope: Scope, name: str, given: Input, send: Send) -> None:
        call = self.call(scope, name, given, raw=True)
        raw: bytes | None = None
        result: Result | None = None
        async with aclosing(call.run()) as events:
            async for event in events:
                if isinstance(event, RawFrame):
                    raw = event.data
                elif isinstance(event, Result):
                    result = event
        if raw is not None:
            await send_bytes(send, raw)
        elif result is not None:
            await send_json(send, self.form(given, result.value))
        else:
            raise UpstreamError(f"{name!r} ended without an answer.")

    def form(self, given: Input, body: Any) -> Any:
        """Return a result's body in the form that was asked for."""
        return body


class EmbeddingEndpoint(_BodyEndpoint):
    """Embed texts."""

    def form(self, given: Input, body: Any) -> Any:
        """Give base64 where it was asked for, also of an engine that knows floats alone."""
        if not isinstance(given, Embedding) or given.request.encoding_format != "base64":
            return body
        return {**body, "data": [{**entry, "embedding": _base64(entry["embedding"])} for entry in body["data"]]}

    async def handle(self, scope: Scope, body: dict[str, Any], send: Send) -> None:
        """Answer with a list of vectors."""
        request = EmbeddingRequest.model_validate(body)
        if request.input in ("", []):
            raise BadRequestError("input is empty; give a text or a list of texts.", param="input")
        await self.answer(scope, request.model, Embedding(request, body), send)


class ModerationEndpoint(_BodyEndpoint):
    """Moderate texts."""

    async def handle(self, scope: Scope, body: dict[str, Any], send: Send) -> None:
        """Answer with the verdicts."""
        request = ModerationRequest.model_validate(body)
        if not request.model:
            raise BadRequestError("model is missing; name a model that offers moderations.", param="model")
        await self.answer(scope, request.model, Moderation(request, body), send)


class RerankEndpoint(_BodyEndpoint):
    """Order documents by their relevance to a query; not OpenAI's own, but beside it wherever rerankers are served."""

    async def handle(self, scope: Scope, body: dict[str, Any], send: Send) -> None:
        """Answer with the documents' places and scores."""
        request = RerankRequest.model_validate(body)
        if not request.query.strip():
            raise BadRequestError("query is empty; give a text to compare the documents with.", param="query")
        if not request.documents:
            raise BadRequestError("documents is empty; give a list of texts.", param="documents")
        await self.answer(scope, request.model, Rerank(request, body), send)


def _base64(vector: Any) -> Any:
    """Return a vector as little-endian float32 in base64, which it may be already."""
    return vector if isinstance(vector, str) else b64encode(pack(f"<{len(vector)}f", *vector)).decode("ascii")

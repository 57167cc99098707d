"""Answers from knowledge bases, and the progress of their jobs, as they come."""

from __future__ import annotations

from typing import Any, TypeAlias

import httpx
from pydantic import ValidationError

from polyport.client.decoding import mid_stream
from polyport.client.requests import loads
from polyport.client.sse import SSEDecoder
from polyport.client.streams import AsyncEventStream, EventStream
from polyport.content import Citation
from polyport.errors import APIConnectionError, CallCancelledError, InternalServerError, UpstreamError
from polyport.events import CitationAdded, Progress, TextDelta
from polyport.types.knowledge import KnowledgeAnswer, KnowledgeJob

__all__ = ["AskDecoder", "AskEvent", "AsyncKnowledgeStream", "JobDecoder", "KnowledgeStream", "checked"]

AskEvent: TypeAlias = TextDelta | CitationAdded | Progress | KnowledgeAnswer
"""A piece of the answer, a source of what came so far, what is being done; and last the whole answer."""

_CITED = ("title", "url", "document", "text", "start", "end", "page", "score", "source")


class AskDecoder:
    """An answer's stream."""

    def __init__(self) -> None:
        self.request_id: str | None = None
        self.answer: KnowledgeAnswer | None = None
        self._sse = SSEDecoder()

    def feed(self, data: bytes) -> list[AskEvent]:
        """Take a piece and return the events it completes."""
        found: list[AskEvent] = []
        for event in self._sse.feed(data):
            body = _object(event.data, event.event, self.request_id)
            try:
                self._take(event.event, body, found)
            except (ValidationError, TypeError, KeyError) as error:
                raise UpstreamError(
                    f"The stream has an event {event.event!r} that can't be read: {error}", request_id=self.request_id
                ) from error
        return found

    def _take(self, kind: str, body: dict[str, Any], found: list[AskEvent]) -> None:
        match kind:
            case "text":
                found.append(TextDelta(body["text"]))
            case "citation":
                cited = body["citation"]
                found.append(CitationAdded(Citation(**{key: cited[key] for key in _CITED if key in cited})))
            case "progress":
                found.append(Progress(body.get("progress") or 0, message=body.get("message")))
            case "answer":
                self.answer = KnowledgeAnswer.model_validate(body["answer"])
                found.append(self.answer)
            case _:
                pass  # from a newer gateway

    def finish(self) -> None:
        """Take the end."""
        if self.answer is None:
            raise APIConnectionError("The stream ended before the answer was whole", request_id=self.request_id)


class JobDecoder:
    """A job's stream."""

    def __init__(self) -> None:
        self.request_id: str | None = None
        self.job: KnowledgeJob | None = None
        self._sse = SSEDecoder()

    def feed(self, data: bytes) -> list[KnowledgeJob]:
        """Take a piece and return how the job was at each of the events it completes."""
        found: list[KnowledgeJob] = []
        for event in self._sse.feed(data):
            body = _object(event.data, event.event, self.request_id)
            if event.event != "job":
                continue
            try:
                self.job = KnowledgeJob.model_validate(body)
            except ValidationError as error:
                raise UpstreamError(
                    f"The stream has a job that can't be read: {error}", request_id=self.request_id
                ) from error
            found.append(self.job)
        return found

    def finish(self) -> None:
        """Take the end."""
        if self.job is None or not self.job.finished:
            raise APIConnectionError("The stream ended before the job did", request_id=self.request_id)


def _object(data: str, kind: str, request_id: str | None) -> dict[str, Any]:
    body = loads(data)
    if not isinstance(body, dict):
        raise UpstreamError(f"The stream has an event that is no JSON object: {data[:80]!r}", request_id=request_id)
    if kind == "error" and isinstance(body.get("error"), dict):
        raise mid_stream(body, request_id=request_id)
    return body


def checked(job: KnowledgeJob) -> KnowledgeJob:
    """Return a job that came to a good end; single documents may have failed all the same (`KnowledgeJob.errors`).

    Raises:
        CallCancelledError: It was cancelled.
        InternalServerError: It failed.
    """
    if job.status == "cancelled":
        raise CallCancelledError(f"The job {job.id} on {job.knowledge!r} was cancelled.")
    if job.status == "failed":
        raise InternalServerError(
            f"The job {job.id} on {job.knowledge!r} failed: {job.error or 'the gateway says no more'}",
            code="job_failed",
        )
    return job


class KnowledgeStream(EventStream[AskEvent]):
    """An answer as it comes.

    >>> with Client().knowledge.ask("handbook", "How is tea made?", stream=True) as stream:  # doctest: +SKIP
    ...     for event in stream:
    ...         print(event)
    """

    def __init__(self, response: httpx.Response) -> None:
        self._ask = AskDecoder()
        super().__init__(response, self._ask)

    def __enter__(self) -> KnowledgeStream:
        return self

    def collect(self) -> KnowledgeAnswer:
        """Wait for the end and return the whole answer."""
        for _ in self:
            pass
        assert self._ask.answer is not None  # noqa: S101 - the decoder has refused a stream without one
        return self._ask.answer


class AsyncKnowledgeStream(AsyncEventStream[AskEvent]):
    """An answer as it comes."""

    def __init__(self, response: httpx.Response) -> None:
        self._ask = AskDecoder()
        super().__init__(response, self._ask)

    async def __aenter__(self) -> AsyncKnowledgeStream:
        return self

    async def collect(self) -> KnowledgeAnswer:
        """Wait for the end and return the whole answer."""
        async for _ in self:
            pass
        assert self._ask.answer is not None  # noqa: S101 - the decoder has refused a stream without one
        return self._ask.answer

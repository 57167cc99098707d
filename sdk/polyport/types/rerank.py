"""Reranking, in the form that Jina, Cohere and vLLM share; OpenAI has none."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from polyport.types.base import RequestModel, WireModel
from polyport.types.embeddings import EmbeddingUsage

__all__ = ["RerankDocument", "RerankRequest", "RerankResponse", "RerankResult"]


class RerankDocument(WireModel):
    """A document as an object."""

    text: str


class RerankRequest(RequestModel):
    """The body of ``POST /v1/rerank``.

    Attributes:
        documents: Texts, or objects with a ``text``.
        top_n: How many of the best to give; all by default.
        return_documents: Whether each result carries its document.
    """

    model: str = Field(min_length=1)
    query: str
    documents: list[str | RerankDocument]
    top_n: int | None = Field(default=None, ge=1)
    return_documents: bool | None = None

    def texts(self) -> list[str]:
        """Return the documents' texts."""
        return [document if isinstance(document, str) else document.text for document in self.documents]


class RerankResult(WireModel):
    """One document's place.

    Attributes:
        index: Where it was in the request's documents.
        relevance_score: Higher is more relevant; comparable only within one model.
        document: The document, if it was asked for.
    """

    index: int
    relevance_score: float
    document: RerankDocument | str | dict[str, Any] | None = None


class RerankResponse(WireModel):
    """The answer of ``POST /v1/rerank``; the most relevant first."""

    id: str | None = None
    model: str | None = None
    results: list[RerankResult]
    usage: EmbeddingUsage | None = None

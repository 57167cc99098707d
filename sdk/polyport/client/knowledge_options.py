"""What can be said of a search, a question and a new knowledge base, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from polyport.declarations import FieldType
from polyport.types.knowledge import SearchMode

__all__ = ["AskOptions", "BaseOptions", "ReindexOptions", "SearchOptions"]


class SearchOptions(TypedDict, total=False):
    """How to search.

    Attributes:
        limit: Passages, 1 to 100; 5 by default.
        filter: On metadata: ``{"year": 2025}``, ``{"year": {"gte": 2020}}``.
        mode: ``auto``, ``hybrid``, ``dense`` or ``bm25``.
        embedder: Which of the base's embedders.
        hops: Whether links between documents are followed.
        rerank: Whether to rerank.
        diversity: How much unlikeness counts against relevance, 0 to 1.
        expand: What is shown around what was found: ``parent``, ``window`` or ``none``.
        max_tokens: Keep only the sentences that matter, so many tokens.
        self_query: Whether conditions in the question become a filter.
        min_score: Drop what scores less.
        timeout_s: Seconds after which a slow base is left out.
    """

    limit: int
    filter: Mapping[str, Any] | None
    mode: SearchMode
    embedder: str | None
    hops: bool | None
    rerank: bool | None
    diversity: float | None
    expand: Literal["parent", "window", "none"] | None
    max_tokens: int | None
    self_query: bool
    min_score: float | None
    timeout_s: float | None


class AskOptions(SearchOptions, total=False):
    """How to answer, besides how to search.

    Attributes:
        model: Writes the answer; ``"none"`` for sentences as they are.
        threshold: How much of the question passages must cover for an answer, 0 to 1.
        language: Of the answer; the question's by default.
        max_sentences: Of an answer made without a model.
    """

    model: str | None
    threshold: float | None
    language: str | None
    max_sentences: int | None


class ReindexOptions(TypedDict, total=False):
    """What is to be another from now on, and so has everything built anew.

    Attributes:
        chunker: Such as ``Sentences(max_tokens=256)``; None: by what each document is.
        embedder: Names of models; None for BM25 alone.
        index: The kind of index.
        index_options: Its own.
        fields: Metadata that is indexed, with its type.
    """

    chunker: str | None
    embedder: str | Sequence[str] | None
    index: str
    index_options: Mapping[str, Any]
    fields: Mapping[str, FieldType] | None


class BaseOptions(ReindexOptions, total=False):
    """How a knowledge base is to be; see `polyport.App.knowledge`."""

    description: str | None
    sources: Sequence[str]
    reranker: str | None
    model: str | None
    keywords: str | None
    keywords_version: int
    on_keywords_change: Literal["deferred", "batch"]
    hops: bool
    expand: Literal["parent", "window", "none"]
    threshold: float | None
    prompts: Mapping[str, str]
    watch: bool
    metadata: Mapping[str, Any]
    tags: Sequence[str]
    timeout_s: float | None

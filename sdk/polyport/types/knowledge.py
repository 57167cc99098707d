"""Knowledge bases: what is searched and found, asked and answered, as every wire has it."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import ConfigDict, Field

from polyport.declarations import FieldType
from polyport.types.base import RequestModel, WireModel

__all__ = [
    "AskRequest",
    "JobKind",
    "JobStatus",
    "KnowledgeAnswer",
    "KnowledgeBase",
    "KnowledgeBaseList",
    "KnowledgeChange",
    "KnowledgeChangeList",
    "KnowledgeCitation",
    "KnowledgeCreateRequest",
    "KnowledgeDocument",
    "KnowledgeDocumentList",
    "KnowledgeHit",
    "KnowledgeHop",
    "KnowledgeJob",
    "KnowledgeJobList",
    "KnowledgeKeywords",
    "KnowledgeResults",
    "KnowledgeRoute",
    "LeftOut",
    "SearchMode",
    "SearchRequest",
    "SourceError",
]

SearchMode: TypeAlias = Literal["auto", "hybrid", "dense", "bm25"]
"""How to find: ``auto`` is hybrid where a base has an embedder, BM25 where it has none."""

JobKind: TypeAlias = Literal["ingest", "rekey", "reindex"]
JobStatus: TypeAlias = Literal["queued", "running", "completed", "failed", "cancelled"]


class KnowledgeHop(WireModel):
    """A step from one passage to another, and the clue that led there."""

    source: int = Field(description="The chunk that led there.")
    source_title: str = ""
    target: int = Field(description="The chunk that it led to.")
    target_title: str = ""
    clue: str = Field(description="What both have.")
    direction: Literal["forward", "backward", "sideways"]
    query: str = Field(description="What was asked there.")
    score: float


class KnowledgeHit(WireModel):
    """A passage that was found, where it stands, and why it was chosen."""

    knowledge: str = Field(description="The knowledge base's name.")
    document: str = Field(description="The document's id.")
    chunk: int = Field(description="The chunk's number in its knowledge base.")
    title: str
    text: str
    score: float = Field(description="Higher is better; only scores of one answer compare.")
    source: str | None = Field(default=None, description="Where the document is from: a path or an address.")
    page: int | None = Field(default=None, description="The first page that it is from, from 1.")
    pages: list[int] = Field(default_factory=list)
    span: tuple[int, int] | None = Field(
        default=None, description="First character in the document's text, and one past the last."
    )
    cells: str | None = Field(default=None, description="The cells of a sheet that it is from, such as Prices!A2:D9.")
    excerpts: list[tuple[int, int]] | None = Field(
        default=None, description="Where the parts of the text stand, when sentences between them were left out."
    )
    heading_path: list[str] = Field(default_factory=list)
    metadata: dict[str, Any] = Field(default_factory=dict)
    tags: list[str] = Field(default_factory=list)
    scores: dict[str, float] = Field(default_factory=dict, description="By stage: bm25, dense, fused, hop, rerank.")
    why: str = Field(default="", description="Why it was chosen, in a sentence.")
    chain: list[KnowledgeHop] = Field(default_factory=list, description="The steps that led to it.")
    duplicates: list[str] = Field(
        default_factory=list, description="Documents that say the same, as KNOWLEDGE/DOCUMENT; shown once."
    )


class LeftOut(WireModel):
    """A knowledge base whose part of an answer is missing."""

    knowledge: str
    code: str = Field(description="timeout, unavailable, not_ready …")
    reason: str


class KnowledgeRoute(WireModel):
    """How well a knowledge base suits a question."""

    knowledge: str
    score: float
    why: str = ""


class SearchRequest(RequestModel):
    """The body of ``POST /v1/knowledge/search``.

    >>> SearchRequest(query="tea").limit
    5
    """

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    query: str
    knowledge: str | list[str] | None = Field(
        default=None, description="Names of knowledge bases; the ones that the question concerns when left out."
    )
    limit: int = Field(default=5, ge=1, le=100)
    filter: dict[str, Any] | None = Field(
        default=None, description='On metadata: {"year": 2025}, {"year": {"gte": 2020}}, or as OpenAI writes filters.'
    )
    mode: SearchMode = "auto"
    embedder: str | None = Field(default=None, description="Which of the base's embedders; its first when left out.")
    hops: bool | None = Field(default=None, description="Whether links are followed; the base's own when left out.")
    rerank: bool | None = Field(
        default=None, description="Whether to rerank; where the base has a reranker by default."
    )
    diversity: float | None = Field(
        default=None, ge=0, le=1, description="How much unlikeness counts against relevance; none when left out."
    )
    expand: Literal["parent", "window", "none"] | None = Field(
        default=None, description="What is shown around what was found; the base's own when left out."
    )
    max_tokens: int | None = Field(
        default=None, ge=1, description="Keep only the sentences that matter, so many tokens."
    )
    self_query: bool = Field(default=False, description="Whether conditions in the question become a filter.")
    min_score: float | None = Field(default=None, description="Drop what scores less.")
    timeout_s: float | None = Field(default=None, gt=0, description="Seconds after which a slow base is left out.")


class KnowledgeResults(WireModel):
    """What was found, the best first."""

    object: Literal["knowledge.results"] = "knowledge.results"
    query: str
    data: list[KnowledgeHit]
    mode: SearchMode = Field(description="How it was found.")
    searched: list[str] = Field(default_factory=list)
    routed: list[KnowledgeRoute] = Field(default_factory=list)
    left_out: list[LeftOut] = Field(default_factory=list)
    filter: dict[str, Any] | None = Field(default=None, description="As it was applied.")
    notes: list[str] = Field(default_factory=list)
    took_ms: float = 0.0


class AskRequest(SearchRequest):
    """The body of ``POST /v1/knowledge/ask``: a question, or a conversation that ends with one."""

    query: str = ""
    messages: list[dict[str, Any]] | None = Field(
        default=None, description="A conversation instead; its last question is put so that it stands by itself."
    )
    model: str | None = Field(
        default=None, description='Writes the answer; the base\'s own when left out, "none" for sentences as they are.'
    )
    stream: bool = False
    threshold: float | None = Field(
        default=None, ge=0, le=1, description="How much of the question passages must cover for an answer."
    )
    language: str | None = Field(default=None, description="Of the answer; the question's when left out.")
    max_sentences: int | None = Field(default=None, ge=1, le=50, description="Of an answer made without a model.")


class KnowledgeCitation(WireModel):
    """What one sentence of an answer rests on: an exact span of a document."""

    start: int = Field(description="First character of the sentence in the answer.")
    end: int = Field(description="One past its last.")
    number: int = Field(description="The number of the source in the answer, from 1.")
    knowledge: str
    document: str
    chunk: int
    title: str
    quote: str = Field(description="The words of the document.")
    span: tuple[int, int] | None = Field(default=None, description="Where they stand in the document's text.")
    source: str | None = None
    page: int | None = None
    cells: str | None = None
    heading_path: list[str] = Field(default_factory=list)
    support: float = Field(default=1.0, description="How much of the sentence the quote supports, 0 to 1.")


class KnowledgeAnswer(WireModel):
    """An answer whose sentences can be checked."""

    object: Literal["knowledge.answer"] = "knowledge.answer"
    text: str
    found: bool = Field(description="Whether the documents say anything on it.")
    citations: list[KnowledgeCitation] = Field(default_factory=list)
    dropped: int = Field(default=0, description="Citations that did not support their sentence.")
    chain: list[KnowledgeHop] = Field(default_factory=list)
    hits: list[KnowledgeHit] = Field(default_factory=list)
    left_out: list[LeftOut] = Field(default_factory=list)
    question: str = Field(
        default="", description="What was searched for: a follow-up, put so that it stands by itself."
    )
    model: str | None = Field(default=None, description="What wrote it; null for sentences taken as they are.")
    language: str | None = None
    mode: SearchMode = "auto"
    searched: list[str] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    usage: dict[str, int] | None = None
    took_ms: float = 0.0


class KnowledgeKeywords(WireModel):
    """How a base's documents get their keywords."""

    function: str | None = Field(default=None, description="The registered function that makes them; built in if null.")
    version: int = 1
    behind: int = Field(default=0, description="Documents whose keywords an earlier version made.")


class KnowledgeCreateRequest(RequestModel):
    """The body of ``POST /v1/knowledge``.

    >>> KnowledgeCreateRequest(name="handbook").index
    'qdrant-edge'
    """

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    name: str
    description: str | None = None
    sources: list[str] = Field(default_factory=list, description="Folders, files and addresses.")
    embedder: str | list[str] | None = Field(default=None, description="Names of models; BM25 alone without.")
    reranker: str | None = Field(default=None, description="The name of a model.")
    model: str | None = Field(default=None, description="Writes answers; without, they are taken from the documents.")
    chunker: str | None = Field(default=None, description="Such as Sentences(max_tokens=256).")
    index: str = "qdrant-edge"
    index_options: dict[str, Any] = Field(default_factory=dict)
    fields: dict[str, FieldType] | None = Field(
        default=None, description="Metadata that is indexed: keyword, integer, float, bool or datetime by name."
    )
    keywords: str | None = Field(default=None, description="A registered function that makes keywords of a text.")
    keywords_version: int = Field(default=1, ge=1, description="Raised when it gives something else for a text.")
    on_keywords_change: Literal["deferred", "batch"] = Field(
        default="deferred", description="Whether earlier documents keep their keywords, or are worked through again."
    )
    hops: bool = True
    expand: Literal["parent", "window", "none"] = "parent"
    threshold: float | None = Field(default=None, ge=0, le=1)
    prompts: dict[str, str] = Field(default_factory=dict, description="Templates of one's own, by name.")
    watch: bool = Field(default=False, description="Whether its folders are looked at again and again.")
    metadata: dict[str, Any] = Field(default_factory=dict, description="What every document of the sources has.")
    tags: list[str] = Field(default_factory=list, description="As well.")
    timeout_s: float | None = Field(default=None, gt=0, description="Seconds after which a question is cancelled.")


class KnowledgeBase(WireModel):
    """A knowledge base, and how it is."""

    object: Literal["knowledge.base"] = "knowledge.base"
    name: str
    description: str | None = None
    state: Literal["ready", "ingesting", "rekeying", "reindexing", "failed"] = "ready"
    error: str | None = None
    mode: SearchMode = Field(default="bm25", description="How it is searched unless asked otherwise.")
    documents: int = 0
    failed: int = Field(default=0, description="Documents that could not be read.")
    chunks: int = 0
    bytes: int = Field(default=0, description="Of its index, on disk.")
    sources: list[str] = Field(default_factory=list)
    embedders: list[str] = Field(default_factory=list)
    reranker: str | None = None
    model: str | None = None
    chunker: str | None = None
    index: str = "qdrant-edge"
    fields: dict[str, str] | None = None
    keywords: KnowledgeKeywords = Field(default_factory=KnowledgeKeywords)
    generation: int = 1
    watch: bool = False
    declared: bool = Field(
        default=False, description="Whether the app declares it, rather than a caller having made it."
    )
    created_at: int = Field(default=0, description="Seconds since 1970.")
    updated_at: int = 0


class KnowledgeBaseList(WireModel):
    """The knowledge bases that a caller may use."""

    object: Literal["list"] = "list"
    data: list[KnowledgeBase]


class KnowledgeDocument(WireModel):
    """A document of a knowledge base."""

    object: Literal["knowledge.document"] = "knowledge.document"
    id: str
    knowledge: str
    title: str
    source: str = Field(description="Its key: the path, the address or the name that it was added under.")
    status: Literal["ready", "failed"] = "ready"
    error: str | None = None
    bytes: int = 0
    sha256: str = ""
    format: str | None = None
    language: str | None = None
    pages: int | None = None
    chunks: int = 0
    version: int = 1
    metadata: dict[str, Any] = Field(default_factory=dict)
    tags: list[str] = Field(default_factory=list)
    keywords: list[str] = Field(default_factory=list)
    keywords_version: int = 1
    receipt: dict[str, Any] | None = None
    added_at: int = Field(default=0, description="Seconds since 1970.")
    updated_at: int = 0


class KnowledgeDocumentList(WireModel):
    """Documents, one page of them."""

    object: Literal["list"] = "list"
    data: list[KnowledgeDocument]
    total: int | None = None
    has_more: bool = False
    next: str | None = Field(default=None, description="What to hand in as `after` for the next page.")


class SourceError(WireModel):
    """What could not be taken in, and why."""

    source: str
    message: str
    code: str | None = None


class KnowledgeJob(WireModel):
    """Work on a knowledge base that outlives a request."""

    object: Literal["knowledge.job"] = "knowledge.job"
    id: str
    knowledge: str
    kind: JobKind
    status: JobStatus
    done: int = 0
    total: int | None = None
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: int = 0
    message: str | None = Field(default=None, description="What is being done.")
    error: str | None = None
    errors: list[SourceError] = Field(default_factory=list, description="The first hundred.")
    created_at: int = 0
    started_at: int | None = None
    finished_at: int | None = None

    @property
    def finished(self) -> bool:
        """Whether it has come to its end, whichever."""
        return self.status in ("completed", "failed", "cancelled")


class KnowledgeJobList(WireModel):
    """Jobs, the newest first."""

    object: Literal["list"] = "list"
    data: list[KnowledgeJob]


class KnowledgeChange(WireModel):
    """A line of a knowledge base's update log."""

    at: int = Field(description="Milliseconds since 1970.")
    action: str = Field(
        description="created, added, updated, removed, failed, rekeyed, reindexed, configured, dropped."
    )
    document: str | None = None
    source: str | None = None
    job: str | None = None
    by: str | None = Field(default=None, description="The key's id.")
    details: dict[str, Any] = Field(default_factory=dict)


class KnowledgeChangeList(WireModel):
    """A knowledge base's update log, the newest first."""

    object: Literal["list"] = "list"
    data: list[KnowledgeChange]
    has_more: bool = False

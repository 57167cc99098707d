"""OpenAI's vector stores: knowledge bases, their files, and what is found in them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import ConfigDict, Field, StringConstraints

from polyport.types.base import RequestModel, WireModel

__all__ = [
    "Attributes",
    "AutoChunking",
    "FileBatchRequest",
    "HybridSearch",
    "RankingOptions",
    "StaticChunking",
    "StaticChunkingSizes",
    "VectorStore",
    "VectorStoreChangeRequest",
    "VectorStoreDeleted",
    "VectorStoreExpiry",
    "VectorStoreFile",
    "VectorStoreFileBatch",
    "VectorStoreFileChangeRequest",
    "VectorStoreFileContent",
    "VectorStoreFileDeleted",
    "VectorStoreFileList",
    "VectorStoreFileRequest",
    "VectorStoreList",
    "VectorStoreRequest",
    "VectorStoreSearchRequest",
    "VectorStoreSearchResults",
]

Key: TypeAlias = Annotated[str, StringConstraints(max_length=64)]
Value: TypeAlias = Annotated[str, StringConstraints(max_length=512)]
Metadata: TypeAlias = Annotated[dict[Key, Value], Field(max_length=16)]
Attributes: TypeAlias = Annotated[dict[Key, bool | float | int | Value], Field(max_length=16)]
"""What a file of a vector store is labelled with, for filters."""


# What is asked. OpenAI allows no further members here. Schemas are made when first used, as those below.


class Asked(RequestModel):
    """What is asked of vector stores."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)


class VectorStoreExpiry(Asked):
    """When a vector store expires: so many days after it was last used."""

    anchor: Literal["last_active_at"]
    days: int = Field(ge=1, le=365)


class StaticChunkingSizes(Asked):
    """How long chunks are, and how much each repeats of the one before."""

    max_chunk_size_tokens: int = Field(ge=100, le=4096)
    chunk_overlap_tokens: int = Field(ge=0)


class StaticChunking(Asked):
    """Chunks of a fixed number of tokens."""

    type: Literal["static"] = "static"
    static: StaticChunkingSizes


class AutoChunking(Asked):
    """Chunks as the gateway finds them best."""

    type: Literal["auto"] = "auto"


Chunking: TypeAlias = Annotated[StaticChunking | AutoChunking, Field(discriminator="type")]


class VectorStoreRequest(Asked):
    """The body of ``POST /v1/vector_stores``."""

    name: str | None = Field(default=None, max_length=256)
    description: str | None = Field(default=None, max_length=2000)
    file_ids: list[str] | None = Field(default=None, max_length=500)
    expires_after: VectorStoreExpiry | None = None
    chunking_strategy: Chunking | None = None
    metadata: Metadata | None = None


class VectorStoreChangeRequest(Asked):
    """The body of ``POST /v1/vector_stores/{id}``."""

    name: str | None = Field(default=None, max_length=256)
    expires_after: VectorStoreExpiry | None = None
    metadata: Metadata | None = None


class VectorStoreFileRequest(Asked):
    """The body of ``POST /v1/vector_stores/{id}/files``."""

    file_id: str
    attributes: Attributes | None = None
    chunking_strategy: Chunking | None = None


class VectorStoreFileChangeRequest(Asked):
    """The body of ``POST /v1/vector_stores/{id}/files/{file_id}``."""

    attributes: Attributes | None


class FileBatchRequest(Asked):
    """The body of ``POST /v1/vector_stores/{id}/file_batches``: ids, or files with what is special about each."""

    file_ids: list[str] | None = Field(default=None, min_length=1, max_length=2000)
    files: list[VectorStoreFileRequest] | None = Field(default=None, min_length=1, max_length=2000)
    attributes: Attributes | None = None
    chunking_strategy: Chunking | None = None


class HybridSearch(Asked):
    """How much meaning and words weigh."""

    embedding_weight: float = Field(ge=0)
    text_weight: float = Field(ge=0)


class RankingOptions(Asked):
    """How results are ranked, and which are left out."""

    ranker: Literal["none", "auto", "default-2024-11-15"] | None = None
    score_threshold: float | None = Field(default=None, ge=0, le=1)
    hybrid_search: HybridSearch | None = None


class VectorStoreSearchRequest(Asked):
    """The body of ``POST /v1/vector_stores/{id}/search``."""

    query: str | list[str]
    filters: dict[str, Any] | None = None
    max_num_results: int = Field(default=10, ge=1, le=50)
    ranking_options: RankingOptions | None = None
    rewrite_query: bool = False


# What is answered. The schemas are made when one is first used: most gateways are never asked for a vector store.


class Answer(WireModel):
    """What is answered of vector stores."""

    model_config = ConfigDict(defer_build=True)


class FileCounts(Answer):
    """How many files are in which state."""

    in_progress: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    total: int = 0


class ExpiresAfter(Answer):
    """When a vector store expires."""

    anchor: Literal["last_active_at"] = "last_active_at"
    days: int


class VectorStore(Answer):
    """A vector store: a knowledge base by OpenAI's name."""

    id: str
    object: Literal["vector_store"] = "vector_store"
    created_at: int
    name: str
    usage_bytes: int = 0
    file_counts: FileCounts = Field(default_factory=FileCounts)
    status: Literal["expired", "in_progress", "completed"] = "completed"
    expires_at: int | None = None
    last_active_at: int | None = None
    metadata: dict[str, str] = Field(default_factory=dict)


class ExpiringVectorStore(VectorStore):
    """A vector store that expires."""

    expires_after: ExpiresAfter


class VectorStoreList(Answer):
    """The answer of ``GET /v1/vector_stores``."""

    object: Literal["list"] = "list"
    data: list[ExpiringVectorStore | VectorStore]
    first_id: str
    last_id: str
    has_more: bool = False


class VectorStoreDeleted(Answer):
    """The answer of ``DELETE /v1/vector_stores/{id}``."""

    id: str
    object: Literal["vector_store.deleted"] = "vector_store.deleted"
    deleted: bool = True


class LastError(Answer):
    """Why a file could not be taken in."""

    code: Literal["server_error", "unsupported_file", "invalid_file"]
    message: str


class VectorStoreFile(Answer):
    """A file of a vector store."""

    id: str
    object: Literal["vector_store.file"] = "vector_store.file"
    created_at: int
    vector_store_id: str
    usage_bytes: int = 0
    status: Literal["in_progress", "completed", "cancelled", "failed"]
    last_error: LastError | None = None
    attributes: dict[str, str | bool | float | int] = Field(default_factory=dict)
    chunking_strategy: dict[str, Any] = Field(default_factory=lambda: {"type": "other"})


class VectorStoreFileList(Answer):
    """The answer of ``GET /v1/vector_stores/{id}/files``."""

    object: Literal["list"] = "list"
    data: list[VectorStoreFile]
    first_id: str
    last_id: str
    has_more: bool = False


class VectorStoreFileDeleted(Answer):
    """The answer of ``DELETE /v1/vector_stores/{id}/files/{file_id}``; the file itself is kept."""

    id: str
    object: Literal["vector_store.file.deleted"] = "vector_store.file.deleted"
    deleted: bool = True


class TextContent(Answer):
    """A piece of a text."""

    type: Literal["text"] = "text"
    text: str


class VectorStoreFileContent(Answer):
    """The text that was read from a file."""

    object: Literal["vector_store.file_content.page"] = "vector_store.file_content.page"
    data: list[TextContent]
    has_more: bool = False
    next_page: str | None = None


class VectorStoreFileBatch(Answer):
    """Files that were added together."""

    id: str
    object: Literal["vector_store.files_batch"] = "vector_store.files_batch"
    created_at: int
    vector_store_id: str
    status: Literal["in_progress", "completed", "cancelled", "failed"]
    file_counts: FileCounts


class SearchResult(Answer):
    """A passage that was found."""

    file_id: str
    filename: str
    score: float
    attributes: dict[str, str | bool | float | int] = Field(default_factory=dict)
    content: list[TextContent]


class VectorStoreSearchResults(Answer):
    """The answer of ``POST /v1/vector_stores/{id}/search``, the best first."""

    object: Literal["vector_store.search_results.page"] = "vector_store.search_results.page"
    search_query: list[str]
    data: list[SearchResult]
    has_more: bool = False
    next_page: str | None = None

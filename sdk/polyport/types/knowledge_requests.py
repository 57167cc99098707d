"""What is asked of knowledge bases besides searching them: documents to add, and changes; and what comes back."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import ConfigDict, Field

from polyport.declarations import FieldType
from polyport.types.base import RequestModel, WireModel
from polyport.types.knowledge import KnowledgeAnswer, KnowledgeJob, KnowledgeKeywords

__all__ = [
    "KnowledgeAddRequest",
    "KnowledgeConfigureRequest",
    "KnowledgeDeleted",
    "KnowledgeDocumentUpdate",
    "KnowledgeEvent",
    "KnowledgeReindexRequest",
    "KnowledgeRekeyRequest",
    "KnowledgeRekeyed",
    "KnowledgeRemoveRequest",
    "KnowledgeText",
    "KnowledgeUpload",
]

_STRICT = ConfigDict(extra="forbid", protected_namespaces=())
_Expand: TypeAlias = Literal["parent", "window", "none"]


class KnowledgeUpload(RequestModel):
    """A document to add, with its content or beside it in a form.

    >>> KnowledgeUpload(key="tea.md", text="# Tea").metadata
    {}
    """

    model_config = _STRICT

    key: str = Field(description="What it is known by in the base: a path or a name, once each.")
    text: str | None = Field(default=None, description="Its text; or base64. A form has it as a file instead.")
    base64: str | None = Field(default=None, description="Its bytes.")
    metadata: dict[str, Any] = Field(default_factory=dict, description="Besides that of the request.")
    tags: list[str] = Field(default_factory=list, description="As well.")
    chunker: str | None = Field(default=None, description="Instead of the base's own.")


class KnowledgeAddRequest(RequestModel):
    """The body of ``POST /v1/knowledge/{name}/documents``; in a form the files are its members ``file``.

    >>> KnowledgeAddRequest(urls=["https://example.org/tea.html"]).documents
    []
    """

    model_config = _STRICT

    documents: list[KnowledgeUpload] = Field(
        default_factory=list, description="In a form: of each file, in their order; their names are their keys without."
    )
    urls: list[str] = Field(default_factory=list, description="Addresses that the gateway fetches.")
    metadata: dict[str, Any] = Field(default_factory=dict, description="Of all of them.")
    tags: list[str] = Field(default_factory=list, description="Of all of them.")
    chunker: str | None = Field(default=None, description="Instead of the base's own.")


class KnowledgeConfigureRequest(RequestModel):
    """The body of ``PATCH /v1/knowledge/{name}``: what changes at once; what is left out stays.

    >>> KnowledgeConfigureRequest(model="qwen").model_fields_set
    {'model'}
    """

    model_config = _STRICT

    description: str | None = None
    sources: list[str] = Field(default_factory=list, description="Folders, files and addresses.")
    reranker: str | None = Field(default=None, description="The name of a model; null for none.")
    model: str | None = Field(default=None, description="Writes answers; null for sentences of the documents.")
    hops: bool = True
    expand: _Expand = "parent"
    threshold: float | None = Field(default=None, ge=0, le=1)
    prompts: dict[str, str] = Field(default_factory=dict)
    watch: bool = False
    metadata: dict[str, Any] = Field(default_factory=dict, description="Of documents of the sources, from now on.")
    tags: list[str] = Field(default_factory=list, description="As well.")
    timeout_s: float | None = Field(default=None, gt=0)


class KnowledgeDocumentUpdate(RequestModel):
    """The body of ``PATCH /v1/knowledge/{name}/documents/{id}``; what is left out stays.

    >>> KnowledgeDocumentUpdate(tags=["hr"]).model_fields_set
    {'tags'}
    """

    model_config = _STRICT

    title: str | None = None
    metadata: dict[str, Any] | None = Field(default=None, description="Instead of what it has.")
    tags: list[str] | None = Field(default=None, description="As well.")


class KnowledgeRemoveRequest(RequestModel):
    """The body of ``POST /v1/knowledge/{name}/remove``.

    >>> KnowledgeRemoveRequest(documents=["doc_1"]).documents
    ['doc_1']
    """

    model_config = _STRICT

    documents: list[str] = Field(min_length=1, max_length=10_000, description="Their ids, or what they are known by.")


class KnowledgeReindexRequest(RequestModel):
    """The body of ``POST /v1/knowledge/{name}/reindex``: what is to be another; all is built anew, beside what serves.

    >>> KnowledgeReindexRequest(embedder="minilm").model_fields_set
    {'embedder'}
    """

    model_config = _STRICT

    chunker: str | None = None
    embedder: str | list[str] | None = Field(default=None, description="Names of models; null for BM25 alone.")
    index: str = "qdrant-edge"
    index_options: dict[str, Any] = Field(default_factory=dict)
    fields: dict[str, FieldType] | None = None


class KnowledgeRekeyRequest(RequestModel):
    """The body of ``POST /v1/knowledge/{name}/rekey``: another function for keywords, or another version of it.

    >>> KnowledgeRekeyRequest(version=2).batch is None
    True
    """

    model_config = _STRICT

    function: str | None = Field(default=None, description="A registered function; null for the one built in.")
    version: int | None = Field(default=None, ge=1, description="One more than before when left out.")
    batch: bool | None = Field(
        default=None,
        description="Whether documents are worked through now, or keep their keywords until they change; "
        "as the base has it when left out.",
    )


class KnowledgeRekeyed(WireModel):
    """How keywords are made from now on, and the job that renews those there are."""

    object: Literal["knowledge.rekeyed"] = "knowledge.rekeyed"
    keywords: KnowledgeKeywords
    job: KnowledgeJob | None = Field(default=None, description="Null where documents keep them until they change.")


class KnowledgeDeleted(WireModel):
    """What is gone."""

    object: Literal["knowledge.deleted"] = "knowledge.deleted"
    knowledge: str
    documents: list[str] | None = Field(default=None, description="Their ids; null where the whole base is gone.")
    deleted: bool = True


class KnowledgeText(WireModel):
    """A document's text: spans of hits and citations are of it."""

    object: Literal["knowledge.text"] = "knowledge.text"
    id: str
    title: str
    text: str


class KnowledgeEvent(WireModel):
    """The data of an answer's events, each of the type that is its name; ``answer`` is the last."""

    text: str | None = Field(default=None, description="Of text: a piece of the answer.")
    citation: dict[str, Any] | None = Field(default=None, description="Of citation: a source of the text so far.")
    progress: float | None = Field(default=None, description="Of progress.")
    message: str | None = Field(default=None, description="Of progress: what is being done.")
    answer: KnowledgeAnswer | None = Field(default=None, description="Of answer: the whole.")

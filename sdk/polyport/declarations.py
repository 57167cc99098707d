"""What an author registers: frozen records, with nothing connected and nothing heavy imported."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from polyport.errors import DeclarationError

__all__ = [
    "AgentDeclaration",
    "Annotations",
    "Declaration",
    "DocumentsDeclaration",
    "FieldType",
    "FunctionDeclaration",
    "KnowledgeDeclaration",
    "ModelDeclaration",
    "PipelineDeclaration",
    "PromptDeclaration",
    "ResourceDeclaration",
    "SandboxDeclaration",
    "Sandboxed",
    "check_name",
]

FieldType: TypeAlias = Literal["keyword", "integer", "float", "bool", "datetime"]
"""What a field of metadata holds, or each member of a list in it."""

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9_])?")


def check_name(name: str) -> str:
    """Return the name if every wire can carry it.

    Raises:
        DeclarationError: It is empty, too long or has a character that OpenAI or MCP refuses.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DeclarationError(
            f"{name!r} can't be a name: use 1 to 64 ASCII letters, digits, '_', '-' and '.', "
            "starting and ending with a letter, digit or '_'"
        )
    return name


@dataclass(frozen=True, slots=True)
class Annotations:
    """What a client may assume of a function before it calls (MCP's tool annotations); None: unknown."""

    title: str | None = None
    read_only: bool | None = None
    destructive: bool | None = None
    idempotent: bool | None = None
    open_world: bool | None = None


@dataclass(frozen=True, slots=True)
class Sandboxed:
    """That a function runs in a sandbox, and how.

    Attributes:
        source: The function, standing on its own.
        files: Put into its working folder, by relative name.
        limits: What it may use, by name of limit; the gateway's own where left out.
        allow_hosts: Hosts that it reaches.
    """

    source: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)
    allow_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FunctionDeclaration:
    """A function; `timeout` is in seconds, `schema_extra` is added to its input schema."""

    name: str
    function: Callable[..., Any]
    description: str | None = None
    timeout: float | None = None
    annotations: Annotations = field(default_factory=Annotations)
    schema_extra: Mapping[str, Any] | None = None
    sandboxed: Sandboxed | None = None


@dataclass(frozen=True, slots=True)
class PipelineDeclaration:
    """A callable from a question or messages to text; `timeout` is in seconds."""

    name: str
    function: Callable[..., Any]
    description: str | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class ModelDeclaration:
    """A model behind an engine, named by the engine's entry point, or an engine object of the author's own."""

    name: str
    engine: str | Any
    model: str | None = None
    description: str | None = None
    timeout: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AgentDeclaration:
    """A model with tools, run by the gateway; `max_steps` bounds its turns."""

    name: str
    model: str
    tools: tuple[str, ...] = ()
    instructions: str | None = None
    description: str | None = None
    max_steps: int = 10
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class ResourceDeclaration:
    """Something to read at a URI; a URI with ``{names}`` is a template."""

    uri: str
    function: Callable[..., Any]
    name: str
    title: str | None = None
    description: str | None = None
    mime_type: str = "text/plain"
    complete: Mapping[str, Callable[..., Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PromptDeclaration:
    """A prompt that a person picks; its arguments come from the signature."""

    name: str
    function: Callable[..., Any]
    title: str | None = None
    description: str | None = None
    complete: Mapping[str, Callable[..., Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SandboxDeclaration:
    """Where untrusted code runs.

    Attributes:
        provider: The provider's name, or a provider object of the author's own.
        tools: Whether functions and MCP tools are made of it; without, it serves only its endpoints.
        code_mode: Whether sandboxed Python may call what its caller may call (`run_code_with_tools`).
        allow_hosts: What callers may at most ask to reach; nothing else of the network can be reached.
        limits: What a run gets that asks for nothing, by name of limit.
        max_limits: What a run may ask for at most, by name of limit.
        options: The provider's own.
    """

    provider: str | Any = "docker"
    tools: bool | None = None
    code_mode: bool | None = None
    allow_hosts: tuple[str, ...] | None = None
    limits: Mapping[str, float] = field(default_factory=dict)
    max_limits: Mapping[str, float] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DocumentsDeclaration:
    """What callers may have read; what is None is as in the gateway's settings.

    Attributes:
        tools: Whether tools are made of it; without, it serves only its endpoints.
        folders: Folders whose files may be named by their paths.
        workers: Files read at a time.
        timeout_s: Seconds that a file may take.
        memory_mb: MiB that it may take.
        max_bytes: Bytes that it may have.
    """

    tools: bool | None = None
    folders: tuple[str, ...] | None = None
    workers: int | None = None
    timeout_s: float | None = None
    memory_mb: int | None = None
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class KnowledgeDeclaration:
    """A knowledge base: what is in it, how it is cut, indexed and searched, and what answers from it.

    Attributes:
        name: Of the base, of its model and of the tool that answers; `search_name` is the tool that only finds.
        sources: Folders, files and addresses; relative paths are of the gateway's working folder.
        embedders: Names of models that make vectors, the first by default; none: BM25 alone.
        reranker: The name of a model.
        model: The name of a model that writes answers; None: sentences of the documents, as they are.
        chunker: Such as ``Sentences(max_tokens=256)``; None: chosen by what a document is.
        index: The kind of index, by its entry point.
        index_options: Its own (``url=`` …).
        fields: Metadata that is indexed, with its type; None: whatever documents have.
        keywords: What makes the keywords of a text: the name of a registered function, or a callable; None: built in.
        keywords_version: Raised when `keywords` gives something else for the same text.
        on_keywords_change: Whether earlier documents keep their keywords until they change (``deferred``) or are
            worked through again in the background (``batch``).
        hops: Whether links between documents are followed.
        expand: What is shown around what was found.
        threshold: How much of a question passages must cover for an answer, 0 to 1; None: the gateway's.
        prompts: Templates of the author's own, by name.
        watch: Whether the sources' folders are looked at again and again.
        metadata: What every document of the sources has.
        tags: As well.
        timeout: Seconds after which a question is cancelled.
    """

    name: str
    sources: tuple[str, ...] = ()
    description: str | None = None
    embedders: tuple[str, ...] = ()
    reranker: str | None = None
    model: str | None = None
    chunker: str | None = None
    index: str = "qdrant-edge"
    index_options: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, FieldType] | None = None
    keywords: str | Callable[..., Any] | None = None
    keywords_version: int = 1
    on_keywords_change: Literal["deferred", "batch"] = "deferred"
    hops: bool = True
    expand: Literal["parent", "window", "none"] = "parent"
    threshold: float | None = None
    prompts: Mapping[str, str] = field(default_factory=dict)
    watch: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    timeout: float | None = None

    @property
    def search_name(self) -> str:
        """The name of the tool that finds passages and doesn't answer."""
        return f"{self.name}_search"

    @property
    def keywords_name(self) -> str | None:
        """What `keywords` is called in the records: a registered name, or where a callable is defined."""
        if self.keywords is None or isinstance(self.keywords, str):
            return self.keywords
        kind = type(self.keywords)
        module = getattr(self.keywords, "__module__", kind.__module__)
        return f"{module}:{getattr(self.keywords, '__qualname__', kind.__qualname__)}"


Declaration: TypeAlias = (
    FunctionDeclaration | PipelineDeclaration | ModelDeclaration | AgentDeclaration | KnowledgeDeclaration
)

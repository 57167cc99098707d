"""What a knowledge base was registered as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, TypeAlias, get_args

from polyport.declarations import check_name
from polyport.errors import ConfigurationError
from polyport.types.knowledge import KnowledgeCreateRequest
from polyport_gateway.knowledge.indexes import FieldType

__all__ = ["BaseConfig", "Expand"]

Expand: TypeAlias = Literal["parent", "window", "none"]


@dataclass(frozen=True, slots=True)
class BaseConfig:
    """How a knowledge base is to be; what is built may still be as it was before (`Generation`).

    Args:
        name: On every wire.
        description: What it knows, for people and models.
        sources: Folders, files and addresses that it is kept like.
        embedders: Names of models of the gateway; the first is asked unless a search names another. None: BM25 alone.
        reranker: The name of a model.
        model: The name of the model that writes answers; None takes sentences from the documents.
        chunker: A specification for `parse_steps`; None leaves the choice to the gateway.
        index: The kind of index.
        index_options: Its own.
        fields: Metadata that is indexed, and its types; None lets any be filtered by.
        keywords: The registered function that makes keywords; None for the one built in.
        keywords_version: Of that function; what an earlier one made is behind.
        on_keywords_change: ``batch`` makes all anew, ``deferred`` leaves documents as they are until they change.
        hops: Whether links are followed.
        expand: What is shown around what is found.
        threshold: How much of a question passages must cover for an answer, 0 to 1; None for the default.
        prompts: Templates of its own, by name.
        watch: Whether its folders are looked at again and again.
        metadata: Of every document, below what it says itself.
        tags: Of every document.
        owner: The id of the only key that may use it, for one that is private.
        timeout: Seconds after which a question is cancelled.
    """

    name: str
    description: str | None = None
    sources: tuple[str, ...] = ()
    embedders: tuple[str, ...] = ()
    reranker: str | None = None
    model: str | None = None
    chunker: str | None = None
    index: str = "qdrant-edge"
    index_options: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, FieldType] | None = None
    keywords: str | None = None
    keywords_version: int = 1
    on_keywords_change: Literal["deferred", "batch"] = "deferred"
    hops: bool = True
    expand: Expand = "parent"
    threshold: float | None = None
    prompts: Mapping[str, str] = field(default_factory=dict)
    watch: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    owner: str | None = None
    timeout: float | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        for name, kind in (self.fields or {}).items():
            if kind not in get_args(FieldType):
                raise ConfigurationError(
                    f"knowledge base {self.name!r}: the field {name!r} can't be {kind!r}; a field is one of "
                    f"{', '.join(get_args(FieldType))}"
                )

    @classmethod
    def from_request(cls, request: KnowledgeCreateRequest) -> BaseConfig:
        """Read what a caller, or an app, asks for."""
        values = request.model_dump(exclude={"embedder"})
        embedder = request.embedder
        embedders = () if embedder is None else (embedder,) if isinstance(embedder, str) else tuple(embedder)
        return cls.from_json({**values, "embedders": embedders, "timeout": request.timeout_s})

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> BaseConfig:
        """Read what the catalogue keeps; members that are not known are left out."""
        known = {item.name: values[item.name] for item in fields(cls) if item.name in values}
        for name in ("sources", "embedders", "tags"):
            known[name] = tuple(known.get(name) or ())
        return cls(**known)

    def to_json(self) -> dict[str, Any]:
        """Return it as the catalogue keeps it."""
        return asdict(self)

    def changed(self, changes: Mapping[str, Any]) -> BaseConfig:
        """Return it with some members changed.

        Raises:
            ConfigurationError: There is no such member, or it can't be changed.
        """
        known = {item.name for item in fields(self)} - {"name", "owner"}
        wrong = sorted(set(changes) - known)
        if wrong:
            raise ConfigurationError(
                f"a knowledge base has no {', '.join(map(repr, wrong))} that could be changed; there are: "
                f"{', '.join(sorted(known))}"
            )
        return self.from_json({**self.to_json(), **changes})

"""How one build of a knowledge base is cut, embedded and indexed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from polyport_gateway.knowledge.indexes import FieldType, Schema
from polyport_gateway.knowledge.retrieval import BM25, Analyzer, Weights

__all__ = ["SYSTEM_FIELDS", "EmbedderInfo", "Generation", "analyzer"]

SYSTEM_FIELDS: Mapping[str, FieldType] = {
    "part": "integer",
    "tags": "keyword",
    "keywords": "keyword",
    "source": "keyword",
    "format": "keyword",
    "language": "keyword",
    "title": "keyword",
}
"""What can be filtered by in every base, and is indexed."""


@dataclass(frozen=True, slots=True)
class EmbedderInfo:
    """A model as it was when it embedded.

    Args:
        size: Dimensions of its vectors.
        fingerprint: Changes when the model behind the name does.
        weights: Its share in hybrid search, by script, as learned from the passages.
        window: The most tokens that it reads of a text; None where that is more than a chunk has.
    """

    size: int
    fingerprint: str
    weights: Weights = field(default_factory=Weights)
    window: int | None = None


@dataclass(frozen=True, slots=True)
class Generation:
    """One build: the settings that can't be changed without building anew.

    Args:
        number: From 1.
        chunker: The specification; None for the gateway's choice.
        embedders: By name.
        index: The kind.
        index_options: Its own.
        mean_length: Of the documents in terms, for BM25, taken from the first batch; None before that.
    """

    number: int = 1
    chunker: str | None = None
    embedders: Mapping[str, EmbedderInfo] = field(default_factory=dict)
    index: str = "qdrant-edge"
    index_options: Mapping[str, Any] = field(default_factory=dict)
    mean_length: float | None = None

    @property
    def schema(self) -> Schema:
        """What its index holds; of metadata, any field may be filtered by."""
        sizes = {name: info.size for name, info in self.embedders.items()}
        return Schema(sizes, dict(SYSTEM_FIELDS), strict=False)

    @property
    def shelf(self) -> str:
        """Names the index: bases whose builds have the same kind, options and vectors share it."""
        sizes = sorted((name, info.size, info.fingerprint) for name, info in self.embedders.items())
        told = json.dumps([self.index, dict(self.index_options), sizes], sort_keys=True, default=str)
        return f"{self.index}-{hashlib.sha256(told.encode()).hexdigest()[:16]}"

    @property
    def window(self) -> int | None:
        """The most tokens of a chunk that all its embedders read; None where they read as much as is cut anyway."""
        return min((info.window for info in self.embedders.values() if info.window is not None), default=None)

    @property
    def bm25(self) -> BM25:
        """What makes its sparse vectors."""
        return BM25(analyzer()) if self.mean_length is None else BM25(analyzer(), mean_length=self.mean_length)

    def same_build(self, other: Generation) -> bool:
        """Whether both cut, embed and index alike."""
        return self.shelf == other.shelf and self.chunker == other.chunker

    @property
    def recipe(self) -> dict[str, Any]:
        """What is fixed from the first chunk on, as the catalogue keeps it."""
        return {
            "chunker": self.chunker,
            "embedders": {
                name: {"size": info.size, "fingerprint": info.fingerprint, "window": info.window}
                for name, info in self.embedders.items()
            },
            "index": self.index,
            "index_options": dict(self.index_options),
        }

    @property
    def learned(self) -> dict[str, Any]:
        """What was learned from the documents, as the catalogue keeps it."""
        weights = {name: asdict(info.weights) for name, info in self.embedders.items()}
        return {"mean_length": self.mean_length, "weights": weights}

    @classmethod
    def of(cls, number: int, recipe: Mapping[str, Any], learned: Mapping[str, Any] | None = None) -> Generation:
        """Read what `recipe` and `learned` gave."""
        learned = learned or {}
        weights = learned.get("weights") or {}
        embedders = {
            name: EmbedderInfo(info["size"], info["fingerprint"], Weights(**weights.get(name, {})), info.get("window"))
            for name, info in (recipe.get("embedders") or {}).items()
        }
        return cls(
            number,
            recipe.get("chunker"),
            embedders,
            recipe.get("index") or "qdrant-edge",
            recipe.get("index_options") or {},
            learned.get("mean_length"),
        )


_kept: list[Analyzer] = []


def analyzer() -> Analyzer:
    """Return the one that all share: it remembers the stems of words."""
    if not _kept:
        _kept.append(Analyzer())
    return _kept[0]

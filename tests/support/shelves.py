"""A shelf with some bases on it: real records, a real index, and vectors that a child could make."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polyport.types.knowledge import KnowledgeHit, SearchRequest
from polyport_gateway.knowledge.bases import BaseConfig, EmbedderInfo, Finder, Found, Generation, Part, Shelf, Shelves
from polyport_gateway.knowledge.bases.showing import Shower
from polyport_gateway.knowledge.catalogue import Catalogue, NewChunk, NewDocument
from polyport_gateway.knowledge.indexes import Entry

WORDS = ("leave", "days", "train", "desk", "hotel", "money", "cat", "dog")
MADE = EmbedderInfo(len(WORDS), "made")


def vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    """Count a few words."""
    rows = np.array([[text.casefold().count(word) for word in WORDS] for text in texts], np.float32)
    return rows + np.float32(0.01)


@dataclass
class Models:
    """An embedder that counts words, and a reranker that likes short texts."""

    asked: list[str] = field(default_factory=list)

    def embed(self, name: str, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += texts
        return vectors(texts)

    def rerank(self, name: str, query: str, texts: Sequence[str]) -> Sequence[float]:
        return [-float(len(text)) for text in texts]


@dataclass
class Desk:
    """Bases in one index."""

    catalogue: Catalogue
    shelf: Shelf
    generation: Generation
    models: Models = field(default_factory=Models)
    parts: dict[str, Part] = field(default_factory=dict)

    def base(self, name: str, **options: object) -> Part:
        config = BaseConfig(name, **options)  # type: ignore[arg-type]
        row = self.catalogue.create(name, config.to_json(), shelf=self.generation.shelf, recipe=self.generation.recipe)
        self.parts[name] = Part(row.id, config, self.generation)
        return self.parts[name]

    def put(self, name: str, key: str, texts: Sequence[str], **members: object) -> str:
        """Add a document of some chunks, one after the other in its text; return its id."""
        part = self.parts[name]
        chunks, place = [], 0
        for text in texts:
            chunks.append(NewChunk(text, (place, place + len(text)), len(text.split()), pages=(1,)))
            place += len(text) + 1
        document = NewDocument(
            key=key,
            title=key,
            sha256=hashlib.sha256("".join(texts).encode()).hexdigest(),
            **members,  # type: ignore[arg-type]
        )
        (staged,) = self.catalogue.stage(part.base, 1, [(document, chunks)])
        metadata: Mapping[str, object] = {**document.metadata, "part": part.number}
        names = list(self.generation.embedders)
        self.shelf.index.upsert(
            [
                Entry(
                    id_,
                    staged.document.uid,
                    {made: vectors([text])[0] for made in names},
                    self.generation.bm25.document(text, key),
                    metadata,
                )
                for id_, text in zip(staged.chunks, texts, strict=True)
            ]
        )
        self.catalogue.publish(part.base, 1, [staged])
        return staged.document.uid

    def find(self, query: str, *names: str, where: object = None, wanted: int = 5, **options: object) -> Found:
        parts = [self.parts[name] for name in names or self.parts]
        request = SearchRequest(query=query, **options)  # type: ignore[arg-type]
        finder = Finder(self.shelf, self.catalogue, self.models)
        return finder.find(parts, request, where, wanted=wanted)  # type: ignore[arg-type]

    def hits(self, query: str, *names: str, **options: object) -> list[KnowledgeHit]:
        shown = {name: options.pop(name) for name in ("expand", "max_tokens", "count") if name in options}
        found = self.find(query, *names, **options)
        return Shower(self.catalogue).hits(found, query, self.generation.bm25, **shown)  # type: ignore[arg-type]


def open_desk(catalogue: Catalogue, folder: Path, *, dense: bool = False, index: str = "memory") -> Desk:
    generation = Generation(embedders={"made": MADE} if dense else {}, index=index)
    return Desk(catalogue, Shelves(folder).get(generation), generation)

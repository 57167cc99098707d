"""A question to one shelf, about any number of the bases that stand in it.

One search of the index serves them all: their builds are parts of it, and a filter names the parts. What comes back is
checked against the catalogue in the one query that fetches the texts, so that what the index has too early or too late
is not seen. Then, in this order: links are followed, a reranker is asked, what says the same again is left out,
likeness is weighed against relevance, and what is shown is widened or shortened.

A model that fails takes with it what it adds, and not the search, unless it was asked for: without vectors words find
passages, and without a reranker they stay in the order that they were found in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from polyport.errors import BadRequestError, CallCancelledError, CallError, DeadlineExceededError, UpstreamError
from polyport.types.knowledge import SearchMode, SearchRequest
from polyport_gateway.knowledge.catalogue import Catalogue, ChunkRow
from polyport_gateway.knowledge.catalogue.rows import part_of
from polyport_gateway.knowledge.indexes import IndexRetriever, Where
from polyport_gateway.knowledge.links.store import LinkStore
from polyport_gateway.knowledge.links.store import Part as LinkPart
from polyport_gateway.knowledge.retrieval import (
    BM25,
    Embed,
    Hop,
    MultiHop,
    Result,
    Weights,
    maximal_marginal_relevance,
    near_duplicates,
)

from .config import BaseConfig
from .generation import Generation
from .models import Models
from .shelves import Shelf

__all__ = ["Candidate", "Finder", "Found", "Part", "title_of"]

T = TypeVar("T")

_POOL = 50
_RERANKED = 30
_ALIKE = 0.85
_ENDS = (CallCancelledError, DeadlineExceededError)
"""Of the whole search, whatever else could be done."""


class _EmbedderFailedError(Exception):
    def __init__(self, name: str, error: CallError) -> None:
        super().__init__(name)
        self.name, self.error = name, error


@dataclass(frozen=True, slots=True)
class Part:
    """A base's build that is searched.

    Args:
        base: The base's number.
        config: What the base is to be.
        generation: The build that is current.
    """

    base: int
    config: BaseConfig
    generation: Generation

    @property
    def number(self) -> int:
        """How the index tells it apart."""
        return part_of(self.base, self.generation.number)


@dataclass(slots=True)
class Candidate:
    """A chunk on its way to the answer.

    Attributes:
        chunk: It.
        score: By which it is ranked so far.
        chain: The steps that led to it.
        scores: By stage.
        places: From 1, among the candidates, by each retriever that scored it above the rest.
        same: Chunks that say the same and are not shown.
    """

    chunk: ChunkRow
    score: float
    chain: tuple[Hop, ...] = ()
    scores: dict[str, float] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    same: list[ChunkRow] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Found:
    """What a shelf gave.

    Args:
        candidates: The best first.
        chunks: By number, those that chains pass through among them.
        mode: How they were found.
        embedder: Whose vectors, if any.
        dropped: How many the index had that are not live.
        notes: Which models failed, and what that means.
    """

    candidates: list[Candidate]
    chunks: Mapping[int, ChunkRow]
    mode: SearchMode
    embedder: str | None
    dropped: int = 0
    notes: tuple[str, ...] = ()


class Finder:
    """Searches one shelf.

    Args:
        shelf: The index.
        catalogue: Has the texts, and says what is live.
        models: Embeds and reranks.
        links: Between passages; None follows none.
    """

    def __init__(self, shelf: Shelf, catalogue: Catalogue, models: Models, links: LinkStore | None = None) -> None:
        self._shelf, self._catalogue, self._models, self._links = shelf, catalogue, models, links

    def find(self, parts: Sequence[Part], request: SearchRequest, where: Where = None, *, wanted: int) -> Found:
        """Return the best chunks of some bases; blocks.

        Args:
            parts: Of this shelf.
            request: The question, and how it is to be answered.
            where: The filter as it is applied, without the parts.
            wanted: How many, at most.

        Raises:
            BadRequestError: The mode or embedder is not there, or the filter can't be read.
            CallError: The index fails, or a model that was asked for.
        """
        notes: list[str] = []
        return self._by_words_at_worst(request, lambda asked: self._find(parts, asked, where, wanted, notes), notes)

    def _by_words_at_worst(self, request: SearchRequest, search: Callable[[SearchRequest], T], notes: list[str]) -> T:
        """Search, and once more by words alone where the embedder fails and was not asked for."""
        try:
            return search(request)
        except _EmbedderFailedError as failed:
            if request.mode != "auto" or request.embedder is not None:
                raise failed.error from None
            notes[:] = [
                f"{failed.name!r} gave no vectors, so passages were found by words alone (BM25): {failed.error}"
            ]
            return search(request.model_copy(update={"mode": "bm25"}))

    def _find(
        self, parts: Sequence[Part], request: SearchRequest, where: Where, wanted: int, notes: list[str]
    ) -> Found:
        name, weights = _dense_side(parts, request)
        bm25 = parts[0].generation.bm25
        embed = self._embedder(parts, name)
        retriever = self._retriever(parts, where, name, weights, embed)
        pool = max(_POOL, wanted * 4)
        results = self._results(retriever, parts, request, pool)
        chunks = self._live(results)
        candidates = [
            Candidate(chunks[result.passage], result.score, result.chain)
            for result in results
            if result.passage in chunks and all(hop.source in chunks for hop in result.chain)
        ]
        self._rate(candidates, request.query, bm25, name, embed)
        candidates = self._reranked(candidates, parts, request, notes)
        candidates = _without_duplicates(candidates, wanted * 2)
        if request.diversity is not None:
            candidates = self._diverse(candidates, request.diversity, wanted, bm25, name, embed)
        if request.min_score is not None:
            candidates = [one for one in candidates if one.score >= request.min_score]
        mode: SearchMode = "bm25" if name is None else "dense" if weights.spaced == weights.unspaced == 1 else "hybrid"
        dropped = sum(result.passage not in chunks for result in results)
        return Found(candidates[:wanted], chunks, mode, name, dropped, tuple(notes))

    def look(self, parts: Sequence[Part], request: SearchRequest, where: Where = None) -> list[tuple[int, float]]:
        """Return of the best chunks the number of their base and their score, and no more; what routing goes by.

        Raises:
            BadRequestError: The mode or embedder is not there, or the filter can't be read.
            CallError: The index fails, or a model that was asked for.
        """
        return self._by_words_at_worst(request, lambda asked: self._look(parts, asked, where), [])

    def _look(self, parts: Sequence[Part], request: SearchRequest, where: Where) -> list[tuple[int, float]]:
        name, weights = _dense_side(parts, request)
        retriever = self._retriever(parts, where, name, weights, self._embedder(parts, name))
        ranking = retriever.search(request.query, _POOL)
        scores = dict(zip(ranking.documents.tolist(), ranking.scores.tolist(), strict=True))
        bases = {part.number: part.base for part in parts}
        found: list[tuple[int, float]] = []
        for record in self._shelf.index.fetch(list(scores)):
            base = bases.get(int(record.metadata.get("part", -1)))
            if base is not None:
                found.append((base, scores[record.id]))
        return found

    def _retriever(
        self, parts: Sequence[Part], where: Where, name: str | None, weights: Weights, embed: Embed | None
    ) -> IndexRetriever:
        return IndexRetriever(
            self._shelf.index,
            parts[0].generation.bm25,
            name=name,
            embed=embed,
            weights=weights,
            where=_within(parts, where),
            among=_within(parts, None),
            samples=self._shelf.samples,
        )

    def _results(
        self, retriever: IndexRetriever, parts: Sequence[Part], request: SearchRequest, pool: int
    ) -> list[Result]:
        hops = any(part.config.hops for part in parts) if request.hops is None else request.hops
        if hops and self._links is not None:
            among = [LinkPart(part.base, part.generation.number) for part in parts]
            return MultiHop(retriever, self._links.over(among), pool=pool).search(request.query, pool)
        ranking = retriever.search(request.query, pool)
        return [
            Result(int(passage), float(score))
            for passage, score in zip(ranking.documents.tolist(), ranking.scores.tolist(), strict=True)
        ]

    def _live(self, results: Sequence[Result]) -> dict[int, ChunkRow]:
        wanted = {result.passage for result in results}
        wanted.update(hop.source for result in results for hop in result.chain)
        return self._catalogue.live(sorted(wanted))

    def _rate(self, candidates: list[Candidate], query: str, bm25: BM25, name: str | None, embed: Embed | None) -> None:
        """Note what each retriever says of each candidate."""
        if not candidates:
            return
        ids = np.array([one.chunk.id for one in candidates], np.int64)
        (terms,) = self._shelf.index.rate_sparse([bm25.query(query)], [ids])
        stages = {"bm25": np.asarray(terms)}
        if name is not None and embed is not None:
            (near,) = self._shelf.index.rate_dense(name, embed([query]), [ids])
            stages["dense"] = np.asarray(near)
        for stage, scores in stages.items():
            order = np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable")
            for place, number in enumerate(order.tolist(), 1):
                score = float(scores[number])
                if not np.isnan(score):
                    candidates[number].scores[stage] = round(score, 4)
                    if stage != "bm25" or score > 0:
                        candidates[number].places[stage] = place
        for one in candidates:
            one.scores["hop" if one.chain else "fused"] = round(one.score, 4)

    def _embedder(self, parts: Sequence[Part], name: str | None) -> Embed | None:
        """Return what makes the vectors of a question, and of each text once."""
        if name is None:
            return None
        known: dict[str, NDArray[np.float32]] = {}
        size = parts[0].generation.embedders[name].size

        def embed(texts: Sequence[str]) -> NDArray[np.float32]:
            new = [text for text in dict.fromkeys(texts) if text not in known]
            if new:
                known.update(zip(new, self._embedded(name, new, size), strict=True))
            return np.stack([known[text] for text in texts])

        return embed

    def _embedded(self, name: str, texts: Sequence[str], size: int) -> NDArray[np.float32]:
        try:
            made = self._models.embed(name, texts)
        except _ENDS:
            raise
        except CallError as error:
            raise _EmbedderFailedError(name, error) from error
        if made.shape[1] != size:
            changed = UpstreamError(
                f"{name!r} gives vectors of {made.shape[1]} dimensions, and the index holds {size}: its model has "
                "changed. Reindex the knowledge base, or configure the former model.",
                code="upstream_invalid",
            )
            raise _EmbedderFailedError(name, changed)
        return made

    def _reranked(
        self, candidates: list[Candidate], parts: Sequence[Part], request: SearchRequest, notes: list[str]
    ) -> list[Candidate]:
        model = next((part.config.reranker for part in parts if part.config.reranker), None)
        if request.rerank is False or not candidates:
            return candidates
        if model is None:
            if request.rerank:
                names = ", ".join(repr(part.config.name) for part in parts)
                raise BadRequestError(f"There is no reranker for {names}; register one with reranker=.", param="rerank")
            return candidates
        asked, rest = candidates[:_RERANKED], candidates[_RERANKED:]
        try:
            scores = self._models.rerank(model, request.query, [_titled(one.chunk) for one in asked])
        except _ENDS:
            raise
        except CallError as error:
            if request.rerank:
                raise
            notes.append(f"{model!r} did not rerank, so passages are in the order they were found in: {error}")
            return candidates
        order = sorted(range(len(asked)), key=lambda number: (-scores[number], number))
        for place, number in enumerate(order, 1):
            one = asked[number]
            one.score = float(scores[number])
            one.scores["rerank"] = round(one.score, 4)
            one.places["rerank"] = place
        least = min((one.score for one in asked), default=0.0)
        for one in rest:  # they stay behind, on the same scale
            one.score = least
        return [asked[number] for number in order] + rest

    def _diverse(
        self,
        candidates: list[Candidate],
        diversity: float,
        wanted: int,
        bm25: BM25,
        name: str | None,
        embed: Embed | None,
    ) -> list[Candidate]:
        if not candidates:
            return candidates
        texts = [_titled(one.chunk) for one in candidates]
        vectors = embed(texts) if name is not None and embed is not None else _term_vectors(texts, bm25)
        order = maximal_marginal_relevance([one.score for one in candidates], vectors, wanted, relevance=1 - diversity)
        return [candidates[number] for number in order.tolist()]


def _dense_side(parts: Sequence[Part], request: SearchRequest) -> tuple[str | None, Weights]:
    """Return the embedder that is asked, and its share."""
    embedders = parts[0].generation.embedders
    if request.mode == "bm25":
        return None, Weights(0, 0)
    if not embedders:
        if request.mode == "auto" and request.embedder is None:
            return None, Weights(0, 0)
        names = ", ".join(repr(part.config.name) for part in parts)
        raise BadRequestError(
            f"{names}: no embedder is configured, so only BM25 can be searched; register one with embedder=.",
            param="mode",
        )
    name = request.embedder or next(
        (own for own in parts[0].config.embedders if own in embedders), next(iter(embedders))
    )
    if name not in embedders:
        raise BadRequestError(
            f"There are no vectors of {name!r}; there are of: {', '.join(embedders)}.", param="embedder"
        )
    if request.mode == "dense":
        return name, Weights(1, 1)
    learned = [part.generation.embedders[name].weights for part in parts]
    return name, Weights(
        sum(weights.spaced for weights in learned) / len(learned),
        sum(weights.unspaced for weights in learned) / len(learned),
    )


def _within(parts: Sequence[Part], where: Where) -> Where:
    numbers = [part.number for part in parts]
    own = {"part": numbers[0] if len(numbers) == 1 else {"in": numbers}}
    return {"and": [own, where]} if where else own


def _without_duplicates(candidates: list[Candidate], wanted: int) -> list[Candidate]:
    """Return those that say something new, each with those that say the same; as many as are looked at at all."""
    kept: list[Candidate] = []
    by_hash: dict[str, Candidate] = {}
    for one in candidates:
        first = by_hash.setdefault(one.chunk.content_hash, one)
        if first is one:
            kept.append(one)
        else:
            first.same.append(one.chunk)
    kept = kept[:wanted]
    alike = near_duplicates([one.chunk.text for one in kept], _ALIKE)
    for number, first_number in alike.items():
        kept[first_number].same += [kept[number].chunk, *kept[number].same]
    return [one for number, one in enumerate(kept) if number not in alike]


def title_of(chunk: ChunkRow) -> str:
    """Return what a chunk is shown under."""
    return chunk.title or chunk.document.title


def _titled(chunk: ChunkRow) -> str:
    title = title_of(chunk)
    return f"{title}\n{chunk.text}" if title else chunk.text


def _term_vectors(texts: Sequence[str], bm25: BM25) -> NDArray[np.float32]:
    """Return rows of terms' weights, over the terms that the texts have."""
    made = [bm25.document(text) for text in texts]
    terms = np.unique(np.concatenate([vector.indices for vector in made]))
    rows = np.zeros((len(made), max(1, len(terms))), np.float32)
    for row, vector in zip(rows, made, strict=True):
        row[np.searchsorted(terms, vector.indices)] = vector.values
    return rows

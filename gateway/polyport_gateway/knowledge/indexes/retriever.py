"""The retrieval core over an index: BM25 and vectors as one ranking, without scoring every chunk.

`HybridRetriever` standardises each retriever's scores by the mean and deviation over all chunks, which it has.
Here they are estimated:

* Of cosines, from the mean m and covariance C of a sample of vectors: a query q has the mean q·m and the variance
  qᵀCq over the sample, whatever q is.
* Of BM25, by strata: the best scores are known, and where there are fewer, all the others are 0, so that both numbers
  are exact. Otherwise the rest is estimated from a sample of chunks.

Candidates are the best of each retriever; each is then rated by the other one too, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from polyport_gateway.knowledge.retrieval.bm25 import BM25, SparseVector
from polyport_gateway.knowledge.retrieval.dense import normalized
from polyport_gateway.knowledge.retrieval.fusion import with_reserves
from polyport_gateway.knowledge.retrieval.hybrid import Embed, Weights
from polyport_gateway.knowledge.retrieval.ranking import Ranking

from .base import VectorIndex, Where
from .samples import Sample, Samples

__all__ = ["IndexRetriever"]

_TOP, _TOP_OF_MANY = 1000, 200
"""Of the best scores, are known. Of many chunks fewer: a hop asks for dozens of queries, and the thousandth costs."""
_FEW = 500
"""Of the sample, are rated for a query's terms: what is known of the best leaves little to estimate."""


class _Spread(NamedTuple):
    mean: float
    deviation: float

    def standard(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.deviation <= abs(self.mean) * 1e-5:
            return np.zeros_like(scores)
        return np.asarray((scores - self.mean) / self.deviation, np.float32)


class IndexRetriever:
    """A `Retriever` over an index.

    Args:
        index: To search.
        bm25: What made its sparse vectors.
        name: Of the embedder whose vectors are searched; goes with ``embed``. None: BM25 alone.
        embed: Makes vectors of queries.
        weights: Of the vectors.
        where: Only chunks that meet this filter are found, by `search` and by way of hops.
        among: The chunks that a score is seen against, those of the bases that are asked; None: all that there are.
            ``where`` is narrower: how good a chunk is does not depend on what else is left out.
        samples: Of the index, kept from one question to the next; None takes its own.
        candidates: From each retriever.

    Raises:
        ValueError: ``name`` without ``embed``, or the other way.
    """

    def __init__(
        self,
        index: VectorIndex,
        bm25: BM25,
        *,
        name: str | None = None,
        embed: Embed | None = None,
        weights: Weights | None = None,
        where: Where = None,
        among: Where = None,
        samples: Samples | None = None,
        candidates: int = 100,
    ) -> None:
        if (name is None) != (embed is None):
            raise ValueError("The name of an embedder and the embedder go together: give both or none.")
        self._index, self._bm25 = index, bm25
        self._name, self._embed = name, embed
        self._weights = weights or Weights()
        self._where = where
        self._candidates = candidates
        self._among = among
        self._samples = samples or Samples(index)

    def search(self, query: str, limit: int, *, reserves: bool = True) -> Ranking:
        """Return the best chunks; without vectors, those that share a term with the query.

        Args:
            query: What to find.
            limit: How many, at most.
            reserves: Keep places for what each retriever puts first, where the fused scores do not.
        """
        terms = self._bm25.query(query)
        share = self._share(query)
        wide = max(limit, self._candidates)
        lexical = self._index.search_sparse([terms], wide, self._where)[0] if share < 1 else _NONE
        if share == 0 or self._embed is None or self._name is None:
            scores = self._lexical_spread(terms).standard(lexical.scores)
            # Below the mean is no reason to leave one out: where few are searched, half of what fits is.
            kept = lexical.scores > 0 if self._embed is None else np.ones(len(scores), np.bool_)
            return Ranking(lexical.documents[kept][:limit], scores[kept][:limit])
        vector = self._embed([query])
        near = self._index.search_dense(self._name, vector, wide, self._where)[0]
        ids = np.union1d(near.documents, lexical.documents)
        scores = self._fused(terms, normalized(vector), share, ids)
        order = np.lexsort((ids, -scores))
        fused = Ranking(ids[order], scores[order])
        if share == 1 or not reserves:
            return Ranking(fused.documents[:limit], fused.scores[:limit])
        return with_reserves(fused, near, lexical, share, limit)

    def rate(self, queries: Sequence[str], among: Sequence[NDArray[np.int64]]) -> list[NDArray[np.float32]]:
        """Return, for each query, the scores of some chunks, on the scale of `search`; -∞ where the filter fails."""
        shares = [self._share(query) for query in queries]
        rows = [number for number, share in enumerate(shares) if share > 0]
        vectors: dict[int, NDArray[np.float32]] = {}
        if rows and self._embed is not None:
            made = normalized(self._embed([queries[row] for row in rows]))
            vectors = {row: made[number : number + 1] for number, row in enumerate(rows)}
        found = [
            self._fused(self._bm25.query(query), vectors.get(row), shares[row], np.asarray(ids, np.int64))
            for row, (query, ids) in enumerate(zip(queries, among, strict=True))
        ]
        if self._where:
            for scores, ids in zip(found, among, strict=True):
                scores[~self._index.meeting(ids, self._where)] = -np.inf
        return found

    def _share(self, query: str) -> float:
        return 0.0 if self._embed is None else self._weights.of(query)

    def _fused(
        self, terms: SparseVector, vector: NDArray[np.float32] | None, share: float, ids: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        scores = np.zeros(len(ids), np.float32)
        if share < 1:
            lexical = self._index.rate_sparse([terms], [ids])[0]
            scores += np.float32(1 - share) * self._lexical_spread(terms).standard(lexical)
        if share > 0 and vector is not None and self._name is not None:
            near = self._index.rate_dense(self._name, vector, [ids])[0]
            spread = self._dense_spread(vector[0])
            near = np.where(np.isnan(near), np.float32(spread.mean), near)  # no vector says neither yes nor no
            scores += np.float32(share) * spread.standard(near)
        return scores

    def _dense_spread(self, vector: NDArray[np.float32]) -> _Spread:
        sample = self._sample()
        if not len(sample.ids):
            return _Spread(0.0, 0.0)
        variance = float(vector @ sample.covariance @ vector)
        return _Spread(float(vector @ sample.mean), float(np.sqrt(max(variance, 0.0))))

    def _lexical_spread(self, terms: SparseVector) -> _Spread:
        sample = self._sample()
        known = _TOP if sample.chunks <= 2 * _TOP else _TOP_OF_MANY
        top = self._index.search_sparse([terms], known, self._among)[0]
        total, squares = float(top.scores.sum()), float((top.scores.astype(np.float64) ** 2).sum())
        if len(top.documents) == known and sample.chunks > known:
            step = max(1, len(sample.ids) // _FEW)
            rest = np.setdiff1d(sample.ids[::step], top.documents)
            scores = self._index.rate_sparse([terms], [rest])[0].astype(np.float64) if len(rest) else np.zeros(1)
            others = sample.chunks - known
            total += others * float(scores.mean())
            squares += others * float((scores**2).mean())
        size = max(1, sample.chunks)
        mean = total / size
        return _Spread(mean, float(np.sqrt(max(squares / size - mean * mean, 0.0))))

    def _sample(self) -> Sample:
        return self._samples.of(self._name, self._among)


_NONE = Ranking(np.empty(0, np.int64), np.empty(0, np.float32))

"""What a base is about, in a few kilobytes: enough to tell whether a question is for it, without asking it.

What the literature on resource selection calls a resource description (Callan, Lu and Croft, "Searching distributed
collections with inference networks", SIGIR 1995): how many passages have each term, without the passages. Here also the
keywords, the middles of the vectors of each embedder, and the languages. It is kept up batch by batch while a base is
built, and a passage that goes away is taken out again by what it was added with.

Terms are the numbers that `BM25` gives them, which are the same everywhere. The commonest are kept: a term that was cut
off and comes again counts from then on, so that a rare one may count too little, never too much.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from polyport_gateway.knowledge.retrieval.bm25 import SparseVector

from .centroids import Centroids

__all__ = ["Profile"]

_MOST_TERMS = 8192
_MOST_KEYWORDS = 500
_VERSION = 1


@dataclass(frozen=True)
class Profile:
    """What a base is about.

    >>> sparse = SparseVector(np.array([3, 7], np.uint32), np.ones(2, np.float32))
    >>> profile = Profile().add([sparse, sparse], keywords=["tea"], languages=["en", "en"])
    >>> profile.passages, profile.frequencies.tolist(), Profile.loads(profile.dumps()) == profile
    (2, [2, 2], True)

    Args:
        passages: How many there are.
        terms: Numbers of terms, ascending.
        frequencies: How many passages have each.
        keywords: How many documents have each.
        centroids: By embedder.
        languages: How many passages are in each.
        removed: How many passages were taken out since it was made; see `stale`.
    """

    passages: int = 0
    terms: NDArray[np.uint32] = field(default_factory=lambda: np.empty(0, np.uint32))
    frequencies: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    keywords: Mapping[str, int] = field(default_factory=dict)
    centroids: Mapping[str, Centroids] = field(default_factory=dict)
    languages: Mapping[str, int] = field(default_factory=dict)
    removed: int = 0

    @property
    def stale(self) -> bool:
        """Whether so much was taken out that it should be made anew from the passages."""
        return self.removed > max(100, self.passages)

    def add(
        self,
        sparse: Sequence[SparseVector],
        *,
        vectors: Mapping[str, NDArray[np.float32]] | None = None,
        keywords: Iterable[str] = (),
        languages: Iterable[str] = (),
    ) -> Profile:
        """Return it with a batch of passages.

        Args:
            sparse: The terms of each passage, as the index gets them.
            vectors: By embedder, a row for each passage that has one.
            keywords: Of the documents, each as often as it occurs.
            languages: Of the passages.
        """
        terms, frequencies = _merged(self.terms, self.frequencies, sparse, 1)
        centroids = dict(self.centroids)
        for name, rows in (vectors or {}).items():
            known = centroids.get(name)
            if known is None or known.dimensions != rows.shape[1]:  # the model has changed
                known = Centroids.empty(rows.shape[1])
            centroids[name] = known.add(rows)
        return replace(
            self,
            passages=self.passages + len(sparse),
            terms=terms,
            frequencies=frequencies,
            keywords=_counted(self.keywords, keywords, 1, _MOST_KEYWORDS),
            centroids=centroids,
            languages=_counted(self.languages, languages, 1, _MOST_KEYWORDS),
        )

    def remove(
        self,
        sparse: Sequence[SparseVector],
        *,
        vectors: Mapping[str, NDArray[np.float32]] | None = None,
        keywords: Iterable[str] = (),
        languages: Iterable[str] = (),
    ) -> Profile:
        """Return it without a batch of passages, given what they were added with."""
        terms, frequencies = _merged(self.terms, self.frequencies, sparse, -1)
        centroids = {
            name: known.remove(vectors[name])
            if vectors and name in vectors and vectors[name].shape[1] == known.dimensions
            else known
            for name, known in self.centroids.items()
        }
        return replace(
            self,
            passages=max(0, self.passages - len(sparse)),
            terms=terms,
            frequencies=frequencies,
            keywords=_counted(self.keywords, keywords, -1, _MOST_KEYWORDS),
            centroids=centroids,
            languages=_counted(self.languages, languages, -1, _MOST_KEYWORDS),
            removed=self.removed + len(sparse),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Profile) and self.dumps() == other.dumps()

    def __hash__(self) -> int:
        return hash(self.dumps())

    def dumps(self) -> str:
        """Return it as text, for a JSON column: some 30 kB for a base of a thousand passages.

        Numbers of terms as differences, vectors in half precision: cosines move in the fourth digit.
        """
        steps = np.diff(self.terms, prepend=np.uint32(0)).astype("<u4")
        counts = np.minimum(self.frequencies, 2**32 - 1).astype("<u4")
        head = {
            "version": _VERSION,
            "passages": self.passages,
            "removed": self.removed,
            "terms": len(self.terms),
            "keywords": dict(sorted(self.keywords.items())),
            "languages": dict(sorted(self.languages.items())),
            "centroids": {
                name: {"counts": known.counts.tolist(), "dimensions": known.dimensions}
                for name, known in sorted(self.centroids.items())
            },
        }
        middles = [_means(known).astype("<f2").tobytes() for _, known in sorted(self.centroids.items())]
        # Bytes of the same weight together, which are alike.
        parts = [json.dumps(head).encode(), b"\n", _planes(steps), _planes(counts), *middles]
        return base64.b64encode(zlib.compress(b"".join(parts), 6)).decode("ascii")

    @classmethod
    def loads(cls, text: str) -> Profile:
        """Read what `dumps` wrote.

        Raises:
            ValueError: It is something else, or of a later version; it must be made anew.
        """
        try:
            head, _, rest = zlib.decompress(base64.b64decode(text, validate=True)).partition(b"\n")
            told = json.loads(head)
            if told["version"] != _VERSION:
                raise ValueError(f"version {told['version']}")
            count = int(told["terms"])
            terms = np.cumsum(_unplaned(rest[: 4 * count]), dtype=np.uint64).astype(np.uint32)
            frequencies = _unplaned(rest[4 * count : 8 * count]).astype(np.int64)
            centroids, at = {}, 8 * count
            for name, known in told["centroids"].items():
                counts, dimensions = np.array(known["counts"], np.int64), int(known["dimensions"])
                end = at + 2 * len(counts) * dimensions
                means = np.frombuffer(rest[at:end], "<f2").reshape(len(counts), dimensions).astype(np.float32)
                centroids[name], at = Centroids(means * counts[:, None].astype(np.float32), counts), end
        except (ValueError, KeyError, TypeError, zlib.error) as error:
            raise ValueError(f"This is no profile that can be read: {error}") from error
        return cls(
            told["passages"], terms, frequencies, told["keywords"], centroids, told["languages"], told["removed"]
        )


def _merged(
    terms: NDArray[np.uint32], frequencies: NDArray[np.int64], sparse: Sequence[SparseVector], sign: int
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    if not sparse:
        return terms, frequencies
    new, counts = np.unique(np.concatenate([vector.indices for vector in sparse]), return_counts=True)
    every, places = np.unique(np.concatenate([terms, new.astype(np.uint32)]), return_inverse=True)
    sums = np.zeros(len(every), np.int64)
    np.add.at(sums, places, np.concatenate([frequencies, sign * counts.astype(np.int64)]))
    kept = sums > 0
    if int(kept.sum()) > _MOST_TERMS:
        # Of those as rare as the last one, the smaller numbers: hashes, so by chance but the same each time.
        chosen = np.lexsort((every, -sums))[:_MOST_TERMS]
        kept = np.zeros(len(every), np.bool_)
        kept[chosen] = True
    return every[kept], sums[kept]


def _counted(known: Mapping[str, int], new: Iterable[str], sign: int, most: int) -> dict[str, int]:
    counts = Counter(known)
    for word in new:
        counts[word] += sign
    best = sorted((-count, word) for word, count in counts.items() if count > 0)[:most]
    return {word: -count for count, word in best}


def _means(known: Centroids) -> NDArray[np.float32]:
    return np.asarray(known.sums / np.maximum(1, known.counts)[:, None], np.float32)


def _planes(numbers: NDArray[np.uint32]) -> bytes:
    return np.ascontiguousarray(numbers.view(np.uint8).reshape(-1, 4).T).tobytes()


def _unplaned(data: bytes) -> NDArray[np.uint32]:
    return np.ascontiguousarray(np.frombuffer(data, np.uint8).reshape(4, -1).T).view("<u4").ravel()

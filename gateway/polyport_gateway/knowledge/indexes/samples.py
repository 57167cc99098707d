"""What the scores over an index, or over a part of it, are spread like: from a sample, kept for the next question.

Bases share an index, and each is asked for itself: its scores are to be seen against its own chunks. So a sample is of
the chunks that a filter leaves. Taking one reads two thousand vectors (70 ms), so it is kept until the chunks have
become a fifth more or fewer, which is looked at every few seconds. Ten of a hundred bases can be asked together in more
ways than can be kept: what a sample of the whole index has of them serves, where it has enough (8 ms).
"""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .base import VectorIndex, Where

__all__ = ["Sample", "Samples"]

_SIZE = 2000
_WHOLE = 4000
_ENOUGH = 300
"""Of the whole index's sample, for a mean within 6 % of a deviation, and a deviation within 4 %."""
_STALE = 0.2
_LOOK_AGAIN_S = 3.0
_KEPT = 64


class Sample(NamedTuple):
    """Some of the chunks that a filter leaves.

    Args:
        chunks: How many it leaves.
        ids: Of those in the sample.
        mean: Of their vectors.
        covariance: Of their vectors.
    """

    chunks: int
    ids: NDArray[np.int64]
    mean: NDArray[np.float32]
    covariance: NDArray[np.float32]


class Samples:
    """The samples of an index, by filter and embedder. May be used from several threads.

    Args:
        index: Of which.
        kept: How many at most; each takes the square of a vector's size, 0.6 MB for 384 dimensions.
    """

    def __init__(self, index: VectorIndex, *, kept: int = _KEPT) -> None:
        self._index, self._most = index, kept
        self._known: OrderedDict[tuple[str | None, str], tuple[float, Sample]] = OrderedDict()
        self._wholes: dict[str | None, tuple[int, NDArray[np.int64], NDArray[np.float32]]] = {}
        self._lock = threading.Lock()

    def of(self, name: str | None, where: Where) -> Sample:
        """Return a sample of the chunks that a filter leaves, with the vectors of an embedder, or none."""
        key = (name, json.dumps(where, sort_keys=True, default=str))
        now = time.monotonic()
        with self._lock:
            at, sample = self._known.get(key, (-np.inf, None))
            if sample is not None:
                self._known.move_to_end(key)
        if sample is not None and now - at < _LOOK_AGAIN_S and sample.chunks > _SIZE:
            return sample
        chunks = self._index.count(where)
        if sample is None or abs(chunks - sample.chunks) > _STALE * sample.chunks:
            sample = self._take(name, where, chunks)
        with self._lock:
            self._known[key] = now, sample
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        return sample._replace(chunks=chunks)

    def _take(self, name: str | None, where: Where, chunks: int) -> Sample:
        ids, vectors = self._drawn(name, where, chunks)
        if not len(ids):
            return Sample(chunks, ids, np.empty(0, np.float32), np.empty((0, 0), np.float32))
        mean = vectors.mean(axis=0)
        spread = vectors - mean
        return Sample(chunks, ids, mean, np.asarray(spread.T @ spread / len(ids), np.float32))

    def _drawn(self, name: str | None, where: Where, chunks: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        if where and chunks > _SIZE:
            total = self._index.count()
            if chunks * _WHOLE >= _ENOUGH * total:
                ids, vectors = self._whole(name, total)
                # No more than will do, for the work grows with them; evenly, so that all parts have their share.
                step = max(1, int(len(ids) * chunks / (2 * _ENOUGH * total)))
                ids, vectors = ids[::step], vectors[::step]
                met = self._index.meeting(ids, where)
                if int(met.sum()) >= _ENOUGH:
                    return ids[met], vectors[met]
        return self._index.sample(name, _SIZE, where)

    def _whole(self, name: str | None, total: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        with self._lock:
            size, ids, vectors = self._wholes.get(name, _NO_SAMPLE)
        if abs(total - size) > _STALE * size:
            ids, vectors = self._index.sample(name, _WHOLE)
            with self._lock:
                self._wholes[name] = total, ids, vectors
        return ids, vectors


_NO_SAMPLE = 0, np.empty(0, np.int64), np.empty((0, 0), np.float32)

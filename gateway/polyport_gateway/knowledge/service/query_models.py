"""Models of the gateway while a question is answered; what was asked lately is not embedded again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from polyport.errors import CallError
from polyport_gateway.knowledge.embedding import GatewayModels

__all__ = ["QueryModels", "QueryVectors"]


class QueryVectors:
    """The vectors of what was asked lately; one for all of a gateway.

    Args:
        size: How many are kept.
    """

    def __init__(self, size: int = 10_000) -> None:
        self._size = size
        self._kept: OrderedDict[tuple[str, str], NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: str, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Return those that are known."""
        found: dict[str, NDArray[np.float32]] = {}
        with self._lock:
            for text in texts:
                vector = self._kept.get((name, text))
                if vector is not None:
                    self._kept.move_to_end((name, text))
                    found[text] = vector
        return found

    def put(self, name: str, made: dict[str, NDArray[np.float32]]) -> None:
        """Keep some."""
        with self._lock:
            for text, vector in made.items():
                self._kept[name, text] = vector
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)

    def forget(self, name: str) -> None:
        """Drop those of a model that has changed."""
        with self._lock:
            for key in [key for key in self._kept if key[0] == name]:
                del self._kept[key]


class QueryModels:
    """What `Finder` asks of models, from worker threads.

    Args:
        models: Of the gateway, for one call.
        vectors: Of earlier questions.
    """

    def __init__(self, models: GatewayModels, vectors: QueryVectors) -> None:
        self._models, self._vectors = models, vectors
        self._failed: dict[str, CallError] = {}

    def embed(self, name: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a vector of each text, a row for each.

        Raises:
            CallError: The model fails, or has failed before for the same call: its caller waits once.
        """
        if not texts:
            return np.empty((0, 0), np.float32)
        known = self._vectors.get(name, texts)
        new = [text for text in dict.fromkeys(texts) if text not in known]
        if new:
            if name in self._failed:
                raise self._failed[name]
            try:
                made = dict(zip(new, self._models.embed(name, new, "query"), strict=True))
            except CallError as error:
                self._failed[name] = error
                raise
            self._vectors.put(name, made)
            known.update(made)
        return np.stack([known[text] for text in texts])

    def rerank(self, name: str, query: str, texts: Sequence[str]) -> Sequence[float]:
        """Return how relevant each text is to a query, in the order of the texts."""
        scores: list[float] = self._models.rerank(name, query, texts).tolist()
        return scores

"""What is asked of embedders and rerankers while a question is answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Models", "NoModels"]


class Models(Protocol):
    """Models of the gateway, from a worker thread: each method waits for the answer.

    Raises:
        CallError: By each method, where the model fails.
    """

    def embed(self, name: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a vector of each text, a row for each."""
        ...

    def rerank(self, name: str, query: str, texts: Sequence[str]) -> Sequence[float]:
        """Return how relevant each text is to a query, in the order of the texts."""
        ...


class NoModels:
    """For bases that have none."""

    def embed(self, name: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """Refuse."""
        raise LookupError(f"there is no model to embed {len(texts)} texts with, though {name!r} is named")

    def rerank(self, name: str, query: str, texts: Sequence[str]) -> Sequence[float]:
        """Refuse."""
        raise LookupError(f"there is no model to rerank {len(texts)} texts with, though {name!r} is named")

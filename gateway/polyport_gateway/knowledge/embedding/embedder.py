"""`Embedder`: vectors of documents' texts through the cache, of queries through one in memory."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from polyport.errors import ConfigurationError

from .cache import EmbeddingCache

__all__ = ["Embed", "Embedder", "Role"]

Role = str
"""``document`` or ``query``: some models embed the two differently."""
Embed = Callable[[Sequence[str], Role], NDArray[np.float32]]
"""Makes vectors of texts, a row for each."""

_log = logging.getLogger("polyport.knowledge")

_PROBE = "polyport"
_EPOCH = "\0epoch"
"""Under this text is kept how often the model was seen to have been replaced. Whatever an earlier model made went into
the cache before it, and so goes before it."""
_SIZE = "\0size"
"""Under this one, the size of its vectors."""
_QUERIES = 4096
_ALIKE = 0.99


class Embedder:
    """One embedder of a base, as ingestion and questions use it; may be used from several threads.

    Args:
        name: Of the model, and of the vectors in the index.
        embed: Makes vectors.
        cache: Of documents' vectors; None keeps none.
        fingerprint: What tells its model from others under the same name; its vectors' size is added to it.
        size: Of its vectors, where it is known: another is an error.

    Example:
        >>> lengths = Embedder("lengths", lambda texts, role: np.array([[len(text), 1] for text in texts], np.float32))
        >>> lengths.documents(["tea", "milk"]).tolist()
        [[3.0, 1.0], [4.0, 1.0]]
    """

    def __init__(
        self,
        name: str,
        embed: Embed,
        *,
        cache: EmbeddingCache | None = None,
        fingerprint: str = "",
        size: int | None = None,
    ) -> None:
        self.name = name
        self._embed = embed
        self._cache = cache
        self._fingerprint = fingerprint
        self._epoch: int | None = None
        self._size = self._wanted = size
        self._sure = size is not None
        self._queries: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """The size of its vectors; asks the model where nothing is known from earlier.

        Raises:
            CallError: The model fails.
        """
        if self._size is None and self._cache is not None:
            # So that what is kept can be had while the model does not answer.
            kept = self._cache.get(self._model, [_SIZE])[0]
            with self._lock:
                # Another thread may have asked the model meanwhile, and knows better.
                if self._size is None and kept is not None:
                    self._size = int(kept[0])
        if self._size is None:
            self._asked([_PROBE], "document")
        assert self._size is not None  # noqa: S101 - asking has set it
        return self._size

    def probe(self) -> int:
        """Ask the model, whatever is kept, and return the size of its vectors: to be done before many are made.

        A model that was replaced under its name is noticed by the vector of one text, and what is kept of the former
        one is not used again. If its size is another, that is its size from now on: whether it fits an index is for
        the index to say.

        Raises:
            ConfigurationError: The size is another than the one wanted.
            CallError: The model fails.
        """
        self._sure = self._wanted is not None
        vector = self._asked([_PROBE], "document")[0]
        if self._cache is None:
            return len(vector)
        kept = self._cache.get(self._key, [_PROBE])[0]
        if kept is not None and _cosine(kept, vector) < _ALIKE:
            _log.warning("the model behind %r gives other vectors than it did: bases that use it must be reindexed",
                         self.name)  # fmt: skip
            self._epoch = self._kept_epoch() + 1
            self._cache.put(self._base, [_EPOCH], np.array([[self._epoch]], np.float32))
            with self._lock:
                self._queries.clear()
        self._cache.put(self._key, [_PROBE], vector[None])
        return len(vector)

    def documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return vectors of texts that are to be found, a row for each; the same text is embedded once.

        Raises:
            ConfigurationError: The size of the vectors has changed.
            CallError: The model fails.
        """
        if not texts:
            return np.empty((0, self.size), np.float32)
        size = self.size
        different = list(dict.fromkeys(texts))
        kept = [None] * len(different) if self._cache is None else self._cache.get(self._key, different)
        found = {
            text: vector
            for text, vector in zip(different, kept, strict=True)
            if vector is not None and len(vector) == size
        }
        missing = [text for text in different if text not in found]
        if missing:
            # Alike in length, they waste least in a model's batch.
            missing.sort(key=len)
            vectors = self._asked(missing, "document")
            if self._cache is not None:
                self._cache.put(self._key, missing, vectors)
            found |= zip(missing, vectors, strict=True)
        return np.stack([found[text] for text in texts])

    def queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return vectors of texts to find others by, a row for each.

        Raises:
            ConfigurationError: The size of the vectors has changed.
            CallError: The model fails.
        """
        if not texts:
            return np.empty((0, self.size), np.float32)
        found: dict[str, NDArray[np.float32]] = {}
        with self._lock:
            for text in texts:
                kept = self._queries.get(text)
                if kept is not None:
                    self._queries.move_to_end(text)
                    found[text] = kept
        missing = [text for text in dict.fromkeys(texts) if text not in found]
        if missing:
            fresh = dict(zip(missing, self._asked(missing, "query"), strict=True))
            found |= fresh
            with self._lock:
                self._queries |= fresh
                while len(self._queries) > _QUERIES:
                    self._queries.popitem(last=False)
        return np.stack([found[text] for text in texts])

    def query(self, text: str) -> NDArray[np.float32]:
        """Return the vector of one query."""
        vector: NDArray[np.float32] = self.queries([text])[0]
        return vector

    @property
    def _model(self) -> str:
        return f"{self.name}\0{self._fingerprint}"

    @property
    def _base(self) -> str:
        return f"{self._model}\0{self.size}"

    @property
    def _key(self) -> str:
        if self._epoch is None:
            self._epoch = self._kept_epoch()
        return f"{self._base}\0{self._epoch}"

    def _kept_epoch(self) -> int:
        kept = self._cache.get(self._base, [_EPOCH])[0] if self._cache is not None else None
        return 0 if kept is None else int(kept[0])

    def _asked(self, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        vectors = np.ascontiguousarray(self._embed(texts, role), np.float32)
        if vectors.ndim != 2 or len(vectors) != len(texts):
            raise ConfigurationError(
                f"{self.name!r} gave {vectors.shape} numbers for {len(texts)} texts; it must give a vector for each."
            )
        if not np.isfinite(vectors).all():
            raise ConfigurationError(f"{self.name!r} gave a vector with numbers that are none (NaN or infinite).")
        size = int(vectors.shape[1])
        if not self._sure:
            self._learn(size)
        elif size != self._size:
            raise ConfigurationError(
                f"{self.name!r} gives vectors of {size} dimensions, and gave {self._size} before: its "
                "model has changed. Reindex with it, or configure the former one."
            )
        return vectors

    def _learn(self, size: int) -> None:
        with self._lock:
            changed = size != self._size
            self._size, self._sure = size, True
            if changed:
                self._epoch = None
                self._queries.clear()
        if changed and self._cache is not None:
            self._cache.put(self._model, [_SIZE], np.array([[size]], np.float32))


def _cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    lengths = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    return float(one @ other) / lengths if lengths else 1.0

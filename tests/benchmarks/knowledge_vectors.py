"""Vectors of a benchmark's texts, kept in a folder: a hundred thousand cost an hour, and time is not its subject."""

from __future__ import annotations

import hashlib
import importlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["KeptVectors"]

_PART = 1000


class KeptVectors:
    """A sentence-transformers model, asked once for each text.

    Args:
        model: A name, a path, or an installed package that carries one.
        folder: Where vectors are kept, in files of a thousand.
        dtype: Of the model's numbers; bfloat16 is twice as fast where the processor has it.
    """

    def __init__(self, model: str, folder: Path, dtype: str = "float32") -> None:
        self._name, self._dtype = model, dtype
        self._folder = folder / hashlib.sha256(f"{model} {dtype}".encode()).hexdigest()[:12]
        self._folder.mkdir(parents=True, exist_ok=True)
        self._model: Any = None
        self._known: dict[str, NDArray[np.float32]] = {}
        for file in sorted(self._folder.glob("*.npz")):
            with np.load(file) as kept:
                self._known.update(zip(kept["keys"].tolist(), kept["vectors"].astype(np.float32), strict=True))
        self.seconds = 0.0
        self.embedded = 0

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a row for each text, of length 1."""
        keys = [hashlib.sha256(text.encode()).hexdigest()[:32] for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        # Long ones together: a batch is as long as its longest.
        waiting = sorted(new, key=lambda key: len(new[key]))
        for start in range(0, len(waiting), _PART):
            part = waiting[start : start + _PART]
            began = time.perf_counter()
            vectors = self.encode([new[key] for key in part])
            self.seconds += time.perf_counter() - began
            self.embedded += len(part)
            self._known.update(zip(part, vectors, strict=True))
            if len(waiting) > _PART:
                print(f"embedded {start + len(part):,} of {len(waiting):,}", file=sys.stderr, flush=True)
            target = self._folder / f"{part[0]}.npz"
            writing = target.with_suffix(".part")
            with writing.open("wb") as file:
                np.savez(file, keys=np.array(part), vectors=vectors.astype(np.float16))
            writing.replace(target)
        return np.stack([self._known[key] for key in keys]) if keys else np.empty((0, 0), np.float32)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Ask the model."""
        if self._model is None:
            import torch  # type: ignore[import-not-found,unused-ignore]
            from sentence_transformers import SentenceTransformer  # type: ignore[import-not-found,unused-ignore]

            try:
                place = str(importlib.import_module(self._name).get_model_path())
            except ImportError:
                place = self._name
            self._model = SentenceTransformer(place, device="cpu").to(getattr(torch, self._dtype))
        made = self._model.encode(list(texts), batch_size=32, show_progress_bar=False, convert_to_tensor=True)
        rows = made.float().numpy()
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)

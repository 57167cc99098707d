"""Which bases a question is put to, where it names none."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from polyport_gateway.knowledge.bases.generation import analyzer
from polyport_gateway.knowledge.federation.profiles import Profile
from polyport_gateway.knowledge.federation.routing import Router, Routing, shares

from .learning import PROFILES
from .registry import OpenBase

__all__ = ["Routes"]

_KEPT = 64


class Routes:
    """Routes questions; what bases are about is read once and again when it has changed."""

    def __init__(self) -> None:
        self._profiles: dict[str, tuple[str, Profile]] = {}
        self._routers: dict[tuple[tuple[str, str], ...], Router] = {}
        self._lock = threading.Lock()

    def route(
        self,
        question: str,
        bases: Sequence[OpenBase],
        found: Sequence[tuple[str, float]],
        vectors: Mapping[str, NDArray[np.float32]],
    ) -> Routing:
        """Rank bases for a question.

        Args:
            question: As it was asked.
            bases: Those that may be asked.
            found: Of the best passages of a search over all of them, the base and the score.
            vectors: The question's, by embedder.
        """
        own = shares([name for name, _ in found], [score for _, score in found])
        return self._router(bases).route(question, vectors=vectors, found=own)

    def _router(self, bases: Sequence[OpenBase]) -> Router:
        texts = {base.name: (base.state(PROFILES) or {}).get(str(base.generation.number)) or "" for base in bases}
        key = tuple(sorted((name, str(hash(text))) for name, text in texts.items()))
        with self._lock:
            known = self._routers.get(key)
            if known is None:
                if len(self._routers) >= _KEPT:
                    self._routers.clear()
                profiles = {name: self._profile(name, text) for name, text in texts.items()}
                known = self._routers[key] = Router(profiles, analyzer())
            return known

    def _profile(self, name: str, text: str) -> Profile | None:
        if not text:
            return None
        kept = self._profiles.get(name)
        if kept is None or kept[0] != text:
            kept = self._profiles[name] = (text, Profile.loads(text))
        return kept[1]

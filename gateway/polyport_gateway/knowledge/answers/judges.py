"""Whom to ask where words do not tell: an embedder, or a model."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from polyport_gateway.knowledge.retrieval.dense import normalized
from polyport_gateway.knowledge.retrieval.hybrid import Embed

from .citations import Judge
from .followup import Write
from .language import language_of
from .prompts import Prompts, defused
from .support import Likeness

__all__ = ["cosine_scale", "embedding_likeness", "model_judge"]

_NUMBER = re.compile(r"(?<![\d.])(?:0?\.\d+|[01](?:\.\d+)?)(?![\d.])")
_KNOWN = 512
Vectors = Sequence[Sequence[float]] | NDArray[np.float32]


def embedding_likeness(embed: Embed, *, unlike: float = 0.0, like: float = 1.0) -> Likeness:
    """Return the likeness of texts by their vectors' cosine; vectors are made once for each text.

    Args:
        embed: Makes vectors.
        unlike: The cosine that counts as 0.
        like: The cosine that counts as 1.

    Raises:
        ValueError: ``like`` is not above ``unlike``.
    """
    if like <= unlike:
        raise ValueError(f"like={like} must be above unlike={unlike}.")
    known: dict[str, NDArray[np.float32]] = {}

    def of(texts: Sequence[str]) -> NDArray[np.float32]:
        if len(known) > _KNOWN:
            known.clear()
        new = [text for text in dict.fromkeys(texts) if text not in known]
        if new:
            known.update(zip(new, normalized(embed(new)), strict=True))
        return np.stack([known[text] for text in texts])

    def likeness(text: str, others: Sequence[str]) -> list[float]:
        if not others:
            return []
        vectors = of([text, *others])
        scaled = (vectors[1:] @ vectors[0] - unlike) / (like - unlike)
        return [float(value) for value in np.clip(scaled, 0.0, 1.0)]

    return likeness


def cosine_scale(vectors: Vectors) -> tuple[float, float]:
    """Return which cosines mean nothing and all to an embedder, from vectors of passages taken at random.

    Embedders differ: two texts that have nothing to do with each other are at .05 for one and at .75 for another. Two
    deviations above the mean of such pairs begins what means something; six tenths of the way from there to 1 is where
    a question and what answers it are (MiniLM: .2 and .7, which `COSINE_SCALE` is).

    Args:
        vectors: A row for each passage; two or more, better two hundred.

    Raises:
        ValueError: There are fewer than two.
    """
    if len(vectors) < 2:
        raise ValueError(f"A scale takes two vectors or more, not {len(vectors)}.")
    unit = normalized(np.asarray(vectors, np.float32))
    pairs = (unit @ unit.T)[np.triu_indices(len(unit), 1)]
    unlike = float(min(0.95, max(0.0, pairs.mean() + 2 * pairs.std())))
    return unlike, unlike + 0.6 * (1 - unlike)


def model_judge(write: Write, prompts: Prompts | None = None) -> Judge:
    """Return a judge that asks a model by the template ``judge``; one that gives no number says nothing against.

    Args:
        write: Asks the model; may block.
        prompts: Has the template.
    """
    templates = prompts or Prompts()

    def judge(sentence: str, quote: str) -> float:
        prompt = templates.fill("judge", language_of(sentence), sentence=defused(sentence), quote=defused(quote))
        found = _NUMBER.search(write(prompt))
        return float(found.group()) if found is not None else 1.0

    return judge

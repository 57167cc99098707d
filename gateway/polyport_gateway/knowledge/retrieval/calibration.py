"""Learning how far to trust each retriever, from the documents alone.

No one has labelled questions for their own files. But a passage can ask for itself: one of its sentences is the query,
and the passage without it is what must be found among others that lack one too (the inverse cloze task: Lee, Chang and
Toutanova, "Latent retrieval for weakly supervised open domain question answering", ACL 2019). The others must lack
one: a model that knows nothing of a script still sees how long a text is, and finds the one that was shortened among
whole ones. Chunks of 256 tokens in Chinese gave MiniLM a share of .6 that way, and it finds 1 in 70 by itself. The
sentence shares few words with the rest of its passage beyond what a question would, so the task does not favour BM25
as asking for a verbatim sentence would. Each weight is judged by the mean reciprocal rank that its fused ranking has
over some two hundred such probes, apart for each kind of script, so that a model that knows no Chinese loses its say
there and nowhere else. Neighbouring weights are as good within chance, and which one comes out first is chance too. So
the weight taken is the mean of all, each counted by how likely it is to be as good as the first: exp(-½ (gap /
standard error of the gap)²), the errors being those of paired differences. Taking the best one, or the best retriever
alone where mixing is not surely better, varied by .10 and .04 (HotpotQA, MuSiQue) from one sample of probes to the
next, and now and then gave vectors all the say; the mean varies by .05 and .03. BM25 alone is taken where mixing is
not better by two standard errors: it costs no model.

Measured with MiniLM, the dense share that 200 probes choose: HotpotQA .73 (questions are best with .5; within one
question from .3 to .8), MuSiQue .82 (.7 to 1), Chinese 0 (0 to .2).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from polyport_gateway.knowledge.chunkers.boundaries import SENTENCES, ends_of

from .bm25 import BM25, BM25Index
from .dense import normalized
from .fusion import standardized
from .hybrid import Embed, Weights
from .terms import unspaced_share

__all__ = ["Probe", "learn_weights", "make_probes"]

_GRID = np.linspace(0, 1, 21)
_FEWEST = 20
_SHORTEST = 10
_SURE = 2.0
"""Standard errors by which mixing must be better than BM25 alone."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A passage that asks for itself.

    Args:
        document: Its number.
        query: One of its sentences.
        rest: Its text without that sentence.
    """

    document: int
    query: str
    rest: str


def make_probes(texts: Sequence[str], count: int = 200, seed: int = 0) -> list[Probe]:
    """Take a sentence out of up to ``count`` passages that have three or more; the same for the same texts."""
    chance = random.Random(seed)  # noqa: S311  # a sample, not a secret
    probes: list[Probe] = []
    for document in chance.sample(range(len(texts)), len(texts)):
        if len(probes) == count:
            break
        text = texts[document]
        ends = ends_of(SENTENCES, text, 0, len(text))
        spans = [
            (start, end)
            for start, end in zip([0, *ends], ends, strict=False)
            if len(text[start:end].strip()) > _SHORTEST
        ]
        if len(spans) >= 3:
            start, end = spans[chance.randrange(1, len(spans))]  # not the first, which may be the title
            probes.append(Probe(document, text[start:end].strip(), text[:start] + text[end:]))
    return probes


def learn_weights(
    probes: Sequence[Probe],
    *,
    bm25: BM25,
    embed: Embed,
    titles: Sequence[str] | None = None,
    start: Weights | None = None,
) -> Weights:
    """Return the weights by which most probes are found; where there are too few of a script, the starting ones.

    Embeds each probe's query and the rest of its passage.

    Args:
        probes: Made from the texts that are indexed.
        bm25: What makes vectors of terms.
        embed: What makes vectors of documents and of queries.
        titles: Of the documents, where they were indexed with one; embedded as a line before the text.
        start: Where nothing is known.
    """
    weights = start or Weights()
    for unspaced in (False, True):
        chosen = [probe for probe in probes if (unspaced_share(probe.query) >= 0.5) is unspaced]
        if len(chosen) < _FEWEST:
            continue
        own = None if titles is None else [titles[probe.document] for probe in chosen]
        index, made = BM25Index.of([probe.rest for probe in chosen], own, bm25)
        lexical = np.stack([index.scores(made.query(probe.query)) for probe in chosen])
        rests = [probe.rest if own is None else f"{title}\n{probe.rest}" for probe, title in _titled(chosen, own)]
        near = normalized(embed([probe.query for probe in chosen])) @ normalized(embed(rests)).T
        weight = _best_weight(standardized(near), standardized(lexical), np.arange(len(chosen)))
        weights = replace(weights, unspaced=weight) if unspaced else replace(weights, spaced=weight)
    return weights


def _titled(probes: Sequence[Probe], titles: Sequence[str] | None) -> Iterator[tuple[Probe, str]]:
    return zip(probes, titles or [""] * len(probes), strict=True)


def _best_weight(near: NDArray[np.float32], lexical: NDArray[np.float32], targets: NDArray[np.int64]) -> float:
    """Return the mean of the weights, each counted by how likely it is the best; 0 where none is surely so."""
    rows = np.arange(len(targets))
    found = []
    for weight in _GRID:
        scores = weight * near + (1 - weight) * lexical
        target = scores[rows, targets][:, None]
        # Of equal scores, the middle rank: to find nothing is not to find it first.
        ranks = 1 + (scores > target).sum(axis=1) + ((scores == target).sum(axis=1) - 1) / 2
        found.append(1 / ranks)
    by_weight = np.array(found)
    best = by_weight[int(by_weight.mean(axis=1).argmax())]
    if not _surely_better(best, by_weight[0]):  # BM25 costs no model
        return 0.0
    gaps = best - by_weight
    errors = gaps.std(axis=1) / np.sqrt(len(targets)) + 1e-4
    likely = np.exp(-0.5 * (gaps.mean(axis=1) / errors) ** 2)
    return float((likely @ _GRID / likely.sum()).round(2))


def _surely_better(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    gains = one - other
    return bool(gains.mean() > _SURE * gains.std() / np.sqrt(len(gains)))

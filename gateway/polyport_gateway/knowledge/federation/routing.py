"""Which knowledge bases a question is for.

Three kinds of evidence, each of which says how well every base suits the question:

* What is found: the share of each base among the best passages of one search over all of them. That is ReDDE's idea (Si
  and Callan, "Relevant document distribution estimation method for resource selection", SIGIR 2003) on real results in
  place of a sample's, for the bases of a shelf are one index, and searching all of them costs what searching one does.
* Words: the likelihood of the question's terms in each base, by how many of its passages have them, against all bases
  together, with Dirichlet's smoothing (Si, Jin, Callan and Ogilvie, "A language modeling framework for resource
  selection and results merging", CIKM 2002). Keywords and the base's name count as terms.
* Vectors: the cosine of the question and the nearest of a base's `Centroids`.

The logarithm of the first and the two others in deviations are added, and the sum becomes probabilities. As many bases
are chosen as have `coverage` together: one where it is plain, all where nothing is known.

Measured on what a hundred teams of Debian say of their packages, the questions being synopses (right base first / among
the first three; `tests/benchmarks/knowledge_scale.py`). On 1,980 questions by which the constants were chosen: CORI
with its usual ones .74/.88, the words' likelihood .84/.93, middles .78/.88, what BM25 finds .89/.96, what hybrid search
finds .92/.98. On 1,965 others, in a hundred bases of 1,000 passages each: words .82/.93, words and middles .86/.95;
without a model, BM25's finds and words .93/.97; all together .94/.98, where 1.6 bases are chosen and the right one is
among them .984 times. A hundred bases take 3 ms of one core.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyport.errors import NotFoundError
from polyport_gateway.knowledge.retrieval.dense import normalized
from polyport_gateway.knowledge.retrieval.terms import Analyzer, fold

from .profiles import Profile

__all__ = ["Route", "Router", "Routing", "shares"]

_PRIOR = 25.0
"""Dirichlet's μ, in passages."""
_MIDDLES = 0.3
"""The share of vectors beside words."""
_PROFILES = 1.0
"""Of words and vectors, in deviations, beside the logarithm of what is found."""
_LEAST = 1e-3
_WORDS_FLAT = 0.3
_COSINES_FLAT = 0.05
"""Deviations below which bases count as alike: with two of them, any difference is a whole deviation."""
_ALONE = 2.5
"""How much more profiles say where nothing was searched: so that a probability of .9 is right nine times of ten."""
_FOUND_TEMPERATURE = 0.7
_FOUND = 50
_LONGEST = 2000
_SHORTEST_NAME = 4
"""Letters of a base's name that a question can mean: "go" or "r" say little."""
_WORD = re.compile(r"\w+")
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]+")


@dataclass(frozen=True)
class Route:
    """How well a base suits a question: 0 to 1, all bases together 1, and why."""

    knowledge: str
    score: float
    why: str


@dataclass(frozen=True)
class Routing:
    """Bases by how well they suit, the best first, and those that should be searched."""

    routes: tuple[Route, ...]
    chosen: tuple[str, ...]

    @property
    def sure(self) -> float:
        """How likely the first one is right, 0 to 1."""
        return self.routes[0].score if self.routes else 0.0


def shares(bases: Sequence[str], scores: Iterable[float]) -> dict[str, float]:
    """Return each base's share of the best passages that a search over all of them found.

    Args:
        bases: Of each passage, the base that it is of.
        scores: Of each, in deviations above the mean, as `IndexRetriever` gives them; better ones weigh more.
    """
    values = np.fromiter(scores, np.float64, len(bases))
    best = np.argsort(-values, kind="stable")[:_FOUND]
    if not len(best):
        return {}
    weights = np.exp((values[best] - values[best[0]]) / _FOUND_TEMPERATURE)
    found: dict[str, float] = {}
    for place, weight in zip(best.tolist(), (weights / weights.sum()).tolist(), strict=True):
        found[bases[place]] = found.get(bases[place], 0.0) + weight
    return found


class Router:
    """Ranks knowledge bases for questions; unchanging, so that a new one takes its place when a base has changed.

    Args:
        profiles: Of each base by name; None for one of which nothing is known yet, which is always searched.
        analyzer: The one that made the profiles' terms.

    Example::

        router = Router({"handbook": profile, "contracts": other}, analyzer)
        router.route("Who signs leases?", found=shares(bases, scores)).chosen
    """

    def __init__(self, profiles: Mapping[str, Profile | None], analyzer: Analyzer) -> None:
        self._analyzer = analyzer
        self._all = tuple(sorted(profiles))
        # One that is empty answers nothing.
        self._known = {name: found for name in self._all if (found := profiles[name]) is not None and found.passages}
        self._unknown = tuple(name for name in self._all if profiles[name] is None)
        self._names = list(self._known)
        self._sizes = np.array([profile.passages for profile in self._known.values()], np.float64)
        self._phrases = self._indexed_phrases()
        self._middles = self._stacked_middles()

    def _indexed_phrases(self) -> dict[str, dict[int, float]]:
        phrases: dict[str, dict[int, float]] = {}
        for place, (name, profile) in enumerate(self._known.items()):
            for keyword, count in profile.keywords.items():
                phrases.setdefault(_phrase(keyword), {})[place] = float(count)
            if len(_phrase(name)) >= _SHORTEST_NAME or _UNSPACED.search(name):
                phrases.setdefault(_phrase(name), {})[place] = float(profile.passages)
        phrases.pop("", None)
        return phrases

    def _stacked_middles(self) -> dict[str, tuple[NDArray[np.float32], NDArray[np.int64]]]:
        rows: dict[str, list[NDArray[np.float32]]] = {}
        owners: dict[str, list[int]] = {}
        for place, profile in enumerate(self._known.values()):
            for embedder, centroids in profile.centroids.items():
                rows.setdefault(embedder, []).append(centroids.middles)
                owners.setdefault(embedder, []).extend([place] * len(centroids.middles))
        return {
            embedder: (np.concatenate(parts), np.array(owners[embedder], np.int64))
            for embedder, parts in rows.items()
            if len({part.shape[1] for part in parts}) == 1  # a model that has changed in some: they don't compare
        }

    def route(
        self,
        question: str,
        *,
        vectors: Mapping[str, NDArray[np.float32]] | None = None,
        found: Mapping[str, float] | None = None,
        among: Sequence[str] | None = None,
        coverage: float = 0.95,
    ) -> Routing:
        """Rank the bases.

        Args:
            question: As it was asked.
            vectors: The question's vector by embedder, where there is one.
            found: What `shares` made of a search over all bases.
            among: Only these, in this order: an explicit list passes through, whatever the evidence.
            coverage: How likely the right base should be among those chosen.

        Raises:
            NotFoundError: A base of the list is not known.
        """
        if among is not None:
            return self._listed(among)
        words = _Words(self._analyzer, question[:_LONGEST], self._phrases)
        evidence = self._evidence(words, vectors or {}, found)
        scores = evidence.probabilities()
        order = np.lexsort((np.arange(len(scores)), -scores)).tolist()
        routes = [
            Route(self._names[place], float(scores[place]), evidence.why(place) if rank < 10 else "")
            for rank, place in enumerate(order)
        ]
        new = [Route(name, 0.0, "Nothing is known of it yet.") for name in self._unknown]
        empty = [Route(n, 0.0, "It is empty.") for n in self._all if n not in self._known and n not in self._unknown]
        count = _count_for(coverage, scores[order])
        chosen = [route.knowledge for route in routes[:count]] + list(self._unknown)
        return Routing((*routes, *new, *empty), tuple(chosen))

    def _listed(self, among: Sequence[str]) -> Routing:
        names = tuple(dict.fromkeys(among))
        for name in names:
            if name not in self._all:
                raise NotFoundError(f"There is no knowledge base {name!r}.")
        return Routing(tuple(Route(name, 1 / len(names), "It was asked for.") for name in names), names)

    def _evidence(
        self, words: _Words, vectors: Mapping[str, NDArray[np.float32]], found: Mapping[str, float] | None
    ) -> _Evidence:
        frequencies = np.array([_frequencies(profile, words.ids) for profile in self._known.values()], np.float64)
        frequencies = frequencies.reshape(len(self._names), len(words.ids))
        columns = [np.zeros((len(self._names), 1)) for _ in words.phrases]
        for column, phrase in zip(columns, words.phrases, strict=True):
            for place, count in self._phrases[phrase].items():
                column[place] = count
        frequencies = np.concatenate([frequencies, *columns], axis=1)
        return _Evidence(
            self._sizes,
            frequencies,
            [*words.texts, *words.phrases],
            self._cosines(vectors),
            None if found is None else np.array([found.get(name, 0.0) for name in self._names], np.float64),
        )

    def _cosines(self, vectors: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float64]:
        """Return, for each base, the cosine of its nearest middle, in deviations by embedder; 0 where it has none."""
        found = []
        for embedder, vector in vectors.items():
            if embedder not in self._middles:
                continue
            middles, owners = self._middles[embedder]
            asked = normalized(np.atleast_2d(vector))[0]
            if len(asked) != middles.shape[1]:
                continue
            nearest = np.full(len(self._names), np.nan)
            # Not `@`: so small a product is slower on several threads, and much slower where they are busy.
            np.fmax.at(nearest, owners, np.einsum("ij,j->i", middles, asked).astype(np.float64))
            found.append(_deviations(nearest, _COSINES_FLAT))
        return np.mean(found, axis=0) if found else np.zeros(len(self._names))


class _Words:
    """The terms and phrases of a question, and how they are written."""

    def __init__(self, analyzer: Analyzer, question: str, phrases: Mapping[str, object]) -> None:
        self.ids = analyzer.query(question).ids
        written: dict[int, str] = {}
        for text in _pieces(question):
            for number in analyzer.document(text).ids.tolist():
                written.setdefault(number, text)
        self.texts = [written.get(number, "") for number in self.ids.tolist()]
        self.phrases = sorted({phrase for phrase in _runs(question) if phrase in phrases})


@dataclass(frozen=True)
class _Evidence:
    sizes: NDArray[np.float64]
    frequencies: NDArray[np.float64]
    texts: list[str]
    cosines: NDArray[np.float64]
    found: NDArray[np.float64] | None

    def likelihoods(self) -> NDArray[np.float64]:
        """Return, for each base, how much likelier each word is in it than anywhere, as a logarithm, on average."""
        totals = self.frequencies.sum(axis=0)
        met = totals > 0
        if not met.any():
            return np.zeros(len(self.sizes))
        everywhere = totals[met] / self.sizes.sum()
        here = (self.frequencies[:, met] + _PRIOR * everywhere) / (self.sizes[:, None] + _PRIOR)
        return np.asarray(np.log(here / everywhere).mean(axis=1))

    def probabilities(self) -> NDArray[np.float64]:
        """Return how likely each base is the right one."""
        if not len(self.sizes):
            return np.empty(0)
        words = _deviations(self.likelihoods(), _WORDS_FLAT)
        told = (1 - _MIDDLES) * words + _MIDDLES * self.cosines if self.cosines.any() else words
        total = _PROFILES * _deviations(told, 0.5)
        searched = self.found is not None and self.found.any()
        total = _ALONE * total if self.found is None or not searched else total + np.log(self.found + _LEAST)
        weights = np.exp(total - total.max())
        return np.asarray(weights / weights.sum())

    def why(self, place: int) -> str:
        """Say in a sentence what speaks for a base."""
        reasons = []
        if self.found is not None and self.found[place] >= 0.01:
            reasons.append(f"{self.found[place]:.0%} of the best passages, by weight, are its own")
        shares = self.frequencies[place] / self.sizes[place]
        average = self.frequencies.sum(axis=0) / self.sizes.sum()
        telling = [
            (shares[at] * np.log(shares[at] / average[at]), self.texts[at], min(1.0, shares[at]))
            for at in range(len(self.texts))
            if self.texts[at] and shares[at] > 1.5 * average[at]
        ]
        best = {text.casefold(): (text, share) for _, text, share in sorted(telling)[-3:]}
        reasons += [f"“{text}” is in {share:.1%} of it" for text, share in reversed(best.values())]
        if self.cosines[place] >= 1:
            reasons.append("what it says lies near the question")
        return "; ".join(reasons)[:1].upper() + "; ".join(reasons)[1:] + "." if reasons else ""


def _frequencies(profile: Profile, ids: NDArray[np.uint32]) -> NDArray[np.float64]:
    if not len(profile.terms):
        return np.zeros(len(ids))
    places = np.minimum(np.searchsorted(profile.terms, ids), len(profile.terms) - 1)
    return np.where(profile.terms[places] == ids, profile.frequencies[places], 0).astype(np.float64)


def _deviations(values: NDArray[np.float64], flat: float) -> NDArray[np.float64]:
    """Return values in deviations above their mean; those that are missing are neither above nor below."""
    here = values[~np.isnan(values)]
    if not len(here):
        return np.zeros_like(values)
    return np.asarray(np.nan_to_num((values - here.mean()) / max(float(here.std()), flat)))


def _count_for(coverage: float, scores: NDArray[np.float64]) -> int:
    """Return how many of the best have so much together."""
    return min(len(scores), int(np.searchsorted(np.cumsum(scores), coverage)) + 1) if len(scores) else 0


def _phrase(text: str) -> str:
    return " ".join(_WORD.findall(fold(text).replace("_", " ")))


def _pieces(question: str) -> Iterator[str]:
    for word in _WORD.findall(question):
        if _UNSPACED.search(word) is None:
            yield word
        else:
            yield from (word[at : at + 2] for at in range(max(1, len(word) - 1)))


def _runs(question: str) -> Iterator[str]:
    """Return what may be a keyword: up to four words, or up to eight characters of a script without blanks."""
    words = _phrase(question).split()
    for start in range(len(words)):
        for end in range(start + 1, min(start + 4, len(words)) + 1):
            yield " ".join(words[start:end])
    for match in _UNSPACED.finditer(fold(question)):
        run = match.group()
        for start in range(len(run)):
            for end in range(start + 1, min(start + 8, len(run)) + 1):
                yield run[start:end]

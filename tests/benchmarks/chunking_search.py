"""How much of the evidence a search over chunks finds."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

from polyport_gateway.knowledge.tokenizers import Measure
from tests.benchmarks.chunking_corpora import Corpus, words_of
from tests.benchmarks.chunking_ours import Piece

Score = tuple[float, float, float]
"""Recall, precision and IoU, each the mean over the questions."""


class Search:
    """BM25 (k1 1.2, b 0.75) over texts."""

    def __init__(self, texts: Sequence[str]) -> None:
        counts = [Counter(words_of(text)) for text in texts]
        lengths = [sum(count.values()) for count in counts]
        mean = sum(lengths) / max(1, len(lengths))
        self._weights: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for number, (count, length) in enumerate(zip(counts, lengths, strict=True)):
            for word, times in count.items():
                weight = times * 2.2 / (times + 1.2 * (0.25 + 0.75 * length / mean))
                self._weights[word].append((number, weight))
        self._count = len(texts)

    def best(self, words: tuple[str, ...]) -> list[int]:
        """Return the texts that have any of the words, the best first."""
        scores: dict[int, float] = defaultdict(float)
        for word in words:
            found = self._weights.get(word, [])
            rarity = math.log(1 + (self._count - len(found) + 0.5) / (len(found) + 0.5))
            for number, weight in found:
                scores[number] += rarity * weight
        return sorted(scores, key=lambda number: (-scores[number], number))


class Judge:
    """Scores the pieces that a chunker made of a corpus."""

    def __init__(self, corpus: Corpus, measures: Sequence[Measure], budgets: Sequence[int]) -> None:
        self._corpus, self._measures, self._budgets = corpus, measures, budgets

    def scores(self, pieces: Sequence[Sequence[Piece]]) -> dict[int, Score]:
        """Return a score for each budget of tokens; the last piece is taken as far as the budget goes."""
        texts = self._corpus.texts
        placed = [(text, piece) for text, found in enumerate(pieces) for piece in found if not isinstance(piece, str)]
        search = Search([texts[text][piece[0] : piece[1]] for text, piece in placed])
        reads = [(text, piece[2], piece[3]) for text, piece in placed]
        sizes = [self._measures[text].count(start, end) for text, start, end in reads]
        totals = {budget: [0.0, 0.0, 0.0] for budget in self._budgets}
        for question in self._corpus.questions:
            ranked = search.best(question.words)
            evidence = {place for start, end in question.evidence for place in range(start, end)}
            for budget in self._budgets:
                taken = _taken(ranked, reads, sizes, budget)
                hit = len(evidence & taken[question.text])
                size = sum(map(len, taken.values()))
                values = (hit / len(evidence), hit / max(1, size), hit / (size + len(evidence) - hit))
                totals[budget] = [total + value for total, value in zip(totals[budget], values, strict=True)]
        number = len(self._corpus.questions)
        return {budget: (a / number, b / number, c / number) for budget, (a, b, c) in totals.items()}


def _taken(ranked: list[int], reads: list[tuple[int, int, int]], sizes: list[int], budget: int) -> dict[int, set[int]]:
    taken: dict[int, set[int]] = defaultdict(set)
    seen: set[tuple[int, int, int]] = set()
    left = budget
    for number in ranked:
        text, start, end = reads[number]
        if reads[number] in seen:  # a parent is read once, whatever the number of its children that were found
            continue
        seen.add(reads[number])
        if sizes[number] > left:
            end = start + (end - start) * left // sizes[number]
        taken[text].update(range(start, end))
        left -= min(left, sizes[number])
        if not left:
            break
    return taken

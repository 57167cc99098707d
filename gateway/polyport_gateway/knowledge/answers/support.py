"""Whether a passage says what a sentence says, and with which words.

The share of what the sentence states that the quote states too, weighed as in `facts`; what only the rest of the
passage, its title or its headings have counts less, for a sentence of a passage says "it" where the answer says the
name. Numbers and names that the passage lacks, a denial that only one of the two has, and an opposite (rose, fell) make
the sentence unsupported whatever else agrees: these are what models get wrong most, and what likeness of words or
vectors does not see (Kryściński et al., "Evaluating the factual consistency of abstractive text summarization", EMNLP
2020, alter just these to make their false sentences).

What this can't see: who did it to whom ("A beat B" and "B beat A" have the same words), and a paraphrase without
common words. For the latter an embedder or a model that judges can be given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from polyport.types.knowledge import KnowledgeHit
from polyport_gateway.knowledge.documents.values import Span

from .facts import CHARACTER, NUMBER_WEIGHT, Facts, facts_of, generic_stems
from .negation import opposed
from .units import Unit, units_of

__all__ = ["LONGEST_PASSAGE", "Body", "Evidence", "Likeness", "Support", "share"]

Likeness = Callable[[str, Sequence[str]], Sequence[float]]
"""How like a sentence is to each of some quotes, from 0 to 1: a cosine of vectors, or a model's judgement."""

_ELSEWHERE = 0.6
"""What a word counts that the passage has, but not the quote."""
_AKIN = 0.7
"""What a word counts of which only the beginning is there: publication, published."""
_PREFIX = 5
_CONTRADICTED = 0.2
_STRANGE_NAME = 0.35
_NUMBER_ELSEWHERE = 0.45
LONGEST_PASSAGE = 60_000
"""Characters of a passage that are looked at: a chunk has a few thousand."""
_WINDOW = 3
"""Sentences that one quote has at most."""


@dataclass(frozen=True, slots=True)
class Support:
    """How well a sentence is supported, and by what.

    Args:
        score: From 0 to 1.
        span: Of the quote in the passage's text.
        quote: Its words.
        why: What speaks against it; empty where nothing does.
    """

    score: float
    span: Span
    quote: str
    why: str = ""


class Body:
    """A text that others are held against.

    Args:
        facts: Of its parts.
    """

    def __init__(self, facts: Sequence[Facts]) -> None:
        self._facts = tuple(facts)
        self.words = {word for one in facts for word in one.words}
        self.beginnings = {word[:_PREFIX] for word in self.words if len(word) >= _PREFIX}
        self.numbers = frozenset(number for one in facts for number in one.numbers)
        self.text = "\n".join(one.text for one in facts)
        self.near = frozenset(word for one in facts for word in one.denied[1])
        self.first = frozenset(word for one in facts for word in one.denied[0])

    @classmethod
    def union(cls, bodies: Sequence[Body]) -> Body:
        """Return several texts as one."""
        if len(bodies) == 1:
            return bodies[0]
        return Body([facts for body in bodies for facts in body._facts])  # noqa: SLF001  # its own class

    @cached_property
    def pairs(self) -> set[str]:
        """Pairs of characters, of scripts without blanks."""
        return {self.text[at : at + 2] for at in range(len(self.text) - 1) if self.text[at] > "\u0dff"}

    def word(self, word: str) -> float:
        """Return 1 where a stem is here, and less where only its beginning is."""
        if word in self.words:
            return 1.0
        return _AKIN if len(word) > _PREFIX and word[:_PREFIX] in self.beginnings else 0.0

    def characters(self, run: str) -> list[bool]:
        """Tell for each character of a run whether it stands in a pair that is here too."""
        if len(run) == 1:
            return [run in self.text]
        found = [False] * len(run)
        for at in range(len(run) - 1):
            if run[at : at + 2] in self.pairs:
                found[at] = found[at + 1] = True
        return found


class Evidence:
    """A passage, cut into what can be quoted, that sentences are held against.

    Args:
        hit: The passage.
        likeness: Knows paraphrases; may block.
    """

    def __init__(self, hit: KnowledgeHit, likeness: Likeness | None = None) -> None:
        self.hit = hit
        self._likeness = likeness

    @cached_property
    def units(self) -> list[Unit]:
        """What can be quoted."""
        return units_of(self.hit.text[:LONGEST_PASSAGE])

    @cached_property
    def _facts(self) -> list[Facts]:
        return [facts_of(f"{unit.announced}\n{unit.text}" if unit.announced else unit.text) for unit in self.units]

    @cached_property
    def _bodies(self) -> list[Body]:
        return [Body([one]) for one in self._facts]

    @cached_property
    def _around(self) -> Body:
        title = facts_of("\n".join([self.hit.title, *self.hit.heading_path]))
        return Body([title, *self._facts])

    @cached_property
    def _named(self) -> Body:
        return Body([facts_of("\n".join([self.hit.title, *self.hit.heading_path]))])

    def covers(self, facts: Facts) -> float:
        """Return the share of what a text states that the whole passage has, its title included."""
        return share(facts, self._around, self._around, self._named)

    def support(self, sentence: str, facts: Facts | None = None) -> Support:
        """Return the words of the passage that support a sentence best, and how well they do.

        Args:
            sentence: Of an answer, without markers.
            facts: Of it, where they are known.
        """
        facts = facts_of(sentence) if facts is None else facts
        if not self.units or not facts.weight:
            return Support(0.0, Span(0, 0), "", "It says nothing that could be checked.")
        best = self._best_window(facts)
        first, last = best
        body = Body.union(self._bodies[first : last + 1])
        score = share(facts, body, self._around, self._named)
        span = Span(self.units[first].span.start, self.units[last].span.end)
        quote = self.hit.text[span.start : span.end]
        why, most = self._against(facts, body)
        if self._likeness is not None and not why:
            score = max(score, float(self._likeness(sentence, [quote])[0]))
        return Support(round(min(score, most), 4), span, quote, why)

    def _best_window(self, facts: Facts) -> tuple[int, int]:
        """Return the first and last unit of the quote: the fewest that state most of it."""
        single = [share(facts, one) for one in self._bodies]
        first = last = max(range(len(single)), key=lambda place: (single[place], -place))
        value = single[first]
        while last - first + 1 < _WINDOW:
            options = [(first - 1, last), (first, last + 1)]
            rated = [
                (share(facts, Body.union(self._bodies[low : high + 1])), low, high)
                for low, high in options
                if low >= 0 and high < len(self._facts)
            ]
            if not rated or max(rated)[0] < value + 0.12:
                break
            value, first, last = max(rated)
        return first, last

    def _against(self, facts: Facts, body: Body) -> tuple[str, float]:
        """Return what speaks against the sentence, and what its support may be at most."""
        around = self._around
        missing = facts.numbers - body.numbers - self._named.numbers
        strange = missing - around.numbers
        if strange:
            return f"The passage does not have the number {min(strange)}.", _CONTRADICTED
        if missing:
            return f"The number {min(missing)} stands elsewhere in the passage.", _NUMBER_ELSEWHERE
        for name in facts.names:
            telling = [part for part in name if part not in generic_stems()] or list(name)
            if not any(around.word(part) == 1 for part in telling):
                return f"The passage does not have the name {' '.join(name)}.", _STRANGE_NAME
        if _denies(facts, body):
            return "One of them denies what the other affirms.", _CONTRADICTED
        if opposed(facts.text, body.text):
            return "One of them says the opposite of the other.", _CONTRADICTED
        return "", 1.0


def share(facts: Facts, body: Body, around: Body | None = None, named: Body | None = None) -> float:
    """Return the share of what is stated that a text has.

    Args:
        facts: What is stated.
        body: The text.
        around: What stands around it, where a word counts less.
        named: What it is about, where a word counts as much.
    """
    total = facts.weight
    if not total:
        return 0.0
    found = 0.0
    for word, weight in facts.words.items():
        here = body.word(word)
        if here < 1 and named is not None:
            here = max(here, named.word(word))
        if around is not None:
            here = max(here, _ELSEWHERE * around.word(word))
        found += weight * here
    for number in facts.numbers:
        here = 1.0 if number in body.numbers else _ELSEWHERE if around is not None and number in around.numbers else 0.0
        found += NUMBER_WEIGHT * here
    for run in facts.runs:
        here_characters = body.characters(run)
        others = around.characters(run) if around is not None else here_characters
        titled = named.characters(run) if named is not None else here_characters
        for here_too, other, title in zip(here_characters, others, titled, strict=True):
            found += CHARACTER * (1.0 if here_too or title else _ELSEWHERE if other else 0.0)
    return found / total


def _denies(facts: Facts, body: Body) -> bool:
    """Tell whether one denies what the other affirms."""
    first, near = facts.denied
    for word in first:
        if word > "\u2e80":
            if word in body.text and word not in body.first:
                return True
        elif word in body.words and word not in body.near:
            return True
    for word in body.first:
        if word > "\u2e80":
            if word in facts.text and word not in first:
                return True
        elif word in facts.words and word not in near:
            return True
    return False

"""Whether the documents say anything on a question, told from what was found for it.

A search always finds something. What tells an answer from the nearest miss is how much of what the question is made of
the passages have: its names, numbers and words, weighed by how much they say (`facts`). The measure is that share, from
0 to 1, so that one threshold means the same for every collection; nothing of it is learned from one.

* Words may stand in the best passage or, for less, in the best three together: an answer over two passages has no
  passage with all of them.
* A name counts whole where it stands whole; less where its parts stand apart, for "Fist" and "Power" are everywhere.
* Where the cosine of question and passage is known, it is mixed in: it knows synonyms, and knows no numbers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from polyport.types.knowledge import KnowledgeHit
from polyport_gateway.knowledge.links.titles import find_whole
from polyport_gateway.knowledge.retrieval.terms import fold, unspaced_share

from .facts import NAME_WEIGHT, Facts, facts_of, stem, stems_of
from .language import is_chinese
from .support import Body, share

__all__ = ["COSINE_SCALE", "LONGEST_QUESTION", "THRESHOLD", "Coverage", "coverage", "not_found_text"]

THRESHOLD = 0.55
"""Below it, nothing was found; measured in docs/knowledge-answers.md."""

_PASSAGES = 5
_TOGETHER = 3
_UNION = 0.3
_APART = 0.7
_LONGEST = 20_000
LONGEST_QUESTION = 4000
"""Characters of a question that are weighed."""
_ABOUT = 0.1
"""What a question gains that names a document."""
_SHORT_TITLE = 5
_GLANCE, _OTHER_SCRIPT = 300, 0.6
_COSINE_SHARE = 0.4
COSINE_SCALE = (0.2, 0.7)
"""The cosines of what has nothing to do with each other, and of a question and what answers it, by MiniLM."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a question passages cover.

    Args:
        score: From 0 to 1.
        missing: Names and numbers of the question that no passage has.
        nearest: Titles of the documents that come nearest, the best first.
    """

    score: float
    missing: tuple[str, ...]
    nearest: tuple[str, ...]


class _Passage(Body):
    def __init__(self, hit: KnowledgeHit) -> None:
        text = "\n".join([hit.title, *hit.heading_path, hit.text[:_LONGEST]])
        super().__init__([facts_of(text)])
        self.line = f" {' '.join(stems_of(text))} "


def coverage(
    question: str,
    hits: Sequence[KnowledgeHit],
    cosines: Sequence[float] | None = None,
    *,
    scale: tuple[float, float] = COSINE_SCALE,
) -> Coverage:
    """Return how much of a question passages cover.

    Args:
        question: It, standing by itself.
        hits: What was found, the best first; the first five are looked at.
        cosines: Of the question and each of them, where vectors are at hand.
        scale: The cosines that mean nothing, and all; `cosine_scale` takes them from an embedder's own vectors.
    """
    question = question[:LONGEST_QUESTION]
    shown = hits[:_PASSAGES]
    nearest = tuple(dict.fromkeys(name for hit in shown if (name := hit.title or hit.source)))[:_TOGETHER]
    facts = facts_of(question, question=True)
    if not facts.weight:  # nothing but small words, such as a band's name
        asked = fold(question).strip(" ?？!！.。")
        named = any(asked and asked in fold(f"{hit.title}\n{hit.text[:_LONGEST]}") for hit in shown)
        return Coverage(float(named), (), nearest)
    if not shown:
        return Coverage(0.0, (), nearest)
    passages = [_Passage(hit) for hit in shown]
    score = _covered(facts, passages)
    if any(_is_about(question, hit.title) for hit in shown[:_TOGETHER]):
        score = min(1.0, score + _ABOUT)
    if cosines:
        likeness = min(1.0, max(0.0, (max(cosines[:_PASSAGES]) - scale[0]) / (scale[1] - scale[0])))
        weight = 1.0 if _foreign(question, shown) else _COSINE_SHARE
        score = (1 - weight) * score + weight * likeness
    return Coverage(round(score, 4), _missing(question, facts, passages), nearest)


def _is_about(question: str, title: str) -> bool:
    """Tell whether a question names a document, by its title without what stands in parentheses."""
    name = fold(re.sub(r"\s*[(（].*", "", title)).strip("《》 ")
    if len(name) < (_SHORT_TITLE if name.isascii() else _SHORT_TITLE // 2):
        return False
    return find_whole(question, name) >= 0


def _foreign(question: str, hits: Sequence[KnowledgeHit]) -> bool:
    """Tell whether question and passages are written so differently that they can't share words."""
    texts = "".join(hit.text[:_GLANCE] for hit in hits)
    return abs(unspaced_share(question) - unspaced_share(texts)) > _OTHER_SCRIPT


def _covered(facts: Facts, passages: Sequence[_Passage]) -> float:
    named = {part for name in facts.names for part in name}
    words = {word: weight for word, weight in facts.words.items() if word not in named}
    rest = Facts(words, (), facts.numbers, facts.runs, facts.denied, facts.text)
    total = found = 0.0
    if rest.weight:
        best = max(share(rest, passage) for passage in passages)
        together = share(rest, Body.union(passages[:_TOGETHER]))
        total = rest.weight
        found = total * ((1 - _UNION) * best + _UNION * max(best, together))
    for name in facts.names:
        weight = NAME_WEIGHT * len(name)
        total += weight
        found += weight * _named(name, passages)
    return found / total


def _named(name: Sequence[str], passages: Sequence[_Passage]) -> float:
    """Return how far a name is there: whole in a passage, or in parts of one."""
    whole = f" {' '.join(name)} "
    if any(whole in passage.line for passage in passages):
        return 1.0
    parts = max(sum(passage.word(part) == 1 for part in name) for passage in passages)
    return _APART * parts / len(name)


def _missing(question: str, facts: Facts, passages: Sequence[_Passage]) -> tuple[str, ...]:
    lost: list[str] = []
    for word in re.findall(r"[^\W\d_a-z][\w'’\-]*", question):
        stemmed = stem(fold(word))
        if any(stemmed in name for name in facts.names) and not any(passage.word(stemmed) for passage in passages):
            lost.append(word)
    numbers = [number for number in sorted(facts.numbers) if not any(number in one.numbers for one in passages)]
    return tuple(dict.fromkeys([*lost, *numbers]))


def not_found_text(language: str, found: Coverage) -> str:
    """Return what is answered when the documents say nothing: in the question's language, with what comes nearest.

    Languages other than Chinese, German, French and Spanish get English.
    """
    says, near, joint, end = _TEXTS.get("zh" if is_chinese(language) else language.split("-")[0], _TEXTS["en"])
    if not found.nearest:
        return says
    quoted = joint.join(_quoted(title, language) for title in found.nearest)
    return f"{says}{near}{quoted}{end}"


def _quoted(title: str, language: str) -> str:
    title = " ".join(title.split())[:80]
    return f"《{title.strip('《》')}》" if is_chinese(language) else f"“{title}”"


_TEXTS = {
    "en": ("The documents do not say anything on this.", " The nearest are ", ", ", "."),
    "zh": ("文档中没有与此相关的内容。", "最接近的文档是", "、", "。"),
    "de": ("Die Dokumente sagen dazu nichts.", " Am nächsten kommen ", ", ", "."),
    "fr": ("Les documents ne disent rien à ce sujet.", " Les plus proches sont ", ", ", "."),
    "es": ("Los documentos no dicen nada sobre esto.", " Los más cercanos son ", ", ", "."),
}

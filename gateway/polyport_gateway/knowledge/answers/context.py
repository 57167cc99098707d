"""What a model is given: the passages within a budget of tokens, and the conversation before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from polyport.types.knowledge import KnowledgeHit
from polyport_gateway.knowledge.retrieval.bm25 import BM25
from polyport_gateway.knowledge.retrieval.compression import compress
from polyport_gateway.knowledge.retrieval.terms import Analyzer

from .followup import Turn
from .language import language_name
from .prompts import Prompts, defused

__all__ = ["Context", "fit", "messages_for"]

_FENCE_TOKENS = 40
"""About what a passage's fence and title take."""
_HISTORY_SHARE = 0.25
_GAP = " … "
_MOST_PASSAGES = 50


@dataclass(frozen=True, slots=True)
class Context:
    """Passages that fit.

    Args:
        hits: Those that are shown, numbered from 1 in this order.
        texts: What is shown of each.
        shortened: Whether sentences were left out.
        left_out: Passages that are not shown at all.
    """

    hits: tuple[KnowledgeHit, ...]
    texts: tuple[str, ...]
    shortened: bool
    left_out: int


def fit(question: str, hits: Sequence[KnowledgeHit], budget: int, count: Callable[[str], int]) -> Context:
    """Return what of the passages fits: all, or the sentences that matter.

    Args:
        question: It.
        hits: The best first.
        budget: Tokens, for the passages with their fences.
        count: Counts the tokens of a text.
    """
    shown = [hit for hit in hits[:_MOST_PASSAGES] if hit.text.strip()]
    room = budget - _FENCE_TOKENS * len(shown)
    while len(shown) > 1 and room < budget // 2:  # more fence than text
        shown.pop()
        room = budget - _FENCE_TOKENS * len(shown)
    sizes = [count(hit.text) for hit in shown]
    if sum(sizes) <= room:
        return Context(tuple(shown), tuple(hit.text for hit in shown), shortened=False, left_out=len(hits) - len(shown))
    excerpt = compress(question, [hit.text for hit in shown], max(1, room), bm25=BM25(Analyzer()), count=count)
    parts: dict[int, list[str]] = {}
    ends: dict[int, int] = {}
    for sentence in excerpt.sentences:
        pieces = parts.setdefault(sentence.passage, [])
        text = shown[sentence.passage].text
        before = ends.get(sentence.passage, 0)
        between = text[before : sentence.span.start]
        pieces.append((between if not between.strip() else _GAP) + sentence.text if pieces else sentence.text)
        ends[sentence.passage] = sentence.span.end
    kept = sorted(parts)
    if not kept and shown:  # not even one sentence fits
        return Context((shown[0],), (_cut(shown[0].text, room, count),), shortened=True, left_out=len(hits) - 1)
    return Context(
        tuple(shown[place] for place in kept),
        tuple("".join(parts[place]) for place in kept),
        shortened=True,
        left_out=len(hits) - len(kept),
    )


def _cut(text: str, room: int, count: Callable[[str], int]) -> str:
    """Return as much of the beginning of a text as fits."""
    while len(text) > 1 and count(text) > room:
        text = text[: len(text) // 2]
    return text


def messages_for(
    question: str,
    context: Context,
    *,
    prompts: Prompts,
    language: str,
    history: Sequence[Turn] = (),
    history_tokens: int = 0,
    count: Callable[[str], int],
) -> list[dict[str, str]]:
    """Return the messages that a model is sent.

    Args:
        question: It, standing by itself.
        context: The passages.
        prompts: The templates.
        language: Of the answer.
        history: What was said before, the oldest first.
        history_tokens: What of it is sent at most.
        count: Counts the tokens of a text.
    """
    not_found = prompts.fill("not_found", language)
    named = _language_in(language)
    values = {"language": named, "not_found": not_found}
    passages = prompts.passages(context.hits, context.texts)
    shown = prompts.fill("context", language, passages=passages, count=str(len(context.hits)))
    asked = prompts.fill("question", language, context=shown, question=defused(question), **values)
    earlier: list[dict[str, str]] = []
    for turn in reversed(history):
        history_tokens -= count(turn.text)
        if history_tokens < 0:
            break
        earlier.insert(0, {"role": turn.role, "content": turn.text})
    while earlier and earlier[0]["role"] != "user":
        earlier.pop(0)
    return [
        {"role": "system", "content": prompts.fill("system", language, **values)},
        *earlier,
        {"role": "user", "content": asked},
    ]


def _language_in(language: str) -> str:
    return "中文" if language.lower().split("-")[0] in {"zh", "yue"} else language_name(language)

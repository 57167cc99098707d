"""Asking a set of questions, and figuring how good what comes back is."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from polyport.errors import BadRequestError, PolyportError
from polyport.types.evaluation import EvaluatedAnswer, EvaluatedGold, EvaluatedHit, EvaluatedQuestion, EvaluationReport
from polyport.types.knowledge import KnowledgeAnswer, KnowledgeHit, KnowledgeResults

from .gold import ranks
from .judge import answer_values, place_of_hit, right_citations
from .questions import Question
from .report import summarized

__all__ = ["Ask", "Progress", "Search", "evaluate", "search_values"]

Search = Callable[[str, int], Awaitable[KnowledgeResults]]
"""Searches: a question, and how many passages."""
Ask = Callable[[str], Awaitable[KnowledgeAnswer]]
"""Answers a question."""
Progress = Callable[[int, int], None]
"""Is told how many questions are done, and of how many."""

_SHOWN = 300
"""Characters of a passage that are kept."""


async def evaluate(
    questions: Sequence[Question],
    search: Search | None,
    *,
    ask: Ask | None = None,
    ks: Sequence[int] = (1, 5, 10),
    concurrency: int = 1,
    timeout_s: float | None = None,
    progress: Progress | None = None,
    name: str = "",
    source: str = "",
    settings: Mapping[str, str] | None = None,
) -> EvaluationReport:
    """Ask every question; one that fails counts as nothing found, and its error is kept.

    Args:
        questions: To ask.
        search: Searches; None where only answers are evaluated.
        ask: Answers; None where only search is evaluated.
        ks: Where rankings are cut.
        concurrency: How many questions are asked at a time. Of more than one, latencies are those under load.
        timeout_s: Seconds for one search or one answer.
        progress: Told after every question.
        name: Of the configuration, for the report.
        source: Of the questions, for the report.
        settings: Of the configuration, for the report.

    Raises:
        BadRequestError: There is nothing to ask, or nothing to ask it of.
    """
    if not questions or (search is None and ask is None):
        raise BadRequestError("There is nothing to evaluate: give questions, and what is to search or answer them.")
    if not ks or min(ks) < 1 or concurrency < 1:
        raise BadRequestError("Rankings are cut at 1 or more, and at least one question is asked at a time.")
    runner = _Runner(search, ask, sorted(set(ks)), timeout_s)
    results: list[EvaluatedQuestion | None] = [None] * len(questions)
    waiting = iter(enumerate(questions))
    done = 0

    async def work() -> None:
        nonlocal done
        for number, question in waiting:
            results[number] = await runner.one(question)
            done += 1
            if progress is not None:
                progress(done, len(questions))

    async with asyncio.TaskGroup() as group:
        for _ in range(min(concurrency, len(questions))):
            group.create_task(work())
    details = [result for result in results if result is not None]
    return summarized(details, name=name, source=source, concurrency=concurrency, settings=settings or {})


class _Runner:
    def __init__(self, search: Search | None, ask: Ask | None, ks: Sequence[int], timeout_s: float | None) -> None:
        self._search, self._ask, self._ks, self._timeout_s = search, ask, ks, timeout_s

    async def one(self, question: Question) -> EvaluatedQuestion:
        """Ask one question in all ways."""
        found = EvaluatedQuestion(
            id=question.id,
            question=question.text,
            knowledge=question.knowledge,
            answers=list(question.answers),
            gold=[
                EvaluatedGold(
                    names=list(one.names), text=None if one.text is None else one.text[:_SHOWN], span=one.span
                )
                for one in question.gold
            ],
        )
        try:
            if self._search is not None:
                await self._searched(question, found)
            if self._ask is not None:
                await self._asked(question, found)
        except PolyportError as error:
            self._failed(question, found, f"{type(error).__name__}: {error}")
        except TimeoutError:
            self._failed(question, found, f"There was no result within {self._timeout_s} s.")
        return found

    async def _searched(self, question: Question, found: EvaluatedQuestion) -> None:
        assert self._search is not None  # noqa: S101  # by the caller
        async with asyncio.timeout(self._timeout_s):
            began = time.perf_counter()
            results = await self._search(question.text, self._ks[-1])
            found.search_ms = (time.perf_counter() - began) * 1000
        found.searched = list(results.searched)
        found.routed = [route.knowledge for route in results.routed]
        found.left_out = [left.knowledge for left in results.left_out]
        at = ranks(question.gold, [place_of_hit(hit) for hit in results.data])
        for gold, rank in zip(found.gold, at, strict=True):
            gold.rank = rank
        found.hits = [_short(hit, rank, rank in at) for rank, hit in enumerate(results.data, 1)]
        if question.gold:
            found.values |= search_values(at, self._ks)
        found.values |= _routing(question, found)

    async def _asked(self, question: Question, found: EvaluatedQuestion) -> None:
        assert self._ask is not None  # noqa: S101  # by the caller
        async with asyncio.timeout(self._timeout_s):
            began = time.perf_counter()
            answer = await self._ask(question.text)
            found.ask_ms = (time.perf_counter() - began) * 1000
        right = right_citations(question.gold, answer.citations)
        for number, gold in enumerate(found.gold):
            gold.cited = any(number in numbers for numbers in right)
        found.answer = EvaluatedAnswer(
            text=answer.text,
            found=answer.found,
            citations=len(answer.citations),
            right_citations=sum(map(bool, right)),
            dropped=answer.dropped,
        )
        found.left_out = sorted({*found.left_out, *(left.knowledge for left in answer.left_out)})
        found.values |= answer_values(question, answer)

    def _failed(self, question: Question, found: EvaluatedQuestion, error: str) -> None:
        found.error = error
        if self._search is not None and found.search_ms is None and question.gold:
            found.values |= search_values([None] * len(question.gold), self._ks)
        if self._ask is not None and found.ask_ms is None:
            missing = ["answered", *(["answer_contains"] if question.answers else [])]
            found.values |= dict.fromkeys(missing if question.answerable else ["refused"], 0.0)


def search_values(at: Sequence[int | None], ks: Sequence[int]) -> dict[str, float]:
    """Return the figures of one ranking.

    Several gold passages that one chunk holds are found at one rank, and gain once in nDCG: no ranking could have had
    them at two.

    Args:
        at: The rank of each gold passage, from 1; None for what was not found.
        ks: Where the ranking is cut.
    """
    values: dict[str, float] = {}
    found = sorted({rank for rank in at if rank is not None})
    groups = len(found) + sum(rank is None for rank in at)
    for k in ks:
        within = sum(rank is not None and rank <= k for rank in at)
        values[f"recall@{k}"] = within / len(at)
        values[f"all_gold@{k}"] = float(within == len(at))
        best = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, groups) + 1))
        values[f"ndcg@{k}"] = sum(1 / math.log2(rank + 1) for rank in found if rank <= k) / best
    values["mrr"] = 1 / found[0] if found else 0.0
    return values


def _routing(question: Question, found: EvaluatedQuestion) -> dict[str, float]:
    """Return whether the question's base came first, and whether it was searched; nothing where none was chosen."""
    if question.knowledge is None or not found.routed:
        return {}
    return {
        "routing": float(found.routed[0] == question.knowledge),
        "routing_searched": float(question.knowledge in found.searched),
    }


def _short(hit: KnowledgeHit, rank: int, right: bool) -> EvaluatedHit:
    return EvaluatedHit(
        rank=rank,
        knowledge=hit.knowledge,
        document=hit.document,
        title=hit.title,
        score=hit.score,
        page=hit.page,
        span=hit.span,
        scores=dict(hit.scores),
        why=hit.why,
        text=hit.text[:_SHOWN],
        right=right,
    )

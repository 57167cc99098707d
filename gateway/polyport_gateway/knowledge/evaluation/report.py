"""What an evaluation says: one configuration's figures, two side by side, and rows for tables of both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from polyport.errors import BadRequestError
from polyport.types.evaluation import (
    ChangedQuestion,
    EvaluatedGold,
    EvaluatedQuestion,
    EvaluationComparison,
    EvaluationDifference,
    EvaluationFigure,
    EvaluationReport,
    Latency,
)

from .gold import Gold
from .statistics import interval, percentile, randomization_p

__all__ = ["Table", "changed_table", "compared", "comparison_table", "details_table", "report_table", "summarized"]

_ORDER = [
    *("recall", "all_gold", "ndcg", "mrr", "routing", "routing_searched"),
    *("answered", "answer_contains", "citation_precision", "citation_recall", "refused"),
]
_NAMES = {
    "all_gold": "all gold",
    "ndcg": "nDCG",
    "mrr": "MRR",
    "routing": "routed first",
    "routing_searched": "routed",
    "answer_contains": "answer contains",
    "citation_precision": "citation precision",
    "citation_recall": "citation recall",
}


class Table(NamedTuple):
    """Rows of text under headers, for whatever prints them."""

    headers: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def summarized(
    details: Sequence[EvaluatedQuestion],
    *,
    name: str = "",
    source: str = "",
    concurrency: int = 1,
    settings: Mapping[str, str] | None = None,
) -> EvaluationReport:
    """Return the report of some questions."""
    names = sorted({name for one in details for name in one.values}, key=_place)
    figures = {}
    for figure in names:
        values = [one.values[figure] for one in details if figure in one.values]
        low, high = interval(values)
        figures[figure] = EvaluationFigure(mean=sum(values) / len(values), low=low, high=high, questions=len(values))
    return EvaluationReport(
        name=name,
        source=source,
        questions=len(details),
        failed=sum(one.error is not None for one in details),
        incomplete=sum(bool(one.left_out) for one in details),
        figures=figures,
        search=_latency(one.search_ms for one in details),
        ask=_latency(one.ask_ms for one in details),
        concurrency=concurrency,
        settings=dict(settings or {}),
        details=list(details),
    )


def _place(figure: str) -> tuple[int, int, str]:
    stem, _, k = figure.partition("@")
    return (_ORDER.index(stem) if stem in _ORDER else len(_ORDER)), int(k) if k.isdigit() else 0, figure


def _latency(given: Iterable[float | None]) -> Latency | None:
    values = [value for value in given if value is not None]
    if not values:
        return None
    return Latency(
        p50=percentile(values, 50), p95=percentile(values, 95), mean=sum(values) / len(values), questions=len(values)
    )


def compared(first: EvaluationReport, second: EvaluationReport) -> EvaluationComparison:
    """Return two reports side by side, question by question.

    Raises:
        BadRequestError: They have no question in common, or the same id is another question in each.
    """
    before = {one.id: one for one in first.details}
    pairs = [(before[one.id], one) for one in second.details if one.id in before]
    other = next((new for old, new in pairs if old.question != new.question), None)
    if not pairs or other is not None:
        why = "they have none in common" if other is None else f"{other.id!r} is another question in each"
        raise BadRequestError(f"Two evaluations are compared by the same questions, but {why}.")
    differences = {}
    for figure in sorted({name for pair in pairs for one in pair for name in one.values}, key=_place):
        both = [
            (old.values[figure], new.values[figure]) for old, new in pairs if {figure} <= old.values.keys() & new.values
        ]
        if both:
            differences[figure] = _difference(both)
    changed = [found for old, new in pairs if (found := _changed(old, new)) is not None]
    changed.sort(key=lambda one: (-abs(one.second - one.first), one.id))
    return EvaluationComparison(
        first=first, second=second, questions=len(pairs), differences=differences, changed=changed
    )


def _difference(both: Sequence[tuple[float, float]]) -> EvaluationDifference:
    steps = [new - old for old, new in both]
    low, high = interval(steps)
    return EvaluationDifference(
        first=sum(old for old, _ in both) / len(both),
        second=sum(new for _, new in both) / len(both),
        difference=sum(steps) / len(steps),
        low=low,
        high=high,
        p=randomization_p(steps),
        better=sum(step > 0 for step in steps),
        worse=sum(step < 0 for step in steps),
        questions=len(both),
    )


def _changed(old: EvaluatedQuestion, new: EvaluatedQuestion) -> ChangedQuestion | None:
    """Return the figure of a question that changed most, the more telling of several first."""
    both = [name for name in sorted(old.values, key=_place) if name in new.values]
    figure = max(both, key=lambda name: abs(new.values[name] - old.values[name]), default=None)
    if figure is None or new.values[figure] == old.values[figure]:
        return None
    had = {_label(gold) for gold in old.gold if gold.rank is not None}
    has = {_label(gold) for gold in new.gold if gold.rank is not None}
    return ChangedQuestion(
        id=new.id,
        question=new.question,
        figure=figure,
        first=old.values[figure],
        second=new.values[figure],
        gained=sorted(has - had),
        lost=sorted(had - has),
    )


def _label(gold: EvaluatedGold) -> str:
    return Gold(tuple(gold.names), gold.text, gold.span).label()


def _title(figure: str) -> str:
    stem, at, k = figure.partition("@")
    return f"{_NAMES.get(stem, stem)}{at}{k}"


def report_table(report: EvaluationReport) -> Table:
    """Return a row for each figure."""
    rows = [
        (_title(name), f"{one.mean:.3f}", f"{one.low:.3f} – {one.high:.3f}", str(one.questions))
        for name, one in report.figures.items()
    ]
    for what, latency in (("search", report.search), ("answer", report.ask)):
        if latency is not None:
            rows.append((f"{what} p50, ms", f"{latency.p50:.1f}", "", str(latency.questions)))
            rows.append((f"{what} p95, ms", f"{latency.p95:.1f}", "", str(latency.questions)))
    for what, count in (("failed", report.failed), ("with bases left out", report.incomplete)):
        if count:
            rows.append((what, str(count), "", str(report.questions)))
    return Table(("figure", report.name or "mean", "95 % confidence", "questions"), rows)


def comparison_table(comparison: EvaluationComparison) -> Table:
    """Return a row for each figure that both have."""
    first, second = comparison.first, comparison.second
    rows = [
        (
            _title(name),
            f"{one.first:.3f}",
            f"{one.second:.3f}",
            f"{one.difference:+.3f}",
            f"{one.low:+.3f} – {one.high:+.3f}",
            f"{one.p:.3f}",
            f"{one.better} / {one.worse}",
        )
        for name, one in comparison.differences.items()
    ]
    for what, old, new in (("search", first.search, second.search), ("answer", first.ask, second.ask)):
        if old is not None and new is not None:
            for label, a, b in (("p50", old.p50, new.p50), ("p95", old.p95, new.p95)):
                rows.append((f"{what} {label}, ms", f"{a:.1f}", f"{b:.1f}", f"{b - a:+.1f}", "", "", ""))
    names = (first.name or "first", second.name or "second")
    return Table(("figure", *names, "difference", "95 % confidence", "p", "better / worse"), rows)


def changed_table(comparison: EvaluationComparison, limit: int = 20) -> Table:
    """Return a row for each question that changed most."""
    rows = [
        (
            one.id,
            one.question,
            _title(one.figure),
            f"{one.first:.2f} → {one.second:.2f}",
            "; ".join((*(f"+ {name}" for name in one.gained), *(f"− {name}" for name in one.lost))),
        )
        for one in comparison.changed[:limit]
    ]
    return Table(("id", "question", "figure", "change", "found"), rows)


def details_table(report: EvaluationReport, *, k: int = 5, only_missed: bool = True, limit: int = 20) -> Table:
    """Return a row for each question that misses something in the first k, with what was found in its place."""
    rows = []
    for one in report.details:
        missed = [_label(gold) for gold in one.gold if gold.rank is None or gold.rank > k]
        if only_missed and not missed and one.error is None:
            continue
        at = ", ".join(str(gold.rank or "–") for gold in one.gold)
        instead = "; ".join(f"{hit.title or hit.document} ({hit.score:.2f})" for hit in one.hits[:k] if not hit.right)
        rows.append((one.id, one.question, at, "; ".join(missed), one.error or instead))
    return Table(("id", "question", "ranks of gold", f"not in the first {k}", "found instead"), rows[:limit])

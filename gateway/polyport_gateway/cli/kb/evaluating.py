"""``polyport kb eval``: how good search and answers are, and of two configurations which is better."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from polyport.errors import BadRequestError, ConfigurationError
from polyport.events import Progress
from polyport_gateway.cli.docs.show import on_one_line
from polyport_gateway.cli.kb.searching import names_of
from polyport_gateway.cli.kb.target import Target, work
from polyport_gateway.cli.output import print_json, print_table
from polyport_gateway.cli.progress import ProgressLine

if TYPE_CHECKING:
    from polyport.client import AsyncClient
    from polyport.types.evaluation import EvaluationReport
    from polyport.types.knowledge import KnowledgeAnswer, KnowledgeResults
    from polyport_gateway.knowledge.evaluation import Question, Table

__all__ = ["Evaluating", "configuration", "evaluate_bases"]

_MEMBERS = frozenset(
    {
        "knowledge", "filter", "mode", "embedder", "hops", "rerank", "diversity", "expand", "max_tokens", "self_query",
        "min_score", "timeout_s", "model", "threshold", "language", "max_sentences",
    }
)  # fmt: skip
_ANSWERING = frozenset({"model", "threshold", "language", "max_sentences"})


@dataclass(frozen=True, slots=True)
class Evaluating:
    """What to evaluate.

    Attributes:
        questions: The file.
        first: A configuration, as `configuration` reads it.
        second: Another to compare with it.
        ks: Where rankings are cut.
        ask: Whether answers are evaluated, too.
        concurrency: Questions at a time.
        details: Whether to list what was missed.
        as_json: Whether to print JSON.
    """

    questions: Path
    first: str
    second: str | None
    ks: Sequence[int]
    ask: bool
    concurrency: int
    details: bool
    as_json: bool


def configuration(text: str) -> dict[str, Any]:
    """Return what a configuration says: a base's name, or members of a search, with ``;`` between them.

    >>> configuration("handbook,contracts; mode=bm25; hops=false")
    {'knowledge': ['handbook', 'contracts'], 'mode': 'bm25', 'hops': False}

    Raises:
        ConfigurationError: A member is not known.
    """
    found: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, mark, value = part.partition("=")
        name, value = (name.strip(), value.strip()) if mark else ("knowledge", part)
        if name not in _MEMBERS:
            raise ConfigurationError(f"a configuration has no {name!r}; it has {', '.join(sorted(_MEMBERS))}")
        found[name] = names_of(value) if name == "knowledge" else _value(value)
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def evaluate_bases(target: Target, evaluating: Evaluating) -> None:
    """Ask every question of one configuration or of two, and print the figures."""
    from polyport_gateway.knowledge.evaluation import compared, read_questions

    try:
        questions = read_questions(evaluating.questions)
    except BadRequestError as error:
        raise ConfigurationError(error.message) from error
    first = {**target.patience, **configuration(evaluating.first)}
    # What the second does not say is as in the first.
    second = None if evaluating.second is None else {**first, **configuration(evaluating.second)}

    async def run(client: AsyncClient) -> list[EvaluationReport]:
        reports = [await _report(client, questions, evaluating, evaluating.first or "all", first)]
        if second is not None:
            reports.append(await _report(client, questions, evaluating, evaluating.second or "second", second))
        return reports

    reports = work(target, run)
    if len(reports) == 1:
        _show_report(reports[0], evaluating)
        return
    from polyport_gateway.knowledge.evaluation import changed_table, comparison_table

    comparison = compared(*reports)
    if evaluating.as_json:
        print_json(comparison.model_dump(mode="json"))
        return
    _print(comparison_table(comparison))
    if evaluating.details:
        typer.echo()
        _print(changed_table(comparison))


def _show_report(report: EvaluationReport, evaluating: Evaluating) -> None:
    from polyport_gateway.knowledge.evaluation import details_table, report_table

    if evaluating.as_json:
        print_json(report.model_dump(mode="json"))
        return
    _print(report_table(report))
    if evaluating.details:
        typer.echo()
        _print(details_table(report, k=_middle(evaluating.ks)))


def _middle(ks: Sequence[int]) -> int:
    return sorted(ks)[len(ks) // 2]


def _print(table: Table) -> None:
    # Questions and titles are others' texts.
    rows = [[on_one_line(cell) for cell in row] for row in table.rows]
    print_table([on_one_line(header).upper() for header in table.headers], rows)


async def _report(
    client: AsyncClient,
    questions: Sequence[Question],
    evaluating: Evaluating,
    name: str,
    settings: Mapping[str, Any],
) -> EvaluationReport:
    from polyport_gateway.knowledge.evaluation import evaluate

    names = settings.get("knowledge")
    asking: dict[str, Any] = {key: value for key, value in settings.items() if key != "knowledge"}
    searching: dict[str, Any] = {key: value for key, value in asking.items() if key not in _ANSWERING}

    async def search(query: str, limit: int) -> KnowledgeResults:
        return await client.knowledge.search(names, query, limit=limit, **searching)

    async def ask(question: str) -> KnowledgeAnswer:
        answer: KnowledgeAnswer = await client.knowledge.ask(names, question, **asking)
        return answer

    async with AsyncExitStack() as stack:
        line = stack.enter_context(ProgressLine())
        return await evaluate(
            questions,
            search,
            ask=ask if evaluating.ask else None,
            ks=evaluating.ks,
            concurrency=evaluating.concurrency,
            progress=lambda done, total: line.show(Progress(done, total, name)),
            name=name,
            source=str(evaluating.questions),
            settings={key: json.dumps(value, ensure_ascii=False) for key, value in settings.items()},
        )

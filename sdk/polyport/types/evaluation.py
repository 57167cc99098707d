"""How good the search and the answers of knowledge bases are: the figures, and each question's, to find out why."""

from __future__ import annotations

from pydantic import Field

from polyport.types.base import WireModel

__all__ = [
    "ChangedQuestion",
    "EvaluatedAnswer",
    "EvaluatedGold",
    "EvaluatedHit",
    "EvaluatedQuestion",
    "EvaluationComparison",
    "EvaluationDifference",
    "EvaluationFigure",
    "EvaluationReport",
    "Latency",
]


class EvaluationFigure(WireModel):
    """A mean over questions, and where it lies with 95 % confidence."""

    mean: float
    low: float = Field(description="Of the interval of 95 % confidence, by bootstrap over questions.")
    high: float
    questions: int = Field(description="How many it is of.")


class Latency(WireModel):
    """Milliseconds, as the caller saw them."""

    p50: float
    p95: float
    mean: float
    questions: int


class EvaluatedGold(WireModel):
    """A document or passage that is right."""

    names: list[str] = Field(default_factory=list, description="What its document may be called.")
    text: str | None = Field(default=None, description="Words of the passage, cut short.")
    span: tuple[int, int] | None = None
    rank: int | None = Field(default=None, description="At which it was found, from 1; null where it was not.")
    cited: bool | None = Field(default=None, description="Whether the answer cites it; null without an answer.")


class EvaluatedHit(WireModel):
    """A passage that was found, in short."""

    rank: int
    knowledge: str
    document: str
    title: str
    score: float
    page: int | None = None
    span: tuple[int, int] | None = None
    scores: dict[str, float] = Field(default_factory=dict)
    why: str = ""
    text: str = Field(default="", description="Its beginning.")
    right: bool = Field(default=False, description="Whether it is, or completes, something that is right.")


class EvaluatedAnswer(WireModel):
    """An answer, in short."""

    text: str
    found: bool
    citations: int = 0
    right_citations: int = Field(default=0, description="Those that lie in what is right.")
    dropped: int = Field(default=0, description="Citations that the answerer itself took back.")


class EvaluatedQuestion(WireModel):
    """What one question got."""

    id: str
    question: str
    knowledge: str | None = Field(default=None, description="The base that it belongs to, where that is known.")
    answers: list[str] = Field(default_factory=list, description="What would be right.")
    values: dict[str, float] = Field(default_factory=dict, description="Figures by name, such as recall@5.")
    gold: list[EvaluatedGold] = Field(default_factory=list)
    hits: list[EvaluatedHit] = Field(default_factory=list)
    answer: EvaluatedAnswer | None = None
    searched: list[str] = Field(default_factory=list)
    routed: list[str] = Field(default_factory=list, description="Knowledge bases, the best first.")
    left_out: list[str] = Field(default_factory=list, description="Knowledge bases that did not answer.")
    search_ms: float | None = None
    ask_ms: float | None = None
    error: str | None = Field(default=None, description="Why there are no results, which count as nothing found.")


class EvaluationReport(WireModel):
    """How one configuration did on a set of questions."""

    object: str = "knowledge.evaluation"
    name: str = Field(default="", description="Of the configuration.")
    source: str = Field(default="", description="Of the questions.")
    questions: int
    failed: int = Field(default=0, description="Questions whose search or answer failed.")
    incomplete: int = Field(default=0, description="Questions for which a knowledge base was left out.")
    figures: dict[str, EvaluationFigure] = Field(default_factory=dict)
    search: Latency | None = None
    ask: Latency | None = None
    concurrency: int = Field(default=1, description="How many questions were asked at a time.")
    settings: dict[str, str] = Field(default_factory=dict, description="What was evaluated, as the caller says it.")
    details: list[EvaluatedQuestion] = Field(default_factory=list)


class EvaluationDifference(WireModel):
    """What the second configuration gains over the first in one figure, question by question."""

    first: float
    second: float
    difference: float
    low: float = Field(description="Of the difference's interval of 95 % confidence, by bootstrap over questions.")
    high: float
    p: float = Field(description="How often chance alone would give such a difference: a paired randomization test.")
    better: int = Field(description="Questions that the second does better.")
    worse: int
    questions: int


class ChangedQuestion(WireModel):
    """A question that one configuration does better than the other."""

    id: str
    question: str
    figure: str
    first: float
    second: float
    gained: list[str] = Field(default_factory=list, description="What is right and only the second finds.")
    lost: list[str] = Field(default_factory=list, description="What is right and only the first finds.")


class EvaluationComparison(WireModel):
    """Two configurations on the same questions, side by side."""

    object: str = "knowledge.evaluation.comparison"
    first: EvaluationReport
    second: EvaluationReport
    questions: int = Field(description="That both were asked.")
    differences: dict[str, EvaluationDifference] = Field(default_factory=dict)
    changed: list[ChangedQuestion] = Field(default_factory=list, description="The greatest change first.")

"""Texts made to be slow: time grows with the length, not with its square."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from polyport_gateway.knowledge import chunkers as c
from polyport_gateway.knowledge.chunkers.base import Step
from polyport_gateway.knowledge.documents.blocks import Code
from polyport_gateway.knowledge.documents.document import Document
from tests.unit.knowledge.chunkers.texts import document

SMALL, TIMES = 20_000, 8
_UNITS = {
    "one line": "word ", "no blanks": "ab1", "chinese without marks": "今天天气很好我们去喝茶吧", "line breaks": "\n",
    "carriage returns": "\r", "blanks": " ", "full stops": ". ", "dots": ".", "headings": "# a\n", "fences": "```\n",
    "accents": "\u0301", "flags": "🇨🇳", "one-line mails": "On Tue, Jan 2, 2024 Bob <b@x.org> wrote:\n",
    "mail fields": "From: a\n", "quotes": ">", "turns on one line": "[12:30] A: ", "dates on one line": "2024-01-02 ",
    "cues": "00:00:01,000 --> 00:00:02,000\na\n\n", "open brackets": "[", "open elements": "<a>",
}  # fmt: skip
_LANGUAGES = {"open brackets": "json", "open elements": "xml"}
_CUT: Step = c.Recursive(512, "estimate")
_STEPS: tuple[Step, ...] = (
    _CUT,
    c.FixedTokens(512, 0, "estimate"),
    c.FixedCharacters(2000, 100, "estimate"),
    c.SlidingWindow(512, 384, "estimate"),
    c.Sentences(512, 0, "estimate"),
    c.Paragraphs(512, 0, "estimate"),
    c.Lines(512, 0, "estimate"),
    c.SentenceWindow(3, 512, "estimate"),
    c.SemanticBreakpoints(512, tokenizer="estimate"),
    c.SemanticClusters(512, tokenizer="estimate"),
    c.TopicSegments(512, tokenizer="estimate"),
    c.ByHeading() | c.ByCode(512, tokenizer="estimate"),
    c.ByPath(512, "estimate") | _CUT,
    c.ByElement(512, "estimate") | _CUT,
    c.LogEntries(512, "estimate"),
    c.ChatTurns(512, tokenizer="estimate"),
    c.MailTurns(512, tokenizer="estimate"),
    c.Subtitles(512, tokenizer="estimate") | _CUT,
    c.ParentChild(_CUT, c.Recursive(128, "estimate")),
    _CUT | c.Keywords() | c.LateContext(),
    c.Auto(512, "estimate"),
    c.Recursive(512, "cl100k_base"),
    c.SemanticClusters(512, tokenizer="cl100k_base"),
)


def _made(name: str, size: int) -> Document:
    text = _UNITS[name] * (size // len(_UNITS[name])) + "x"
    language = _LANGUAGES.get(name)
    return document(Code(text=text, language=language) if language else text)


def _seconds(work: Callable[[], object]) -> float:
    """Return the least of several times: what else runs on the machine can only add to one."""

    def once() -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    return min(once() for _ in range(3))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", _UNITS)
def test_time_grows_with_the_length(name: str) -> None:
    small, large = _made(name, SMALL), _made(name, SMALL * TIMES)
    for step in _STEPS:
        step.chunk(small)
        least = _seconds(lambda step=step: step.chunk(small))  # type: ignore[misc]
        # Twice as much as in proportion; in proportion to the square it would be eight times.
        assert _seconds(lambda step=step: step.chunk(large)) < 2 * TIMES * least + 0.15, step  # type: ignore[misc]

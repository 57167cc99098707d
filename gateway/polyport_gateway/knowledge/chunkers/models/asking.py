"""Ask a model about many chunks: in batches, each question once, and with a word for what it could not answer."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from polyport.errors import UpstreamError

from .base import TextModel

__all__ = ["BATCH", "Answer", "ModelAnswerError", "ask", "lines_of"]

_log = logging.getLogger("polyport.knowledge.chunkers")
Asked = TypeVar("Asked")

BATCH = 32
"""Chunks that a model is asked about at once."""
_ENOUGH = 4  # fewer prompts may all be ones that the model refuses

_THOUGHT = re.compile(r"\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
_FENCE = re.compile(r"\s*```[\w-]*\n(.*?)\n?```\s*", re.DOTALL)
_BULLET = re.compile(r"^\s*(?:[-*•–](?:\s+|$)|\(?\d{1,3}[.)、]\s*|\[\d{1,3}\]\s*)?")


class ModelAnswerError(UpstreamError):
    """A model failed on everything it was asked, so going on makes no sense.

    Args:
        model: Its name.
        reason: Why the last of them was not answered.
    """

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(f"The model {model!r} failed on everything that it was asked: {reason}")
        self.model, self.reason = model, reason

    def __reduce__(self) -> tuple[Any, ...]:
        return (ModelAnswerError, (self.model, self.reason))


class Answer(NamedTuple):
    """What a model said.

    Args:
        text: Without its thoughts and a fence around it; empty where it failed.
        error: Why there is none.
        raised: It failed, rather than saying nothing.
    """

    text: str
    error: str | None = None
    raised: bool = False


def ask(model: TextModel, questions: Iterable[tuple[Asked, str | None]]) -> Iterator[tuple[Asked, Answer | None]]:
    """Yield each thing with the answer to its prompt, in their order; one without a prompt has no answer.

    The same prompt is asked once. Where a batch fails, its prompts are asked one by one, so that only those that fail
    by themselves stay without an answer.

    Raises:
        ModelAnswerError: It failed on all of the first batch, or of a later one of some size.
    """
    known: dict[str, Answer] = {}
    waiting = iter(questions)
    while batch := list(islice(waiting, BATCH)):
        new = list(dict.fromkeys(prompt for _, prompt in batch if prompt is not None and prompt not in known))
        if new:
            answers = _answers(model, new)
            if all(answer.raised for answer in answers) and (len(new) >= _ENOUGH or not known):
                raise ModelAnswerError(model.name, str(answers[-1].error))
            known |= zip(new, answers, strict=True)
        for thing, prompt in batch:
            yield thing, None if prompt is None else known[prompt]


def _answers(model: TextModel, prompts: list[str]) -> list[Answer]:
    try:
        texts = list(model.complete(prompts))
    except Exception as error:  # noqa: BLE001 - the model is anybody's code
        _log.warning("the model %r failed on %d prompts: %s", model.name, len(prompts), error)
        if len(prompts) == 1:
            return [Answer("", _said(error), raised=True)]
        return [_one(model, prompt) for prompt in prompts]
    if len(texts) != len(prompts):
        raise ModelAnswerError(model.name, f"it gave {len(texts)} answers to {len(prompts)} prompts.")
    return [_answer(text) for text in texts]


def _one(model: TextModel, prompt: str) -> Answer:
    try:
        (text,) = model.complete([prompt])
    except Exception as error:  # noqa: BLE001 - the model is anybody's code
        return Answer("", _said(error), raised=True)
    return _answer(text)


def _answer(text: str) -> Answer:
    text = _THOUGHT.sub("", text, count=1).strip()
    fenced = _FENCE.fullmatch(text)
    text = (fenced.group(1) if fenced else text).strip()
    return Answer(text) if text else Answer("", "The answer was empty.")


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]


def lines_of(text: str) -> list[str]:
    """Return the items of a list, whether it is written line by line or as JSON."""
    if text.startswith("["):
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if isinstance(found, list):
            return [item.strip() for item in found if isinstance(item, str) and item.strip()]
    lines = (_BULLET.sub("", line, count=1).strip() for line in text.split("\n"))
    return [line for line in lines if line]

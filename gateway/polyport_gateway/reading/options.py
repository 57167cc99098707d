"""What a caller asks of reading and cutting, as readers and chunkers take it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from polyport.errors import BadRequestError, UnsupportedParameterError
from polyport_gateway.knowledge.chunkers import Pipeline, Step
from polyport_gateway.knowledge.chunkers.base import Cut, Work
from polyport_gateway.knowledge.chunkers.models import Embedder, TextModel
from polyport_gateway.knowledge.chunkers.spec import Resolver, parse_steps
from polyport_gateway.knowledge.readers import ReadOptions
from polyport_gateway.knowledge.tokenizers import Tokenizer

__all__ = ["chunker_of", "read_options"]


def read_options(**given: Any) -> ReadOptions:
    """Return the options that were given; None is what a caller left out.

    Raises:
        UnsupportedParameterError: These readers have no such option.
    """
    known = {item.name for item in fields(ReadOptions)} - {"read"}
    asked = {name: value for name, value in given.items() if value is not None}
    for name in asked:
        if name not in known:
            raise UnsupportedParameterError(f"The readers installed here have no option {name!r}.", param=name)
    try:
        return ReadOptions(**asked)
    except ValueError as error:
        raise BadRequestError(f"The options can't be used: {error}") from error


def chunker_of(
    spec: str | None,
    *,
    max_tokens: int | None = None,
    tokenizer: str | None = None,
    model: str | None = None,
    embedder: str | None = None,
    models: Resolver[TextModel] | None = None,
    embedders: Resolver[Embedder] | None = None,
    tokenizers: Resolver[Tokenizer] | None = None,
) -> Step:
    """Return the chunker of a description.

    Args:
        spec: Such as ``ByHeading() | Sentences(max_tokens=256)``; `Auto` where it is None.
        max_tokens: For each step that has such a limit and does not say one.
        tokenizer: For each step that counts and does not say with what.
        model: For each step that asks a language model and does not say which.
        embedder: For each step that compares vectors and does not say whose.
        models: Finds language models by name.
        embedders: Finds embedders by name.
        tokenizers: Finds tokenizers that are not built in.

    Raises:
        ChunkerSpecError: It describes none.
    """
    asked = {"max_tokens": max_tokens, "tokenizer": tokenizer, "model": model, "embedder": embedder}
    defaults = {name: value for name, value in asked.items() if value is not None}
    resolvers: dict[str, Any] = {"models": models, "embedders": embedders, "tokenizers": tokenizers}
    step = parse_steps("Auto()" if spec is None else spec, defaults=defaults, **resolvers)
    if tokenizer is not None and all(part.tokenizer == "auto" for part in _parts(step)):
        # Read like any step's own, so that names are checked, and paths refused, in one place.
        counter = parse_steps("Auto()", defaults={"tokenizer": tokenizer}, **resolvers).tokenizer
        return _Counted(step, counter)
    return step


def _parts(step: Step) -> tuple[Step, ...]:
    return step.steps if isinstance(step, Pipeline) else (step,)


@dataclass(frozen=True)
class _Counted(Step):
    """Steps of which none counts by itself, with what counts the tokens of their chunks."""

    step: Step
    tokenizer: str | Tokenizer = "auto"

    def cut(self, work: Work, cuts: Iterable[Cut]) -> Iterator[Cut]:
        """Cut as the steps do."""
        return self.step.cut(work, cuts)

    def settings(self) -> str:
        """Return what the ids of its chunks depend on."""
        return f"{self.step.settings()} counted by {self.counter().name}"

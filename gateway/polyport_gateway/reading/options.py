"""What a caller asks of reading and cutting, as readers and chunkers take it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any

from polyport.errors import BadRequestError, UnsupportedParameterError
from polyport_gateway.knowledge.chunkers import Auto, Pipeline, Step
from polyport_gateway.knowledge.chunkers.base import Cut, Work
from polyport_gateway.knowledge.chunkers.models import Embedder, TextModel
from polyport_gateway.knowledge.chunkers.spec import ChunkerSpecError, Resolver, parse_steps
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
    models: Resolver[TextModel] | None = None,
    embedders: Resolver[Embedder] | None = None,
    tokenizers: Resolver[Tokenizer] | None = None,
) -> Step:
    """Return the chunker of a description.

    Args:
        spec: Such as ``ByHeading() | Sentences(max_tokens=256)``; `Auto` where it is None.
        max_tokens: For each step that has such a limit and does not say one.
        tokenizer: For each step that counts and does not say with what.
        models: Finds language models by name.
        embedders: Finds embedders by name.
        tokenizers: Finds tokenizers that are not built in.

    Raises:
        ChunkerSpecError: It describes none.
    """
    resolvers: dict[str, Any] = {"models": models, "embedders": embedders, "tokenizers": tokenizers}
    step = Auto() if spec is None else parse_steps(spec, **resolvers)
    defaults: dict[str, Any] = {}
    if max_tokens is not None:
        defaults["max_tokens"] = max_tokens
    if tokenizer is not None:
        # Read like any other step's, so that names are checked, and paths refused, in one place.
        defaults["tokenizer"] = parse_steps(f"Auto(tokenizer={tokenizer!r})", **resolvers).tokenizer
    step = _with_defaults(step, defaults) if defaults else step
    if tokenizer is not None and all(part.tokenizer == "auto" for part in _parts(step)):
        return _Counted(step, defaults["tokenizer"])
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


def _with_defaults(step: Step, defaults: Mapping[str, Any]) -> Step:
    if isinstance(step, Pipeline):
        return Pipeline(tuple(_with_defaults(part, defaults) for part in step.steps))
    changes = {
        item.name: defaults[item.name]
        for item in fields(step)  # type: ignore[arg-type]
        if item.name in defaults and item.default is not MISSING and getattr(step, item.name) == item.default
    }
    try:
        return replace(step, **changes) if changes else step  # type: ignore[type-var]
    except (ValueError, LookupError) as error:
        raise ChunkerSpecError(f"{type(step).__name__}: {error}") from None

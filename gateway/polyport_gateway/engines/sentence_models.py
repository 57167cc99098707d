"""Models of sentence-transformers: texts to vectors, pairs of texts to scores. Everything here runs in one thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from polyport.errors import BadRequestError, CallError, ConfigurationError

__all__ = ["ModelOptions", "Output", "PairScorer", "Text", "TextEncoder"]

_MOST_CHARACTERS_PER_TOKEN = 100
_TASK_PROMPTS = {"query": ("query",), "document": ("document", "passage", "corpus")}


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How a model is loaded.

    Attributes:
        source: Its folder, or its name on the hub.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; None for the best there is.
        dtype: The weights' type; None for the model's own.
        threads: torch's threads for one operation, in the whole process; None to leave them.
        download: Whether files that are not on this machine may be fetched.
        revision: Of a model of the hub.
        trust_remote_code: Whether Python code in the model's files may run.
        prompts: Prompts by name, instead of the model's.
        max_tokens: The longest input taken; None for the model's own limit.
        batch_tokens: The most tokens in one pass, padding among them.
    """

    source: Path | str
    device: str | None = None
    dtype: str | None = None
    threads: int | None = None
    download: bool = False
    revision: str | None = None
    trust_remote_code: bool = False
    prompts: Mapping[str, str] | None = None
    max_tokens: int | None = None
    batch_tokens: int = 16_384


@dataclass(frozen=True, slots=True)
class Text:
    """What goes through a model.

    Attributes:
        text: The text, or a query.
        where: Where it stood in the request, such as ``input[3]``, for messages.
        pair: The document to compare a query with.
        task: ``query`` or ``document``, where the request says which.
        prompt_name: A prompt of the model's to put before it.
        truncate: Whether to cut it where it is too long.
    """

    text: str
    where: str = "input"
    pair: str | None = None
    task: str | None = None
    prompt_name: str | None = None
    truncate: bool = False

    @property
    def length(self) -> int:
        """Its characters."""
        return len(self.text) + len(self.pair or "")


@dataclass(frozen=True, slots=True)
class Output:
    """What a model made of a text.

    Attributes:
        value: A vector as a float32 array, or a score.
        tokens: How many tokens it read.
    """

    value: Any
    tokens: int


class _LoadGate:
    """Lets batches of different models run side by side, and a model load alone.

    transformers sets torch's default type for the whole process while it loads: what is loaded or computed meanwhile
    may come out in the wrong one.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running = 0
        self._waiting = 0

    @contextmanager
    def run(self) -> Iterator[None]:
        """Run a batch, once no model loads."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting)
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    @contextmanager
    def load(self) -> Iterator[None]:
        """Load a model, once nothing runs and no other loads."""
        with self._changed:
            self._waiting += 1
            self._changed.wait_for(lambda: not self._running)
            self._waiting -= 1
            # The lock is held: nothing else begins to run or to load.
            try:
                yield
            finally:
                self._changed.notify_all()


_gate = _LoadGate()


class _Model:
    """What both kinds share: tokens, batches of like length, and limits."""

    def __init__(self, model: Any, options: ModelOptions) -> None:
        self._model = model
        self._batch_tokens = options.batch_tokens
        known = getattr(model, "max_seq_length", None)
        if options.max_tokens is not None:
            if known is not None and options.max_tokens > known:
                raise ConfigurationError(f"max_tokens is {options.max_tokens}; the model reads at most {known}")
            model.max_seq_length = known = options.max_tokens
        self._limit: int | None = known

    def process(self, texts: Sequence[Text]) -> list[Output | CallError]:
        """Run texts through the model; a text that can't be has an error instead."""
        import torch

        found: list[Output | CallError | None] = [None] * len(texts)
        groups: dict[tuple[str | None, str | None], list[int]] = {}
        for position, text in enumerate(texts):
            try:
                groups.setdefault((self._prompt(text), text.task), []).append(position)
            except BadRequestError as error:
                found[position] = error
        with _gate.run(), torch.inference_mode():
            for (prompt, task), members in groups.items():
                outputs = self._process_alike([texts[position] for position in members], prompt, task)
                for position, output in zip(members, outputs, strict=True):
                    found[position] = output
        return [output for output in found if output is not None]

    def _process_alike(self, texts: Sequence[Text], prompt: str | None, task: str | None) -> list[Output | CallError]:
        features = self._features(texts, prompt, task)
        lengths = features["attention_mask"].sum(dim=1).tolist()
        found: list[Output | CallError | None] = [
            self._too_long(text, prompt, length) for text, length in zip(texts, lengths, strict=True)
        ]
        rows = [row for row, error in enumerate(found) if error is None]
        for chosen in _alike(rows, lengths, self._batch_tokens):
            values = self._forward(_cut(features, chosen, lengths), task)
            for row, value in zip(chosen, values, strict=True):
                found[row] = Output(value, lengths[row])
        return [output for output in found if output is not None]

    def _features(self, texts: Sequence[Text], prompt: str | None, task: str | None) -> Any:
        features = self._model.preprocess([self._form(text) for text in texts], prompt=prompt, **_task(task))
        device = self._model.device
        return {name: value.to(device) if hasattr(value, "to") else value for name, value in features.items()}

    def _too_long(self, text: Text, prompt: str | None, length: int) -> CallError | None:
        if text.truncate or self._limit is None or length < self._limit:
            return None
        # The tokenizer has cut it already, or it just fits.
        first = (prompt or "") + text.text
        whole = len(self._model.tokenizer(first, text.pair, truncation=False, verbose=False)["input_ids"])
        if whole <= self._limit:
            return None
        return self._refusal(text, f"it has {whole} tokens")

    def _refusal(self, text: Text, what: str) -> BadRequestError:
        return BadRequestError(
            f"{text.where} is too long: {what}, and the model reads {self._limit}. Shorten it, or ask "
            'for its beginning alone with "truncate": true.',
            param=text.where.partition("[")[0],
            code="context_length_exceeded",
        )

    def _bounded(self, text: Text, part: str) -> str:
        """Return a text, cut where it is hopelessly beyond the limit: tokenizing megabytes would hold up everybody.

        Raises:
            BadRequestError: It may not be cut.
        """
        if self._limit is None or len(part) <= self._limit * _MOST_CHARACTERS_PER_TOKEN:
            return part
        if not text.truncate:
            raise self._refusal(text, f"it has {len(part)} characters")
        return part[: self._limit * _MOST_CHARACTERS_PER_TOKEN]

    def _form(self, text: Text) -> Any:
        raise NotImplementedError

    def _prompt(self, text: Text) -> str | None:
        raise NotImplementedError

    def _forward(self, features: dict[str, Any], task: str | None) -> Sequence[Any]:
        raise NotImplementedError


class TextEncoder(_Model):
    """Texts to vectors; what `SentenceTransformer.encode` does, less what a server has no use for."""

    @classmethod
    def load(cls, options: ModelOptions) -> TextEncoder:
        """Load the model; takes seconds."""
        with _gate.load():
            from sentence_transformers import SentenceTransformer

        encoder = cls(_load(SentenceTransformer, options), options)
        encoder.process([Text("warm")])
        return encoder

    def _form(self, text: Text) -> str:
        return self._bounded(text, text.text)

    def _prompt(self, text: Text) -> str | None:
        self._bounded(text, text.text)
        prompts: Mapping[str, str] = self._model.prompts
        if text.prompt_name is not None:
            if text.prompt_name not in prompts:
                raise BadRequestError(
                    f"prompt_name is {text.prompt_name!r}; the model has {sorted(prompts) or 'none'}.",
                    param="prompt_name",
                )
            return prompts[text.prompt_name]
        names = _TASK_PROMPTS.get(text.task or "", ())
        given = next((prompts[name] for name in names if prompts.get(name)), None)
        if given is not None or text.task is not None:
            return given
        default = self._model.default_prompt_name
        return prompts.get(default) if default is not None else None

    def _forward(self, features: dict[str, Any], task: str | None) -> Sequence[Any]:
        vectors = self._model(features, **_task(task))["sentence_embedding"]
        return list(vectors.float().cpu().numpy())


class PairScorer(_Model):
    """Pairs of texts to scores; what `CrossEncoder.predict` does."""

    @classmethod
    def load(cls, options: ModelOptions) -> PairScorer:
        """Load the model; takes seconds.

        Raises:
            ConfigurationError: It gives more than one score to a pair.
        """
        with _gate.load():
            from sentence_transformers import CrossEncoder

        model = _load(CrossEncoder, options)
        if model.num_labels != 1:
            raise ConfigurationError(
                f"{options.source} tells {model.num_labels} classes apart; a reranker has one score for a pair"
            )
        scorer = cls(model, options)
        scorer.process([Text("warm", pair="up")])
        return scorer

    def _form(self, text: Text) -> tuple[str, str]:
        return self._bounded(text, text.text), self._bounded(text, text.pair or "")

    def _prompt(self, text: Text) -> str | None:
        self._form(text)
        default = self._model.default_prompt_name
        return self._model.prompts.get(default) if default is not None else None

    def _forward(self, features: dict[str, Any], task: str | None) -> Sequence[Any]:
        scores = self._model(features)["scores"].float()
        if self._model.activation_fn is not None:
            scores = self._model.activation_fn(scores)
        values: list[float] = scores.reshape(-1).cpu().tolist()
        return values


def _load(kind: Any, options: ModelOptions) -> Any:
    import torch
    from transformers.utils import logging as transformers_logging

    # A server's standard error is its log.
    transformers_logging.disable_progress_bar()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    with _gate.load():
        model = kind(
            str(options.source),
            device=options.device,
            local_files_only=not options.download,
            revision=options.revision,
            trust_remote_code=options.trust_remote_code,
            model_kwargs={"dtype": options.dtype} if options.dtype else None,
            prompts=dict(options.prompts) if options.prompts is not None else None,
        )
    model.eval()
    return model


def _task(task: str | None) -> dict[str, str]:
    """Say which of a model's two halves a text is for; most have one."""
    return {} if task is None else {"task": task}


def _alike(rows: Sequence[int], lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Cut rows into batches of like length, each in the rows' order.

    A short text padded to a long one's length costs as much as that one.
    """
    batch: list[int] = []
    for row in sorted(rows, key=lambda row: lengths[row]):
        longer = batch and lengths[row] > 2 * lengths[batch[0]] + 16
        if longer or lengths[row] * (len(batch) + 1) > batch_tokens:
            if batch:
                yield sorted(batch)
            batch = []
        batch.append(row)
    if batch:
        yield sorted(batch)


def _cut(features: Mapping[str, Any], rows: Sequence[int], lengths: Sequence[int]) -> dict[str, Any]:
    """Return some rows of a padded batch, without the padding that none of them needs."""
    mask = features["attention_mask"]
    if len(rows) == mask.shape[0] and max(lengths) == mask.shape[1] == max(lengths[row] for row in rows):
        return dict(features)
    longest = max(lengths[row] for row in rows)
    left_padded = bool((mask[:, 0] == 0).any())
    span = slice(mask.shape[1] - longest, None) if left_padded else slice(0, longest)
    pick = partial(_rows_of, shape=mask.shape, rows=list(rows), span=span)
    return {name: pick(value) for name, value in features.items()}


def _rows_of(value: Any, *, shape: Any, rows: list[int], span: slice) -> Any:
    if getattr(value, "shape", None) is None or value.ndim == 0 or value.shape[0] != shape[0]:
        return value
    return value[rows, span] if value.shape[:2] == shape else value[rows]

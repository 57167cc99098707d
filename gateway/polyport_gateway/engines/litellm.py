"""`LiteLLMEngine`: every provider that doesn't speak OpenAI's protocol, through litellm."""

from __future__ import annotations

import asyncio
import copy
import logging
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from polyport.errors import (
    BadRequestError,
    CallError,
    ConfigurationError,
    DeadlineExceededError,
    MissingDependencyError,
    RateLimitError,
    UnsupportedParameterError,
    UpstreamError,
)
from polyport.events import Finish, Result, Usage
from polyport.types.base import RequestModel
from polyport.types.chat import ChatRequest
from polyport.types.completions import CompletionRequest
from polyport.types.embeddings import EmbeddingRequest
from polyport_gateway.call import Call, CallEvent, Chat, Completion, Embedding, Operation
from polyport_gateway.catalog.capability import Features
from polyport_gateway.engines.base import BaseEngine
from polyport_gateway.engines.failures import (
    UpstreamAnswer,
    broken_off,
    invalid,
    refused,
    retry_after,
    scrub,
    unreachable,
)
from polyport_gateway.engines.openai_events import AnswerReader
from polyport_gateway.engines.upstream import read_key
from polyport_gateway.engines.vectors import to_base64

__all__ = ["LiteLLMEngine"]

_PREFIX = re.compile(r"^(?:[\w.]+(?:Error|Exception|Timeout)(?:: | - ))+")
_CONNECTION_ERRORS = frozenset({"ClientConnectorDNSError", "ClientConnectorError", "ConnectError", "ConnectTimeout"})
_ADVICE = (" To drop", " Handle with `litellm", "\nReceived Model Group")
_log = logging.getLogger("polyport.engines")

_MALFORMED = (AttributeError, KeyError, TypeError, ValueError)
_OWN = frozenset({"acompletion", "input", "messages", "model", "prompt", "stream", "stream_options"})
# To litellm these are orders to itself (logging, caching), not the provider's parameters.
_KEPT_BACK = frozenset({"metadata", "model", "prompt_cache_key", "prompt_cache_retention", "store", "stream"})
_TEXT_PROVIDERS = frozenset({"azure_text", "text-completion-codestral", "text-completion-openai"})
_FIELDS = {
    Operation.CHAT: frozenset(ChatRequest.model_fields) - _KEPT_BACK,
    Operation.COMPLETION: frozenset(CompletionRequest.model_fields) - _KEPT_BACK,
    Operation.EMBEDDING: frozenset(EmbeddingRequest.model_fields) - _KEPT_BACK,
}


class LiteLLMEngine(BaseEngine):
    """A model of any provider that litellm knows (Anthropic, Gemini, Bedrock, Cohere …).

    Only members of OpenAI's requests are handed on: litellm takes orders (another address, another key)
    among a request's members, and a caller must not give those. A parameter that the provider can't
    honour is refused, never dropped.

    >>> engine = LiteLLMEngine("anthropic/claude-sonnet-4-5", api_key_env="ANTHROPIC_API_KEY")
    >>> sorted(engine.operations)
    ['chat', 'completion', 'embedding']

    Args:
        model: The model's name with litellm's provider prefix.
        api_key: The provider's key; better kept out of code with `api_key_env`.
        api_key_env: The environment variable that holds it; where neither is given litellm looks
            for the provider's usual one.
        api_base: Another address than the provider's own.
        **options: Handed to every litellm call (``api_version=``, ``aws_region_name=``, ``timeout=`` …).
    """

    operations = frozenset({Operation.CHAT, Operation.COMPLETION, Operation.EMBEDDING})
    features: Features = frozenset(
        {"audio", "files", "images", *ChatRequest.model_fields, *CompletionRequest.model_fields, "dimensions"}
    )

    def __init__(
        self,
        model: str,
        *,
        api_key: str | None = None,
        api_key_env: str | None = None,
        api_base: str | None = None,
        **options: Any,
    ) -> None:
        if taken := sorted(_OWN & set(options)):
            raise ConfigurationError(f"the model {model!r}: {taken} can't be options, each request sets them")
        self._model = model
        self._api_key = api_key
        self._api_key_env = api_key_env
        self._api_base = api_base
        self._options = options
        self._fixed: dict[str, Any] | None = None
        self._secrets: tuple[str, ...] = ()
        self._importing: asyncio.Future[Any] | None = None

    async def start(self) -> None:
        """Read the key, and begin to load litellm on another thread: it takes seconds.

        Raises:
            ConfigurationError: The key's variable is not set.
            MissingDependencyError: litellm is not installed.
        """
        if find_spec("litellm") is None:
            raise MissingDependencyError("the engine 'litellm'", extra="litellm")
        key = read_key(self._model, self._api_key, self._api_key_env)
        # One try per call: a caller that wants more retries, and knows what it costs.
        self._fixed = {"drop_params": False, "num_retries": 0, "max_retries": 0, **self._options}
        if key is not None:
            self._fixed["api_key"] = key
        if self._api_base is not None:
            self._fixed["api_base"] = self._api_base
        options = [value for name, value in self._options.items() if isinstance(value, str) and _is_secret(name)]
        self._secrets = (*([key] if key else []), *options)
        self._importing = asyncio.get_running_loop().run_in_executor(None, _load_litellm)

    async def close(self) -> None:
        """Close litellm's connections."""
        if self._importing is None:
            return
        litellm = await self._importing
        self._importing = None
        await litellm.close_litellm_async_clients()

    async def chat(self, call: Call, chat: Chat) -> AsyncIterator[CallEvent]:
        """Continue a conversation."""
        litellm = await self._litellm()
        arguments = self._arguments(Operation.CHAT, chat.request, chat.body)
        async with aclosing(
            self._generate(litellm, call, litellm.acompletion, arguments, stream=chat.stream)
        ) as events:
            async for event in events:
                yield event

    async def complete(self, call: Call, completion: Completion) -> AsyncIterator[CallEvent]:
        """Continue a text."""
        litellm = await self._litellm()
        if not _continues_text(litellm, self._model):
            _check_chattable(completion.request, call.name)
        arguments = self._arguments(Operation.COMPLETION, completion.request, completion.body)
        stream = bool(completion.request.stream)
        async with aclosing(
            self._generate(litellm, call, litellm.atext_completion, arguments, stream=stream)
        ) as events:
            async for event in events:
                yield event

    async def embed(self, call: Call, embedding: Embedding) -> AsyncIterator[CallEvent]:
        """Embed texts."""
        litellm = await self._litellm()
        arguments = self._arguments(Operation.EMBEDDING, embedding.request, embedding.body)
        # Few providers know base64; floats are turned into it here.
        encoding = arguments.pop("encoding_format", None)
        try:
            answer = (await litellm.aembedding(**arguments)).model_dump()
            body, usage = _embeddings(answer, encoding)
        except _MALFORMED as error:
            raise invalid(call.name, "it does not have the form of embeddings") from error
        except Exception as error:
            raise self._failure(litellm, call.name, error) from error
        yield Result(value=body, text="")
        yield usage
        yield Finish()

    async def _generate(
        self, litellm: Any, call: Call, ask: Any, arguments: dict[str, Any], *, stream: bool
    ) -> AsyncGenerator[CallEvent, None]:
        reader = AnswerReader()
        answer: Any = None
        began = False
        try:
            if stream:
                answer = await ask(**arguments, stream=True, stream_options={"include_usage": True})
                async for chunk in answer:
                    for event in reader.read(chunk.model_dump()):
                        began = True
                        yield event
            else:
                whole = await ask(**arguments)
                for event in reader.read(whole.model_dump()):
                    yield event
            ending = list(reader.end())
        except _MALFORMED as error:
            raise invalid(call.name, "it does not have the form of an answer") from error
        except Exception as error:
            if began and isinstance(error, litellm.exceptions.APIConnectionError):
                raise broken_off(call.name) from error
            raise self._failure(litellm, call.name, error) from error
        finally:
            if stream and answer is not None:
                await _close(answer)
        for event in ending:
            yield event

    def _arguments(self, operation: Operation, request: RequestModel, body: Mapping[str, Any]) -> dict[str, Any]:
        fields = _FIELDS[operation]
        if request.unknown:
            name = min(request.unknown)
            raise UnsupportedParameterError(f"{name!r} is not a parameter that this model takes.", param=name)
        # litellm edits messages in place for some providers.
        given = {name: copy.deepcopy(body[name]) for name in fields & body.keys() if body[name] is not None}
        given.pop("stream_options", None)
        return {**given, **(self._fixed or {}), "model": self._model}

    async def _litellm(self) -> Any:
        if self._fixed is None:
            await self.start()
        if self._importing is None:
            raise UpstreamError("The engine is closed.")
        return await asyncio.shield(self._importing)

    def _failure(self, litellm: Any, name: str, error: Exception) -> CallError:
        if isinstance(error, CallError):
            return error
        error = getattr(error, "original_exception", None) or error
        said = scrub(_message(error), self._secrets)
        errors = litellm.exceptions
        if isinstance(error, errors.UnsupportedParamsError):
            return UnsupportedParameterError(said)
        if isinstance(error, errors.Timeout | TimeoutError):
            return DeadlineExceededError(f"The engine behind {name!r} ran out of time.", code="upstream_timeout")
        if isinstance(error, errors.APIConnectionError) or _never_connected(error):
            return unreachable(name)
        status = getattr(error, "status_code", None)
        if status in (401, 403):
            return refused(name, status)
        if status == 429:
            return RateLimitError(said, retry_after=retry_after(_headers(error)))
        if status in (400, 413, 422):
            code = "context_length_exceeded" if isinstance(error, errors.ContextWindowExceededError) else None
            return BadRequestError(said, code=code, status=status)
        if status == 404:
            return UpstreamError(
                f"The engine behind {name!r} doesn't know the model {self._model!r} it is configured for.",
                code="upstream_not_found",
            )
        if status is None:
            # Not an answer of the provider's but a failure on the way to it, whose words are not for callers.
            _log.error("the engine behind %r failed with %s: %s", name, type(error).__name__, said)
            return UpstreamError(
                f"The engine behind {name!r} failed with {type(error).__name__}; the gateway's log says more under "
                "this request's id."
            )
        return UpstreamError(f"The engine behind {name!r} failed: {said}")


def _load_litellm() -> Any:
    """Import litellm so that it neither reads a ``.env`` file, nor fetches its price list, nor reports on itself."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
    litellm: Any = import_module("litellm")
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    litellm.drop_params = False
    return litellm


def _continues_text(litellm: Any, model: str) -> bool:
    """Whether litellm asks an endpoint for text completions; of all others it makes a chat of the prompt."""
    try:
        name, provider, *_ = litellm.get_llm_provider(model=model)
    except litellm.exceptions.BadRequestError:
        return True  # the call itself will say what is wrong with the model
    if provider == "openai":
        return name not in litellm.open_ai_chat_completion_models
    return provider in _TEXT_PROVIDERS or provider in litellm.openai_text_completion_compatible_providers


def _check_chattable(request: CompletionRequest, name: str) -> None:
    """Refuse what a chat has nothing for: litellm would merge several prompts, and send the rest to no effect.

    Raises:
        UnsupportedParameterError: It names the parameter.
    """
    asked = {
        "echo": bool(request.echo),
        "logprobs": request.logprobs is not None,
        "suffix": bool(request.suffix),
        "best_of": (request.best_of or 1) > 1,
    }
    for param in asked:
        if asked[param]:
            raise UnsupportedParameterError(
                f"{name!r} is a chat model, whose completions can't honour {param}; leave it out.", param=param
            )
    if isinstance(request.prompt, list) and (len(request.prompt) != 1 or not isinstance(request.prompt[0], str)):
        raise UnsupportedParameterError(
            f"{name!r} is a chat model, which continues one text at a time; give one prompt, as text.", param="prompt"
        )


def _is_secret(option: str) -> bool:
    return any(word in option for word in ("key", "secret", "token", "password", "credentials"))


def _message(error: Exception) -> str:
    """Return what the provider said, without litellm's prefixes and its advice to programmers."""
    text = str(getattr(error, "message", "") or error)
    text = _PREFIX.sub("", text)
    for advice in _ADVICE:
        text = text.partition(advice)[0]
    return UpstreamAnswer(text.encode("utf-8", "replace")).message or text.strip() or type(error).__name__


def _never_connected(error: BaseException | None) -> bool:
    """Whether a failed connection is at the bottom of it; litellm often tells one as an internal error."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if type(error).__name__ in _CONNECTION_ERRORS:
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def _headers(error: Exception) -> Mapping[str, str]:
    found = getattr(error, "litellm_response_headers", None) or getattr(
        getattr(error, "response", None), "headers", None
    )
    return found or {}


def _embeddings(answer: dict[str, Any], encoding: str | None) -> tuple[dict[str, Any], Usage]:
    counted = answer.get("usage") or {}
    tokens = int(counted.get("prompt_tokens") or 0)
    data = [
        {"object": "embedding", "index": index, "embedding": _encoded(entry["embedding"], encoding)}
        for index, entry in enumerate(answer["data"])
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    body = {"object": "list", "data": data, "model": answer.get("model") or "", "usage": usage}
    return body, Usage(prompt_tokens=tokens)


def _encoded(vector: Any, encoding: str | None) -> Any:
    return to_base64(vector) if encoding == "base64" and isinstance(vector, list) else vector


async def _close(stream: Any) -> None:
    close = getattr(stream, "aclose", None)
    if close is not None:
        await close()

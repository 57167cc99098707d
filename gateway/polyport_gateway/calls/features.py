"""What a request asks for beyond plain text, so that what can't be honoured is refused, never dropped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from polyport.errors import UnsupportedParameterError
from polyport.types.base import RequestModel
from polyport.types.chat import ChatRequest
from polyport_gateway.call import Chat, Completion, Embedding, Input, Rerank
from polyport_gateway.calls.limits import CUT_HERE, LIMITED_HERE
from polyport_gateway.catalog.capability import ALL_FEATURES, Capability

__all__ = ["ADVISORY", "check_features", "used_features"]

ADVISORY = frozenset(
    {
        "model",
        "messages",
        "prompt",
        "input",
        "query",
        "documents",
        "stream",
        "stream_options",
        "user",
        "metadata",
        "store",
        "service_tier",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "encoding_format",
        # Something that doesn't sample honours every one of these as it is.
        "temperature",
        "top_p",
        "frequency_penalty",
        "presence_penalty",
    }
)
"""Members that change nothing a caller could miss when a capability has no use for them."""

_NEUTRAL: Mapping[str, Any] = {
    "n": 1,
    "best_of": 1,
    "logprobs": False,
    "top_logprobs": 0,
    "tools": [],
    "functions": [],
    "modalities": ["text"],
    "response_format": {"type": "text"},
    "logit_bias": {},
    "stop": [],
    "echo": False,
    "tool_choice": None,
    "return_documents": False,
}
"""Values that ask for nothing."""

_PART_FEATURES = {"image_url": "images", "input_audio": "audio", "file": "files"}


def used_features(input: Input) -> Iterator[tuple[str, str]]:  # noqa: A002
    """Yield each feature a request uses, with the parameter that asks for it."""
    if not isinstance(input, Chat | Completion | Embedding | Rerank):
        return
    request: RequestModel = input.request
    for name in request.model_fields_set:
        value = getattr(request, name)
        if name in ADVISORY or value is None or _asks_nothing(name, value):
            continue
        if name == "parallel_tool_calls" and not getattr(request, "tools", None):
            continue
        yield name, name
    for name in request.unknown:
        yield name, name
    if isinstance(request, ChatRequest):
        yield from _message_features(request)


def _asks_nothing(name: str, value: Any) -> bool:
    # By type too: a completion's logprobs of 0 ask for the chosen tokens' own, and 0 == False.
    neutral = _NEUTRAL.get(name)
    return type(value) is type(neutral) and value == neutral


def _message_features(request: ChatRequest) -> Iterator[tuple[str, str]]:
    for position, message in enumerate(request.messages):
        where = f"messages.{position}"
        if isinstance(message.content, list):
            for part in message.content:
                if part.type not in ("text", "refusal"):
                    yield _PART_FEATURES.get(part.type, part.type), f"{where}.content"
        if message.role == "tool" or getattr(message, "tool_calls", None):
            yield "tools", where


def check_features(capability: Capability, input: Input) -> None:  # noqa: A002
    """Refuse a request that uses what the capability can't honour.

    Raises:
        UnsupportedParameterError: It names the parameter.
    """
    features = capability.features
    if capability.kind in CUT_HERE:
        features = features | LIMITED_HERE
    if features is ALL_FEATURES or "*" in features:
        return
    for feature, param in used_features(input):
        if feature not in features:
            shown = param if feature == param else f"{feature} (in {param})"
            article = "an" if capability.kind == "agent" else "a"
            raise UnsupportedParameterError(
                f"{capability.name!r} is {article} {capability.kind} that can't honour {shown}; leave it out.",
                param=param,
            )

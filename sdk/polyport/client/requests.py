"""What each method of the clients asks, and how its answer is read: shared by the sync and the async one."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json

from polyport.client.exchange import Request
from polyport.content import Audio, EmbeddedResource, Image, Message
from polyport.errors import BadRequestError, InvalidOutputError
from polyport.types.chat import ChatCompletion
from polyport.types.completions import Completion
from polyport.types.embeddings import EmbeddingList
from polyport.types.functions import Function, FunctionList, FunctionResult
from polyport.types.models import Model, ModelList
from polyport.types.rerank import RerankResponse

__all__ = [
    "Messages",
    "call_function",
    "chat",
    "checked_name",
    "complete",
    "conversation",
    "embed",
    "encoded",
    "function_value",
    "get_function",
    "get_model",
    "list_functions",
    "list_models",
    "loads",
    "path_of",
    "returned",
]

T = TypeVar("T")
Messages: TypeAlias = str | Sequence[Message | Mapping[str, Any] | BaseModel]
"""A question, or a conversation: `polyport.Message`, plain mappings or `polyport.types.chat` models."""

_EVENTS = {"accept": "text/event-stream"}
_BASE64 = ConfigDict(val_json_bytes="base64")


def encoded(value: Any) -> bytes:
    """Write a request's body; dates become ISO 8601, bytes base64, models and dataclasses objects.

    Raises:
        BadRequestError: JSON can't carry it.
    """
    try:
        return to_json(value, bytes_mode="base64", inf_nan_mode="constants", by_alias=True)
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        raise BadRequestError(f"The request can't be written as JSON: {error}") from error


def path_of(*parts: str) -> str:
    """Return a path under ``/v1`` whose parts are quoted."""
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)


def checked_name(name: str, what: str) -> str:
    """Return a name that can be part of a path.

    Raises:
        BadRequestError: It can't.
    """
    if not isinstance(name, str) or not name or name in (".", ".."):
        raise BadRequestError(f"{name!r} is not the name of a {what}")
    return name


def list_functions() -> Request[list[Function]]:
    """Ask for everything that can be called."""
    return Request("GET", "/v1/functions", lambda body: FunctionList.model_validate_json(body).data)


def get_function(name: str) -> Request[Function]:
    """Ask for one function's description."""
    return Request("GET", path_of("functions", checked_name(name, "function")), Function.model_validate_json)


def call_function(
    name: str, arguments: Mapping[str, Any], *, idempotent: bool = False, events: bool = False
) -> Request[FunctionResult]:
    """Call a function."""
    return Request(
        "POST",
        path_of("functions", checked_name(name, "function")),
        FunctionResult.model_validate_json,
        body=encoded(dict(arguments)),
        safe=idempotent,
        headers=_EVENTS if events else {},
    )


def list_models() -> Request[list[Model]]:
    """Ask for every name that can be chatted with."""
    return Request("GET", "/v1/models", lambda body: ModelList.model_validate_json(body).data)


def get_model(name: str) -> Request[Model]:
    """Ask for one of them."""
    return Request("GET", path_of("models", checked_name(name, "model")), Model.model_validate_json)


def chat(model: str, messages: Messages, params: Mapping[str, Any], *, stream: bool) -> Request[ChatCompletion]:
    """Continue a conversation."""
    body: dict[str, Any] = {"model": model, "messages": conversation(messages), **params}
    return Request(
        "POST",
        "/v1/chat/completions",
        ChatCompletion.model_validate_json,
        body=encoded(_streamed(body) if stream else body),
        headers=_EVENTS if stream else {},
    )


def complete(model: str, prompt: Any, params: Mapping[str, Any], *, stream: bool) -> Request[Completion]:
    """Continue a text."""
    body: dict[str, Any] = {"model": model, "prompt": prompt, **params}
    return Request(
        "POST",
        "/v1/completions",
        Completion.model_validate_json,
        body=encoded(_streamed(body) if stream else body),
        headers=_EVENTS if stream else {},
    )


def _streamed(body: dict[str, Any]) -> dict[str, Any]:
    return {"stream_options": {"include_usage": True}, **body, "stream": True}


def embed(model: str, texts: Any, params: Mapping[str, Any]) -> Request[EmbeddingList]:
    """Embed texts; vectors travel as base64 float32 unless another form is asked for."""
    asked = params.get("encoding_format")
    body = {"model": model, "input": texts, **params}
    if asked is None:
        body["encoding_format"] = "base64"

    def parse(content: bytes) -> EmbeddingList:
        answer = EmbeddingList.model_validate_json(content)
        answer.data.sort(key=lambda item: item.index)
        if asked != "base64":
            for item, vector in zip(answer.data, answer.vectors, strict=True):
                item.embedding = vector
        return answer

    return Request("POST", "/v1/embeddings", parse, body=encoded(body))


def rerank(
    model: str, query: str, documents: Sequence[Any], params: Mapping[str, Any], *, top_n: int | None
) -> Request[RerankResponse]:
    """Order documents by their relevance to a query."""
    body = {"model": model, "query": query, "documents": documents, **params}
    if top_n is not None:
        body["top_n"] = top_n
    return Request("POST", "/v1/rerank", RerankResponse.model_validate_json, body=encoded(body))


def conversation(messages: Messages) -> list[Any]:
    """Return a conversation as a body has it."""
    if isinstance(messages, str):
        return [{"role": "user", "content": messages}]
    return [_message(message) for message in messages]


def _message(message: Message | Mapping[str, Any] | BaseModel) -> Any:
    if isinstance(message, Message):
        body: dict[str, Any] = {"role": message.role, "content": list(message.parts) or message.content}
        return body if message.name is None else {**body, "name": message.name}
    if isinstance(message, BaseModel):
        return message.model_dump(exclude_unset=True, by_alias=True)
    return message


def function_value(result: FunctionResult) -> Any:
    """Return what the function returned: an object, or its pictures, sounds and resources, or any other value."""
    if not result.content or isinstance(result.result, dict):
        return result.result
    found = [_content(block) for block in result.content]
    return found[0] if len(found) == 1 else found


def _content(block: Mapping[str, Any]) -> Any:
    match block.get("type"):
        case "text":
            return block.get("text", "")
        case "image":
            return Image(base64.b64decode(block["data"]), block.get("mimeType", "image/png"))
        case "audio":
            return Audio(base64.b64decode(block["data"]), block.get("mimeType", "audio/wav"))
        case "resource":
            resource = block["resource"]
            content = base64.b64decode(resource["blob"]) if "blob" in resource else resource.get("text", "")
            return EmbeddedResource(resource["uri"], content, resource.get("mimeType", "text/plain"))
        case _:
            return dict(block)


@lru_cache(maxsize=256)
def _adapter(returns: Any) -> TypeAdapter[Any]:
    # In a tuple because an adapter of a model takes no configuration from outside.
    return TypeAdapter(tuple[returns], config=_BASE64)


def returned(name: str, result: FunctionResult, returns: Any, *, request_id: str | None = None) -> Any:
    """Return what the function returned, as the type that the caller expects.

    Raises:
        InvalidOutputError: It is something else.
    """
    value = function_value(result)
    if returns is None:
        return value
    try:
        if result.content:
            return _adapter(returns).validate_python((value,))[0]
        return _adapter(returns).validate_json(to_json((value,), inf_nan_mode="constants"))[0]
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"][1:])
        raise InvalidOutputError(
            f"{name!r} returned something other than {getattr(returns, '__name__', returns)}: "
            f"{where + ': ' if where else ''}{problem['msg']}",
            request_id=request_id,
        ) from error


def loads(text: str) -> Any:
    """Read JSON; None where it isn't any."""
    try:
        return from_json(text)
    except ValueError:
        return None

"""``/openapi.json``: what this gateway serves to this caller, from the same types that validate it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from polyport.types.chat import ChatChunk, ChatCompletion, ChatRequest
from polyport.types.completions import Completion, CompletionRequest
from polyport.types.embeddings import EmbeddingList, EmbeddingRequest
from polyport.types.errors import ErrorResponse
from polyport.types.functions import Function, FunctionList, FunctionResult
from polyport.types.models import Model, ModelList
from polyport.types.moderations import Moderation, ModerationRequest
from polyport.types.rerank import RerankRequest, RerankResponse
from polyport.types.responses import Response, ResponseDeleted, ResponseEvent, ResponseItemList, ResponseRequest
from polyport_gateway.call import LOCAL, Caller
from polyport_gateway.catalog import Capability, Catalog
from polyport_gateway.wires.http import Receive, Scope, Send, info_of, send_json

__all__ = ["MODERATIONS", "RESPONSES", "EndpointDescription", "OpenAPIEndpoint"]

_REF = "#/components/schemas/{model}"
_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_FORM = {
    "type": "object",
    "properties": {"file": {"type": "string", "format": "binary"}},
    "required": ["file"],
}


@dataclass(frozen=True, slots=True)
class EndpointDescription:
    """One endpoint, for the document.

    Attributes:
        method: In lower case.
        path: With ``{names}``.
        summary: What it does.
        request: The body's type, if it takes one.
        response: The answer's type, if it is JSON.
        stream: The type of the events of its streamed form, if it has one.
        query: The schema of each parameter of its query.
        group: Its tag.
        takes_bytes: Whether its body is bytes as they are.
        gives_bytes: Whether its answer is.
        takes_form: Whether its body is, or may be, a form with one file.
        form: The schema of that form, where it has other members than ``file``.
    """

    method: str
    path: str
    summary: str
    request: type[BaseModel] | None = None
    response: type[BaseModel] | None = None
    stream: type[BaseModel] | None = None
    query: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    group: str = "OpenAI"
    takes_bytes: bool = False
    gives_bytes: bool = False
    takes_form: bool = False
    form: Mapping[str, Any] | None = None


_ENDPOINTS = (
    EndpointDescription("get", "/v1/models", "List everything you may call", response=ModelList),
    EndpointDescription("get", "/v1/models/{model}", "Show one name", response=Model),
    EndpointDescription(
        "post", "/v1/chat/completions", "Chat with anything that has a name", ChatRequest, ChatCompletion, ChatChunk
    ),
    EndpointDescription("post", "/v1/completions", "Continue a text", CompletionRequest, Completion, Completion),
    EndpointDescription("post", "/v1/embeddings", "Embed texts", EmbeddingRequest, EmbeddingList),
    *(
        EndpointDescription(
            "post", path, "Order documents by relevance", RerankRequest, RerankResponse, group="Reranking"
        )
        for path in ("/v1/rerank", "/rerank")
    ),
    EndpointDescription("get", "/v1/functions", "List everything as tools", response=FunctionList, group="Functions"),
    EndpointDescription("get", "/v1/functions/{name}", "Show one as a tool", response=Function, group="Functions"),
)


RESPONSES = (
    EndpointDescription("post", "/v1/responses", "Ask for a response", ResponseRequest, Response, ResponseEvent),
    EndpointDescription(
        "get",
        "/v1/responses/{response_id}",
        "Show a stored response",
        None,
        Response,
        ResponseEvent,
        {
            "include": {"type": "array", "items": {"type": "string"}},
            "stream": {"type": "boolean", "default": False},
            "starting_after": {"type": "integer", "minimum": -1},
            "include_obfuscation": {"type": "boolean", "default": False},
        },
    ),
    EndpointDescription("delete", "/v1/responses/{response_id}", "Delete a stored response", None, ResponseDeleted),
    EndpointDescription("post", "/v1/responses/{response_id}/cancel", "Cancel one in the background", None, Response),
    EndpointDescription(
        "get",
        "/v1/responses/{response_id}/input_items",
        "List what a response was given",
        None,
        ResponseItemList,
        query={
            "limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
            "order": {"type": "string", "enum": ["asc", "desc"], "default": "desc"},
            "after": {"type": "string"},
            "before": {"type": "string"},
        },
    ),
)

MODERATIONS = EndpointDescription("post", "/v1/moderations", "Moderate texts", ModerationRequest, Moderation)
"""Served only where an engine offers it."""


class OpenAPIEndpoint:
    """Answers with the document, as this caller sees the gateway.

    Args:
        catalog: What there is.
        further: Gives further endpoints, when the document is first asked for.
    """

    def __init__(self, catalog: Catalog, further: Callable[[], Iterable[EndpointDescription]] = tuple) -> None:
        self._catalog = catalog
        self._further = further
        self._base: dict[str, Any] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await send_json(send, self.document(info_of(scope).caller))

    def document(self, caller: Caller) -> dict[str, Any]:
        """Return the OpenAPI 3.1 document for this caller."""
        if self._base is None:
            self._base = self._common()
        paths = dict(self._base["paths"])
        schemas = dict(self._base["components"]["schemas"])
        for capability in self._catalog.visible(caller):
            paths[f"/v1/functions/{capability.name}"] = {"post": _call_operation(capability, schemas)}
        return {
            **self._base,
            "paths": paths,
            "components": {**self._base["components"], "schemas": schemas},
            # As soon as there is a key, every caller has one.
            "security": [{"key": []}, {}] if caller is LOCAL else [{"key": []}],
        }

    def _common(self) -> dict[str, Any]:
        endpoints = (*_ENDPOINTS, *self._further())
        schemas = _schemas(endpoints)
        paths: dict[str, Any] = {}
        for endpoint in endpoints:
            paths.setdefault(endpoint.path, {})[endpoint.method] = _operation(endpoint)
        for path, summary in (("/healthz", "The process answers"), ("/readyz", "The gateway can take calls")):
            answers: dict[str, Any] = {"200": {"description": summary, "content": _json({"type": "object"})}}
            if path == "/readyz":
                answers["503"] = {"description": "Not now", "content": _json({"type": "object"})}
            paths[path] = {"get": {"summary": summary, "tags": ["Health"], "security": [], "responses": answers}}
        figures = {"text/plain": {"schema": {"type": "string"}}}
        paths["/metrics"] = {
            "get": {
                "summary": "The gateway's figures, for Prometheus",
                "tags": ["Health"],
                "responses": {"200": {"description": "Now", "content": figures}, **_errors()},
            }
        }
        return {
            "openapi": "3.1.0",
            "info": {
                "title": self._catalog.name,
                "version": self._catalog.version,
                "description": self._catalog.instructions or "Served by Polyport.",
            },
            "paths": paths,
            "components": {
                "schemas": schemas,
                "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            },
        }


def _schemas(endpoints: Iterable[EndpointDescription]) -> dict[str, Any]:
    models: dict[str, tuple[type[BaseModel], Any]] = {}
    for endpoint in endpoints:
        for model, mode in ((endpoint.request, "validation"), (endpoint.response, "serialization")):
            if model is not None:
                models.setdefault(model.__name__, (model, mode))
        if endpoint.stream is not None:
            models.setdefault(endpoint.stream.__name__, (endpoint.stream, "serialization"))
    for extra in (ErrorResponse, FunctionResult):
        models[extra.__name__] = (extra, "serialization")
    _, definitions = models_json_schema(list(models.values()), ref_template=_REF)
    found: dict[str, Any] = definitions.get("$defs", {})
    return found


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _errors() -> dict[str, Any]:
    return {"default": {"description": "Failed", "content": _json(_reference(ErrorResponse))}}


def _operation(endpoint: EndpointDescription) -> dict[str, Any]:
    content: dict[str, Any] = _json(_reference(endpoint.response)) if endpoint.response else {}
    if endpoint.gives_bytes:
        content = dict(_BYTES)
    if endpoint.stream is not None:
        content["text/event-stream"] = {"schema": _reference(endpoint.stream)}
    operation: dict[str, Any] = {
        "summary": endpoint.summary,
        "tags": [endpoint.group],
        "responses": {"200": {"description": "Done", "content": content}, **_errors()},
    }
    names = [part[1:-1] for part in endpoint.path.split("/") if part.startswith("{")]
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
    ]
    parameters += [{"name": name, "in": "query", "schema": dict(schema)} for name, schema in endpoint.query.items()]
    if parameters:
        operation["parameters"] = parameters
    if endpoint.request is not None:
        content = _json(_reference(endpoint.request))
        if endpoint.takes_form:
            content |= _form(endpoint)
        operation["requestBody"] = {"required": True, "content": content}
    elif endpoint.takes_bytes:
        operation["requestBody"] = {"required": True, "content": dict(_BYTES)}
    elif endpoint.takes_form:
        operation["requestBody"] = {"required": True, "content": _form(endpoint)}
    return operation


def _form(endpoint: EndpointDescription) -> dict[str, Any]:
    return {"multipart/form-data": {"schema": dict(endpoint.form or _FORM)}}


def _call_operation(capability: Capability, schemas: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = _reference(FunctionResult)
    if capability.tool.output is not None:
        result = {"allOf": [result, {"properties": {"result": _hoisted(capability, "output", schemas)}}]}
    return {
        "summary": (capability.description or capability.name).splitlines()[0],
        "description": capability.description,
        "operationId": f"call_{capability.name}",
        "tags": ["Functions"],
        "requestBody": {
            "required": bool(capability.tool.input.get("required")),
            "content": _json(_hoisted(capability, "input", schemas)),
        },
        "responses": {
            "200": {
                "description": "Done; as events, progress and log lines come before the result",
                "content": {**_json(result), "text/event-stream": {"schema": {"type": "string"}}},
            },
            **_errors(),
        },
    }


def _hoisted(capability: Capability, side: str, schemas: dict[str, Any]) -> dict[str, Any]:
    """Return a tool's schema with its ``$defs`` moved among the document's, under names of their own."""
    schema: Mapping[str, Any] = getattr(capability.tool, side)
    definitions = schema.get("$defs")
    if not definitions:
        return dict(schema)
    prefix = f"{capability.name}.{side}."
    text = json.dumps({key: value for key, value in schema.items() if key != "$defs"})
    for name, definition in definitions.items():
        schemas[prefix + name] = json.loads(
            json.dumps(definition).replace('"#/$defs/', f'"#/components/schemas/{prefix}')
        )
    hoisted: dict[str, Any] = json.loads(text.replace('"#/$defs/', f'"#/components/schemas/{prefix}'))
    return hoisted

"""Polyport: register once, serve on every wire.

    from polyport import App, Client

    app = App("demo")

    @app.function
    def add(a: int, b: int) -> int:
        "Add two integers."
        return a + b

    Client(app).functions.call("add", a=1, b=2)

Names are loaded when first used, so that ``import polyport`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polyport.app import App
    from polyport.client import AsyncClient, Client
    from polyport.content import Answer, Audio, Citation, EmbeddedResource, Image, Message, Text
    from polyport.context import AskRoots, Context, Elicit, ElicitResult, Sample, SampleResult
    from polyport.declarations import Annotations
    from polyport.errors import (
        APIConnectionError,
        AuthenticationError,
        BadRequestError,
        CallCancelledError,
        CallError,
        ConfigurationError,
        ConflictError,
        DeadlineExceededError,
        DeclarationError,
        FunctionError,
        InternalServerError,
        InvalidArgumentsError,
        InvalidOutputError,
        MissingDependencyError,
        NotFoundError,
        PayloadTooLargeError,
        PermissionDeniedError,
        PolyportError,
        RateLimitError,
        ServiceUnavailableError,
        UnsupportedOperationError,
        UnsupportedParameterError,
        UpstreamError,
        UsageError,
    )

__version__ = "0.1.0"

_HOMES = {
    "app": ["App"],
    "client": ["AsyncClient", "Client"],
    "content": ["Answer", "Audio", "Citation", "EmbeddedResource", "Image", "Message", "Text"],
    "context": ["AskRoots", "Context", "Elicit", "ElicitResult", "Sample", "SampleResult"],
    "declarations": ["Annotations"],
    "errors": [
        "APIConnectionError",
        "AuthenticationError",
        "BadRequestError",
        "CallCancelledError",
        "CallError",
        "ConfigurationError",
        "ConflictError",
        "DeadlineExceededError",
        "DeclarationError",
        "FunctionError",
        "InternalServerError",
        "InvalidArgumentsError",
        "InvalidOutputError",
        "MissingDependencyError",
        "NotFoundError",
        "PayloadTooLargeError",
        "PermissionDeniedError",
        "PolyportError",
        "RateLimitError",
        "ServiceUnavailableError",
        "UnsupportedOperationError",
        "UnsupportedParameterError",
        "UpstreamError",
        "UsageError",
    ],
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "APIConnectionError",
    "Annotations",
    "Answer",
    "App",
    "AskRoots",
    "AsyncClient",
    "Audio",
    "AuthenticationError",
    "BadRequestError",
    "CallCancelledError",
    "CallError",
    "Citation",
    "Client",
    "ConfigurationError",
    "ConflictError",
    "Context",
    "DeadlineExceededError",
    "DeclarationError",
    "Elicit",
    "ElicitResult",
    "EmbeddedResource",
    "FunctionError",
    "Image",
    "InternalServerError",
    "InvalidArgumentsError",
    "InvalidOutputError",
    "Message",
    "MissingDependencyError",
    "NotFoundError",
    "PayloadTooLargeError",
    "PermissionDeniedError",
    "PolyportError",
    "RateLimitError",
    "Sample",
    "SampleResult",
    "ServiceUnavailableError",
    "Text",
    "UnsupportedOperationError",
    "UnsupportedParameterError",
    "UpstreamError",
    "UsageError",
    "__version__",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'polyport' has no attribute {name!r}")
    value = getattr(import_module(f"polyport.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

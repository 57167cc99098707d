"""Every error Polyport raises, as one tree.

::

    PolyportError
    ├── UsageError                      you did it wrong; raised before anything is served
    │   ├── DeclarationError            a bad signature, a duplicate or malformed name
    │   ├── ConfigurationError          a setting, an address, an app file
    │   └── MissingDependencyError      an extra is not installed; carries the pip line
    └── CallError                       it went wrong; the same on every wire
        ├── BadRequestError             400
        │   ├── InvalidArgumentsError   400 invalid_arguments
        │   ├── UnsupportedParameterError 400 unsupported_parameter
        │   └── UnsupportedOperationError 400 unsupported_operation
        ├── AuthenticationError         401 invalid_api_key
        ├── PermissionDeniedError       403
        ├── NotFoundError               404
        ├── ConflictError               409
        ├── PayloadTooLargeError        413
        ├── RateLimitError              429
        ├── CallCancelledError          499
        ├── InternalServerError         500
        │   ├── FunctionError           500 function_error: a registered function failed
        │   └── InvalidOutputError      500 invalid_output: it returned what its schema forbids
        ├── UpstreamError               502 upstream_error
        ├── ServiceUnavailableError     503
        ├── DeadlineExceededError       504 timeout
        └── APIConnectionError          no answer arrived (client side only)

`status`, `type` and `code` on each class are the one table from which every wire takes its form.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypedDict

__all__ = [
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
    "error_from_status",
]


class ErrorBody(TypedDict):
    """The four members of an OpenAI error object."""

    message: str
    type: str
    param: str | None
    code: str | None


class PolyportError(Exception):
    """Base of everything Polyport raises."""


class UsageError(PolyportError):
    """Polyport was used wrongly; nothing was served yet."""


class DeclarationError(UsageError):
    """A registration that can't be served: a bad signature, a duplicate or malformed name."""


class ConfigurationError(UsageError):
    """A setting, an address or an app file that can't be used."""


class MissingDependencyError(UsageError):
    """An optional dependency is not installed.

    Args:
        feature: What needs it, as a person would say it.
        extra: The extra that brings it, as in ``pip install "polyport[extra]"``.
    """

    def __init__(self, feature: str, *, extra: str) -> None:
        self.feature = feature
        self.extra = extra
        self.install = f'pip install "polyport[{extra}]"'
        super().__init__(f"{feature} needs packages that are not installed. Install them with: {self.install}")


class CallError(PolyportError):
    """A call failed. The same failure has the same status, type and code on every wire.

    Args:
        message: What was wrong, with which value, and what to do. Shown to the caller.
        param: The request parameter it concerns, if one.
        code: A more specific code than the class's own.
        request_id: The id under which the gateway logged the call.
        retry_after: Seconds after which another try makes sense.
        status: The HTTP status, where it differs from the class's own (an upstream's, for instance).
    """

    status: int = 500
    type: ClassVar[str] = "server_error"
    code: str = "server_error"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.request_id = request_id
        self.retry_after = retry_after
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status

    def body(self) -> ErrorBody:
        """Return the OpenAI error object."""
        return {"message": self.message, "type": self.type, "param": self.param, "code": self.code}

    def __str__(self) -> str:
        return self.message if self.request_id is None else f"{self.message} (request id {self.request_id})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.message, self.__dict__))


def _rebuild(cls: type[CallError], message: str, state: dict[str, Any]) -> CallError:
    error = cls(message)
    error.__dict__.update(state)
    return error


class BadRequestError(CallError):
    """The request itself is wrong; the same request will fail again."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_request"


class InvalidArgumentsError(BadRequestError):
    """Arguments that don't match a capability's input schema."""

    code = "invalid_arguments"


class UnsupportedParameterError(BadRequestError):
    """A parameter that this capability can't honour, and so refuses rather than drops."""

    code = "unsupported_parameter"


class UnsupportedOperationError(BadRequestError):
    """An operation that this capability doesn't offer (embeddings of a chat-only model, say)."""

    code = "unsupported_operation"


class AuthenticationError(CallError):
    """No key, or one that is unknown, expired or revoked."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class PermissionDeniedError(CallError):
    """The caller is known and may not do this."""

    status = 403
    type = "permission_error"
    code = "permission_denied"


class NotFoundError(CallError):
    """No such thing, or none that this caller may see."""

    status = 404
    type = "invalid_request_error"
    code = "not_found"


class ConflictError(CallError):
    """The thing is not in a state that allows this."""

    status = 409
    type = "invalid_request_error"
    code = "conflict"


class PayloadTooLargeError(CallError):
    """A body over the configured limit."""

    status = 413
    type = "invalid_request_error"
    code = "payload_too_large"


class RateLimitError(CallError):
    """Too many calls; `retry_after` says when to try again."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"


class CallCancelledError(CallError):
    """The caller went away or cancelled."""

    status = 499
    type = "server_error"
    code = "cancelled"


class InternalServerError(CallError):
    """The gateway failed; its log has the cause under the request id."""

    code = "internal_error"


class FunctionError(InternalServerError):
    """A registered function failed.

    Raise it in a function of your own to tell the caller why: its message is passed on as it is.
    Any other exception reaches the caller as its class name alone.
    """

    code = "function_error"


class InvalidOutputError(InternalServerError):
    """A registered function returned what its own output schema forbids."""

    code = "invalid_output"


class UpstreamError(CallError):
    """The engine behind a model failed, broke off or sent nonsense."""

    status = 502
    code = "upstream_error"


class ServiceUnavailableError(CallError):
    """Not ready, overloaded or shutting down."""

    status = 503
    code = "service_unavailable"


class DeadlineExceededError(CallError):
    """The call's deadline passed; it was cancelled."""

    status = 504
    code = "timeout"


class APIConnectionError(CallError):
    """The gateway could not be reached, or the connection broke before its answer was whole."""

    status = 0
    type = "connection_error"
    code = "connection_error"


def _subclasses(cls: type[CallError]) -> list[type[CallError]]:
    # Those of this module alone: what an answer becomes must not depend on what else was imported.
    found = [cls]
    for sub in cls.__subclasses__():
        if sub.__module__ == __name__:
            found.extend(_subclasses(sub))
    return found


def error_from_status(
    status: int,
    body: dict[str, Any] | None,
    *,
    request_id: str | None = None,
    retry_after: float | None = None,
) -> CallError:
    """Rebuild the error an answer describes: by its code first, by its status otherwise.

    Args:
        status: The HTTP status of the answer.
        body: The OpenAI error object (the value of ``error``), if one arrived.
        request_id: From ``x-request-id``.
        retry_after: Seconds, from ``Retry-After``.
    """
    body = body or {}
    code = body.get("code") if isinstance(body.get("code"), str) else None
    message = str(body.get("message") or f"The server answered {status} without saying why")
    classes = _subclasses(CallError)
    chosen = next((c for c in classes if code is not None and c.code == code and c.status == status), None)
    if chosen is None:
        chosen = next((c for c in classes if c is not CallError and c.status == status), None)
    if chosen is None:
        chosen = BadRequestError if 400 <= status < 500 else InternalServerError
    param = body.get("param")
    return chosen(
        message,
        param=param if isinstance(param, str) else None,
        code=code,
        request_id=request_id,
        retry_after=retry_after,
        status=status,
    )

"""OpenAI's error body."""

from __future__ import annotations

from polyport.types.base import WireModel

__all__ = ["ErrorDetail", "ErrorResponse"]


class ErrorDetail(WireModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorResponse(WireModel):
    """The body of every answer that is not a success."""

    error: ErrorDetail

"""OpenAI's moderations."""

from __future__ import annotations

from typing import Any

from polyport.types.base import RequestModel, WireModel

__all__ = ["Moderation", "ModerationRequest"]


class ModerationRequest(RequestModel):
    """The body of ``POST /v1/moderations``."""

    model: str | None = None
    input: str | list[str] | list[dict[str, Any]]


class Moderation(WireModel):
    """The answer of ``POST /v1/moderations``."""

    id: str
    model: str
    results: list[dict[str, Any]]

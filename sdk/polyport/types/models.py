"""OpenAI's list of models: everything a caller may name."""

from __future__ import annotations

from typing import Literal

from polyport.types.base import WireModel

__all__ = ["Model", "ModelList"]


class Model(WireModel):
    """One name.

    Attributes:
        kind: Polyport's own member: ``function``, ``pipeline``, ``model`` or ``agent``.
    """

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "polyport"
    kind: str | None = None
    description: str | None = None


class ModelList(WireModel):
    """The answer of ``GET /v1/models``."""

    object: Literal["list"] = "list"
    data: list[Model]

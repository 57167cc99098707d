"""The two bases of every wire type."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["RequestModel", "WireModel"]


class WireModel(BaseModel):
    """Something that is answered: unknown members are kept, so newer servers don't break older clients."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())


class RequestModel(BaseModel):
    """Something that is asked: unknown members are kept, for engines that know them."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    @property
    def unknown(self) -> dict[str, object]:
        """Members that this type doesn't define."""
        return self.__pydantic_extra__ or {}

"""OpenAI's containers: places where the code interpreter runs, and their files."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import ConfigDict, Field

from polyport.types.base import RequestModel, WireModel

__all__ = [
    "AutoContainer",
    "Container",
    "ContainerDeleted",
    "ContainerExpiry",
    "ContainerFile",
    "ContainerFileDeleted",
    "ContainerFileList",
    "ContainerFileRequest",
    "ContainerList",
    "ContainerRequest",
    "MemoryLimit",
    "NetworkPolicy",
    "NetworkPolicyRequest",
]

MemoryLimit: TypeAlias = Literal["1g", "4g", "16g", "64g"]


# What is asked.


class NetworkPolicyRequest(RequestModel):
    """What code may reach over the network: nothing, or a list of domains."""

    type: Literal["disabled", "allowlist"]
    allowed_domains: list[str] | None = Field(default=None, min_length=1, max_length=100)
    domain_secrets: list[dict[str, Any]] | None = None


class ExpiryRequest(RequestModel):
    """When a container is to expire: so many minutes after it was last used."""

    anchor: Literal["last_active_at"]
    minutes: int = Field(ge=1)


class ContainerRequest(RequestModel):
    """The body of ``POST /v1/containers``."""

    name: str = Field(min_length=1, max_length=256)
    file_ids: list[str] | None = None
    expires_after: ExpiryRequest | None = None
    memory_limit: MemoryLimit | None = None
    network_policy: NetworkPolicyRequest | None = None
    skills: list[dict[str, Any]] | None = None


class AutoContainer(RequestModel):
    """A container that a response makes for itself, or takes over from the response before it."""

    type: Literal["auto"]
    file_ids: list[str] | None = Field(default=None, max_length=50)
    memory_limit: MemoryLimit | None = None
    network_policy: NetworkPolicyRequest | None = None
    skills: list[dict[str, Any]] | None = None


class ContainerFileRequest(RequestModel):
    """The JSON form of ``POST /v1/containers/{id}/files``."""

    file_id: str | None = None


# What is answered. The schemas are made when one is first used: most gateways are never asked for a container.


class Answer(WireModel):
    """What is answered of containers."""

    model_config = ConfigDict(defer_build=True)


class ContainerExpiry(Answer):
    """When a container expires."""

    anchor: Literal["last_active_at"] = "last_active_at"
    minutes: int


class NetworkPolicy(Answer):
    """What a container's code may reach."""

    type: Literal["disabled", "allowlist"] = "disabled"


class AllowlistPolicy(NetworkPolicy):
    """The domains that it may reach."""

    type: Literal["disabled", "allowlist"] = "allowlist"
    allowed_domains: list[str]


class Container(Answer):
    """A container; ``status`` is ``running`` or ``expired``."""

    id: str
    object: Literal["container"] = "container"
    name: str
    created_at: int
    status: Literal["running", "expired"] = "running"
    last_active_at: int
    expires_after: ContainerExpiry
    network_policy: AllowlistPolicy | NetworkPolicy = Field(default_factory=NetworkPolicy)


class SizedContainer(Container):
    """A container with one of OpenAI's four sizes; one made otherwise may have any."""

    memory_limit: MemoryLimit


class ContainerList(Answer):
    """The answer of ``GET /v1/containers``."""

    object: Literal["list"] = "list"
    data: list[SizedContainer | Container]
    first_id: str
    last_id: str
    has_more: bool = False


class ContainerDeleted(Answer):
    """The answer of ``DELETE /v1/containers/{id}``."""

    id: str
    object: Literal["container.deleted"] = "container.deleted"
    deleted: bool = True


class ContainerFile(Answer):
    """A file in a container; ``source`` says whether the user or the code brought it."""

    id: str
    object: Literal["container.file"] = "container.file"
    container_id: str
    created_at: int
    bytes: int
    path: str
    source: Literal["user", "assistant"]


class ContainerFileList(Answer):
    """The answer of ``GET /v1/containers/{id}/files``."""

    object: Literal["list"] = "list"
    data: list[ContainerFile]
    first_id: str
    last_id: str
    has_more: bool = False


class ContainerFileDeleted(Answer):
    """The answer of ``DELETE /v1/containers/{id}/files/{file_id}``."""

    id: str
    object: Literal["container.file.deleted"] = "container.file.deleted"
    deleted: bool = True

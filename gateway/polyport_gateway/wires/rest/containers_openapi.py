"""The endpoints of containers, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polyport.types.containers import (
    ContainerDeleted,
    ContainerFile,
    ContainerFileDeleted,
    ContainerFileList,
    ContainerList,
    ContainerRequest,
    SizedContainer,
)
from polyport_gateway.wires.rest.openapi import EndpointDescription

__all__ = ["CONTAINERS"]

_ALL = "/v1/containers"
_ONE = f"{_ALL}/{{container_id}}"
_FILES = f"{_ONE}/files"
_FILE = f"{_FILES}/{{file_id}}"
_PAGE: Mapping[str, Mapping[str, Any]] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
    "order": {"type": "string", "enum": ["asc", "desc"], "default": "desc"},
    "after": {"type": "string"},
}

CONTAINERS = (
    EndpointDescription("post", _ALL, "Make a container", ContainerRequest, SizedContainer),
    EndpointDescription(
        "get", _ALL, "List your containers", response=ContainerList, query={**_PAGE, "name": {"type": "string"}}
    ),
    EndpointDescription("get", _ONE, "Show a container", response=SizedContainer),
    EndpointDescription("delete", _ONE, "End a container", response=ContainerDeleted),
    EndpointDescription("post", _FILES, "Upload a file", response=ContainerFile, takes_form=True),
    EndpointDescription("get", _FILES, "List a container's files", response=ContainerFileList, query=_PAGE),
    EndpointDescription("get", _FILE, "Show a file", response=ContainerFile),
    EndpointDescription("delete", _FILE, "Delete a file", response=ContainerFileDeleted),
    EndpointDescription("get", f"{_FILE}/content", "Read a file", gives_bytes=True),
)

"""The endpoints of documents, for the OpenAPI document."""

from __future__ import annotations

from polyport.types.documents import (
    ChunkerList,
    DocumentChunkRequest,
    DocumentChunks,
    DocumentFormatList,
    DocumentReadRequest,
    DocumentResult,
)
from polyport_gateway.wires.rest.openapi import EndpointDescription

__all__ = ["DOCUMENTS"]

_GROUP = "Documents"

DOCUMENTS = (
    EndpointDescription(
        "post",
        "/v1/documents/read",
        "Read a file",
        DocumentReadRequest,
        DocumentResult,
        group=_GROUP,
        takes_form=True,
    ),
    EndpointDescription(
        "post",
        "/v1/documents/chunk",
        "Read a file and cut it into chunks",
        DocumentChunkRequest,
        DocumentChunks,
        group=_GROUP,
        takes_form=True,
    ),
    EndpointDescription(
        "get", "/v1/documents/formats", "List what can be read", response=DocumentFormatList, group=_GROUP
    ),
    EndpointDescription(
        "get", "/v1/documents/chunkers", "List what cuts documents", response=ChunkerList, group=_GROUP
    ),
)

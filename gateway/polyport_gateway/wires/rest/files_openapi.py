"""The endpoints of files, uploads and vector stores, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from polyport.types.files import (
    CompleteUploadRequest,
    ExpiringFile,
    FileDeleted,
    FileList,
    FilePurpose,
    Upload,
    UploadPart,
    UploadRequest,
)
from polyport.types.vector_stores import (
    ExpiringVectorStore,
    FileBatchRequest,
    VectorStoreChangeRequest,
    VectorStoreDeleted,
    VectorStoreFile,
    VectorStoreFileBatch,
    VectorStoreFileChangeRequest,
    VectorStoreFileContent,
    VectorStoreFileDeleted,
    VectorStoreFileList,
    VectorStoreFileRequest,
    VectorStoreList,
    VectorStoreRequest,
    VectorStoreSearchRequest,
    VectorStoreSearchResults,
)
from polyport_gateway.wires.rest.openapi import EndpointDescription

__all__ = ["FILES", "VECTOR_STORES"]

_TEXT: Mapping[str, Any] = {"type": "string"}
_ORDER: Mapping[str, Any] = {"type": "string", "enum": ["asc", "desc"], "default": "desc"}
_PAGE: Mapping[str, Mapping[str, Any]] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
    "order": _ORDER,
    "after": _TEXT,
    "before": _TEXT,
}
_MEMBERS: Mapping[str, Mapping[str, Any]] = {
    **_PAGE,
    "filter": {"type": "string", "enum": ["in_progress", "completed", "failed", "cancelled"]},
}
_ALL_FILES: Mapping[str, Mapping[str, Any]] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 10_000},
    "order": _ORDER,
    "after": _TEXT,
    "purpose": _TEXT,
}
_BINARY: Mapping[str, Any] = {"type": "string", "format": "binary"}
_FILE_FORM: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "file": _BINARY,
        "purpose": {"type": "string", "enum": list(get_args(FilePurpose))},
        "expires_after": {
            "type": "object",
            "properties": {
                "anchor": {"type": "string", "enum": ["created_at"]},
                "seconds": {"type": "integer", "minimum": 3600, "maximum": 2_592_000},
            },
            "required": ["anchor", "seconds"],
        },
    },
    "required": ["file", "purpose"],
}
_PART_FORM: Mapping[str, Any] = {"type": "object", "properties": {"data": _BINARY}, "required": ["data"]}
_UPLOAD = "/v1/uploads/{upload_id}"
_STORES = "/v1/vector_stores"
_STORE = f"{_STORES}/{{vector_store_id}}"
_FILE = f"{_STORE}/files/{{file_id}}"
_BATCH = f"{_STORE}/file_batches/{{batch_id}}"

FILES = (
    EndpointDescription("post", "/v1/files", "Keep a file", response=ExpiringFile, takes_form=True, form=_FILE_FORM),
    EndpointDescription("get", "/v1/files", "List your files", response=FileList, query=_ALL_FILES),
    EndpointDescription("get", "/v1/files/{file_id}", "Show a file", response=ExpiringFile),
    EndpointDescription("delete", "/v1/files/{file_id}", "Delete a file", response=FileDeleted),
    EndpointDescription("get", "/v1/files/{file_id}/content", "Read a file", gives_bytes=True),
    EndpointDescription("post", "/v1/uploads", "Begin to send a file in parts", UploadRequest, Upload),
    EndpointDescription(
        "post", f"{_UPLOAD}/parts", "Send a part", response=UploadPart, takes_form=True, form=_PART_FORM
    ),
    EndpointDescription("post", f"{_UPLOAD}/complete", "Make the file of its parts", CompleteUploadRequest, Upload),
    EndpointDescription("post", f"{_UPLOAD}/cancel", "Give an upload up", response=Upload),
)

VECTOR_STORES = (
    EndpointDescription("post", _STORES, "Make a vector store", VectorStoreRequest, ExpiringVectorStore),
    EndpointDescription("get", _STORES, "List the vector stores you may use", response=VectorStoreList, query=_PAGE),
    EndpointDescription("get", _STORE, "Show a vector store", response=ExpiringVectorStore),
    EndpointDescription("post", _STORE, "Change a vector store", VectorStoreChangeRequest, ExpiringVectorStore),
    EndpointDescription("delete", _STORE, "Drop a vector store", response=VectorStoreDeleted),
    EndpointDescription(
        "post", f"{_STORE}/search", "Search a vector store", VectorStoreSearchRequest, VectorStoreSearchResults
    ),
    EndpointDescription("post", f"{_STORE}/files", "Add a file", VectorStoreFileRequest, VectorStoreFile),
    EndpointDescription(
        "get", f"{_STORE}/files", "List a vector store's files", response=VectorStoreFileList, query=_MEMBERS
    ),
    EndpointDescription("get", _FILE, "Show a file of a vector store", response=VectorStoreFile),
    EndpointDescription("post", _FILE, "Set a file's attributes", VectorStoreFileChangeRequest, VectorStoreFile),
    EndpointDescription("delete", _FILE, "Take a file out", response=VectorStoreFileDeleted),
    EndpointDescription(
        "get", f"{_FILE}/content", "Show the text that was read from a file", response=VectorStoreFileContent
    ),
    EndpointDescription("post", f"{_STORE}/file_batches", "Add files together", FileBatchRequest, VectorStoreFileBatch),
    EndpointDescription("get", _BATCH, "Show a batch", response=VectorStoreFileBatch),
    EndpointDescription("post", f"{_BATCH}/cancel", "Cancel a batch", response=VectorStoreFileBatch),
    EndpointDescription("get", f"{_BATCH}/files", "List a batch's files", response=VectorStoreFileList, query=_MEMBERS),
)

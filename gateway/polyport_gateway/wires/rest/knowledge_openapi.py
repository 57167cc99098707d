"""The endpoints of knowledge bases, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from polyport.types.knowledge import (
    AskRequest,
    KnowledgeAnswer,
    KnowledgeBase,
    KnowledgeBaseList,
    KnowledgeChangeList,
    KnowledgeCreateRequest,
    KnowledgeDocument,
    KnowledgeDocumentList,
    KnowledgeJob,
    KnowledgeJobList,
    KnowledgeResults,
    SearchRequest,
)
from polyport.types.knowledge_requests import (
    KnowledgeAddRequest,
    KnowledgeConfigureRequest,
    KnowledgeDeleted,
    KnowledgeDocumentUpdate,
    KnowledgeEvent,
    KnowledgeReindexRequest,
    KnowledgeRekeyed,
    KnowledgeRekeyRequest,
    KnowledgeRemoveRequest,
    KnowledgeText,
)
from polyport_gateway.wires.rest.openapi import EndpointDescription

__all__ = ["KNOWLEDGE"]

_ALL = "/v1/knowledge"
_JOB = f"{_ALL}/jobs/{{job_id}}"
_ONE = f"{_ALL}/{{name}}"
_DOCUMENTS = f"{_ONE}/documents"
_DOCUMENT = f"{_DOCUMENTS}/{{document}}"


def _endpoint(
    method: str,
    path: str,
    summary: str,
    request: type[BaseModel] | None = None,
    response: type[BaseModel] | None = None,
    **more: Any,
) -> EndpointDescription:
    return EndpointDescription(method, path, summary, request, response, group="Knowledge", **more)


KNOWLEDGE = (
    _endpoint("get", _ALL, "List your knowledge bases", None, KnowledgeBaseList),
    _endpoint("post", _ALL, "Make a knowledge base", KnowledgeCreateRequest, KnowledgeBase),
    _endpoint("post", f"{_ALL}/search", "Find passages in knowledge bases", SearchRequest, KnowledgeResults),
    _endpoint("post", f"{_ALL}/ask", "Ask knowledge bases", AskRequest, KnowledgeAnswer, stream=KnowledgeEvent),
    _endpoint("get", f"{_ALL}/jobs", "List jobs", None, KnowledgeJobList, query={"knowledge": {"type": "string"}}),
    _endpoint("get", _JOB, "Show a job", None, KnowledgeJob),
    _endpoint("get", f"{_JOB}/events", "Show a job as it goes on, until its end", stream=KnowledgeJob),
    _endpoint("post", f"{_JOB}/cancel", "Cancel a job", None, KnowledgeJob),
    _endpoint("get", _ONE, "Show a knowledge base", None, KnowledgeBase),
    _endpoint("patch", _ONE, "Change what changes at once", KnowledgeConfigureRequest, KnowledgeBase),
    _endpoint("delete", _ONE, "Remove a knowledge base with all in it", None, KnowledgeDeleted),
    _endpoint("post", f"{_ONE}/search", "Find passages in a knowledge base", SearchRequest, KnowledgeResults),
    _endpoint("post", f"{_ONE}/ask", "Ask a knowledge base", AskRequest, KnowledgeAnswer, stream=KnowledgeEvent),
    _endpoint("post", f"{_ONE}/refresh", "Look at the sources again", None, KnowledgeJob),
    _endpoint("post", f"{_ONE}/reindex", "Build everything anew", KnowledgeReindexRequest, KnowledgeJob),
    _endpoint("post", f"{_ONE}/rekey", "Make keywords otherwise", KnowledgeRekeyRequest, KnowledgeRekeyed),
    _endpoint("post", f"{_ONE}/remove", "Remove documents", KnowledgeRemoveRequest, KnowledgeDeleted),
    _endpoint(
        "get",
        f"{_ONE}/changes",
        "Show the update log, the newest first",
        None,
        KnowledgeChangeList,
        query={
            "before": {"type": "integer", "minimum": 0, "description": "Milliseconds since 1970."},
            "limit": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
        },
    ),
    _endpoint(
        "get",
        _DOCUMENTS,
        "List documents",
        None,
        KnowledgeDocumentList,
        query={
            "after": {"type": "string"},
            "limit": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
            "query": {"type": "string", "description": "What is in their titles or keys."},
        },
    ),
    _endpoint("post", _DOCUMENTS, "Add documents", KnowledgeAddRequest, KnowledgeJob, takes_form=True),
    _endpoint("get", f"{_DOCUMENT}/text", "Show a document's text", None, KnowledgeText),
    _endpoint("get", _DOCUMENT, "Show a document, by its id or its key", None, KnowledgeDocument),
    _endpoint("patch", _DOCUMENT, "Change what is said of a document", KnowledgeDocumentUpdate, KnowledgeDocument),
    _endpoint("delete", _DOCUMENT, "Remove a document", None, KnowledgeDeleted),
)

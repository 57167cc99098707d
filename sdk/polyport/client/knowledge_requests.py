"""Knowledge bases without IO: what is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel

from polyport.client.exchange import Request
from polyport.client.forms import Form, FormFile
from polyport.client.requests import Messages, checked_name, conversation, encoded, path_of
from polyport.errors import BadRequestError
from polyport.types.knowledge import (
    KnowledgeAnswer,
    KnowledgeBase,
    KnowledgeBaseList,
    KnowledgeChangeList,
    KnowledgeDocument,
    KnowledgeDocumentList,
    KnowledgeJob,
    KnowledgeJobList,
    KnowledgeResults,
    SourceError,
)
from polyport.types.knowledge_requests import KnowledgeDeleted, KnowledgeRekeyed, KnowledgeText

__all__ = [
    "BasesFound",
    "JobsFound",
    "Names",
    "add",
    "ask",
    "ask_arguments",
    "cancel",
    "changes",
    "configure",
    "create",
    "delete",
    "documents",
    "follow",
    "get",
    "get_document",
    "get_job",
    "list_bases",
    "list_jobs",
    "merged",
    "refresh",
    "reindex",
    "rekey",
    "remove",
    "search",
    "search_arguments",
    "text",
    "update",
    "with_errors",
]

Names: TypeAlias = str | Sequence[str] | None
"""A knowledge base, several, or None: those that the question concerns."""
BasesFound: TypeAlias = list[KnowledgeBase]
JobsFound: TypeAlias = list[KnowledgeJob]
Model = TypeVar("Model", bound=BaseModel)

_EVENTS = {"accept": "text/event-stream"}


def _base(name: str, *more: str) -> str:
    return path_of("knowledge", checked_name(name, "knowledge base"), *more)


def _job(job: str, *more: str) -> str:
    return path_of("knowledge", "jobs", checked_name(job, "job"), *more)


def _document(name: str, document: str, *more: str) -> str:
    return _base(name, "documents", checked_name(document, "document"), *more)


def _query(**members: Any) -> str:
    given = {name: value for name, value in members.items() if value is not None}
    return f"?{urlencode(given)}" if given else ""


def _post(path: str, answer: type[Model], body: Mapping[str, Any], *, safe: bool = True) -> Request[Model]:
    return Request("POST", path, answer.model_validate_json, body=encoded(dict(body)), safe=safe)


def create(name: str, options: Mapping[str, Any]) -> Request[KnowledgeBase]:
    """Make a knowledge base."""
    return _post("/v1/knowledge", KnowledgeBase, {"name": name, **options}, safe=False)


def list_bases() -> Request[BasesFound]:
    """Ask for the caller's knowledge bases."""
    return Request("GET", "/v1/knowledge", lambda body: KnowledgeBaseList.model_validate_json(body).data)


def get(name: str) -> Request[KnowledgeBase]:
    """Ask for one of them."""
    return Request("GET", _base(name), KnowledgeBase.model_validate_json)


def configure(name: str, changes: Mapping[str, Any]) -> Request[KnowledgeBase]:
    """Change what changes at once."""
    return Request("PATCH", _base(name), KnowledgeBase.model_validate_json, body=encoded(dict(changes)))


def delete(name: str) -> Request[KnowledgeDeleted]:
    """Remove a knowledge base with all in it."""
    return Request("DELETE", _base(name), KnowledgeDeleted.model_validate_json)


def add(
    name: str,
    files: Mapping[str, FormFile],
    urls: Sequence[str],
    *,
    metadata: Mapping[str, Any] | None,
    tags: Iterable[str],
    chunker: str | None,
) -> Request[KnowledgeJob]:
    """Add documents: files in a form that is read while it is sent, addresses in JSON."""
    if isinstance(tags, str):
        raise BadRequestError(f"tags is a list; write tags=[{tags!r}]", param="tags")
    common = {"metadata": dict(metadata or {}), "tags": list(tags), "chunker": chunker}
    body = {key: value for key, value in common.items() if value}
    path = _base(name, "documents")
    if not files:
        return _post(path, KnowledgeJob, {**body, "urls": list(urls)})
    fields = [(key, encoded(value).decode() if key != "chunker" else str(value)) for key, value in body.items()]
    fields += [("url", url) for url in urls]
    fields.append(("documents", encoded([{"key": key} for key in files]).decode()))
    form = Form(fields, files.values())
    return Request("POST", path, KnowledgeJob.model_validate_json, body=form, headers=form.headers)


def search_arguments(knowledge: Names, query: str | None) -> tuple[Names, str]:
    """Tell names from the question: with one argument it is the question, to all knowledge bases.

    Raises:
        BadRequestError: There is no question.
    """
    names, question = ask_arguments(knowledge, query)
    if not isinstance(question, str):
        raise BadRequestError(f"the query is {type(question).__name__}; a search takes a text", param="query")
    return names, question


def ask_arguments(knowledge: Names, question: Messages | None) -> tuple[Names, Messages]:
    """Tell names from the question or conversation.

    Raises:
        BadRequestError: There is none.
    """
    if question is not None:
        return knowledge, question
    if not isinstance(knowledge, str):
        raise BadRequestError("There is no question: give it after the knowledge bases' names", param="query")
    return None, knowledge


def search(knowledge: Names, query: str, options: Mapping[str, Any]) -> Request[KnowledgeResults]:
    """Find passages."""
    return _post("/v1/knowledge/search", KnowledgeResults, {"query": query, **_names(knowledge), **options})


def ask(
    knowledge: Names, question: Messages, options: Mapping[str, Any], *, stream: bool = False
) -> Request[KnowledgeAnswer]:
    """Ask a question, or the last one of a conversation."""
    asked = {"query": question} if isinstance(question, str) else {"messages": conversation(question)}
    body = {**asked, **_names(knowledge), **options, **({"stream": True} if stream else {})}
    return Request(
        "POST",
        "/v1/knowledge/ask",
        KnowledgeAnswer.model_validate_json,
        body=encoded(body),
        headers=_EVENTS if stream else {},
    )


def _names(knowledge: Names) -> dict[str, Any]:
    if knowledge is None:
        return {}
    return {"knowledge": knowledge if isinstance(knowledge, str) else list(knowledge)}


def documents(name: str, *, after: str | None, limit: int | None, query: str | None) -> Request[KnowledgeDocumentList]:
    """Ask for a page of a base's documents."""
    path = _base(name, "documents") + _query(after=after, limit=limit, query=query)
    return Request("GET", path, KnowledgeDocumentList.model_validate_json)


def get_document(name: str, document: str) -> Request[KnowledgeDocument]:
    """Ask for one of them."""
    return Request("GET", _document(name, document), KnowledgeDocument.model_validate_json)


def text(name: str, document: str) -> Request[KnowledgeText]:
    """Ask for its text."""
    return Request("GET", _document(name, document, "text"), KnowledgeText.model_validate_json)


def update(name: str, document: str, changes: Mapping[str, Any]) -> Request[KnowledgeDocument]:
    """Change what is said of a document."""
    return Request(
        "PATCH", _document(name, document), KnowledgeDocument.model_validate_json, body=encoded(dict(changes))
    )


def remove(name: str, documents: Sequence[str]) -> Request[KnowledgeDeleted]:
    """Remove documents."""
    if not documents:
        raise BadRequestError("There is no document to remove; client.knowledge.delete removes a whole base")
    return _post(_base(name, "remove"), KnowledgeDeleted, {"documents": list(documents)})


def refresh(name: str) -> Request[KnowledgeJob]:
    """Have the sources looked at again."""
    return _post(_base(name, "refresh"), KnowledgeJob, {})


def reindex(name: str, changes: Mapping[str, Any]) -> Request[KnowledgeJob]:
    """Have everything built anew, beside what serves."""
    return _post(_base(name, "reindex"), KnowledgeJob, changes)


def rekey(name: str, changes: Mapping[str, Any]) -> Request[KnowledgeRekeyed]:
    """Have keywords made by another function, or another version."""
    return _post(_base(name, "rekey"), KnowledgeRekeyed, changes, safe=False)


def list_jobs(name: str | None) -> Request[JobsFound]:
    """Ask for jobs, of a base or of all."""
    path = "/v1/knowledge/jobs" + _query(knowledge=name)
    return Request("GET", path, lambda body: KnowledgeJobList.model_validate_json(body).data)


def get_job(job: str) -> Request[KnowledgeJob]:
    """Ask for one of them."""
    return Request("GET", _job(job), KnowledgeJob.model_validate_json)


def follow(job: str) -> Request[KnowledgeJob]:
    """Ask for a job's events."""
    return Request("GET", _job(job, "events"), KnowledgeJob.model_validate_json, headers=_EVENTS)


def cancel(job: str) -> Request[KnowledgeJob]:
    """Cancel one."""
    return _post(_job(job, "cancel"), KnowledgeJob, {})


def changes(name: str, *, before: int | None, limit: int | None) -> Request[KnowledgeChangeList]:
    """Ask for a base's update log."""
    path = _base(name, "changes") + _query(before=before, limit=limit)
    return Request("GET", path, KnowledgeChangeList.model_validate_json)


def merged(jobs: Sequence[KnowledgeJob]) -> KnowledgeJob:
    """Return several jobs of one base as one: the last one's id, all their figures.

    >>> one = KnowledgeJob(id="a", knowledge="b", kind="ingest", status="completed", added=1)
    >>> merged([one, one.model_copy(update={"id": "c", "status": "running"})]).added
    2
    """
    last = jobs[-1]
    if len(jobs) == 1:
        return last
    states = {job.status for job in jobs}
    status = next((s for s in ("failed", "cancelled", "running", "queued") if s in states), "completed")
    if {"queued", "running"} & states:
        status = "running"
    figures = {
        name: sum(getattr(job, name) for job in jobs)
        for name in ("done", "added", "updated", "unchanged", "removed", "failed")
    }
    totals = [job.total for job in jobs]
    return last.model_copy(
        update={
            **figures,
            "status": status,
            "total": None if None in totals else sum(total or 0 for total in totals),
            "message": next((job.message for job in jobs if job.status == "running"), last.message),
            "error": next((job.error for job in jobs if job.error), None),
            "errors": [error for job in jobs for error in job.errors],
            "created_at": jobs[0].created_at,
            "started_at": jobs[0].started_at,
        }
    )


def with_errors(job: KnowledgeJob, errors: Sequence[SourceError]) -> KnowledgeJob:
    """Return a job with what could not even be sent."""
    if not errors:
        return job
    return job.model_copy(update={"failed": job.failed + len(errors), "errors": [*errors, *job.errors]})

"""``polyport kb ls``, ``show``, ``jobs`` and ``log``."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import typer

from polyport.errors import NotFoundError
from polyport_gateway.cli.answer import note
from polyport_gateway.cli.docs.show import fit, on_one_line, write_text
from polyport_gateway.cli.kb.display import amount, sizes, summary, when
from polyport_gateway.cli.kb.target import Target, work
from polyport_gateway.cli.kb.waiting import end_with, follow
from polyport_gateway.cli.output import is_terminal, print_json, print_table, style

if TYPE_CHECKING:
    from polyport.client import AsyncClient
    from polyport.types.knowledge import KnowledgeBase, KnowledgeDocument, KnowledgeJob

__all__ = ["list_bases", "list_documents", "show_base", "show_document", "show_jobs", "show_log"]

_PAGE = 500
_LABEL = 12


def list_bases(target: Target, *, as_json: bool) -> None:
    """List knowledge bases."""
    found = work(target, lambda client: client.knowledge.list())
    if as_json:
        print_json([base.model_dump(mode="json") for base in found])
        return
    if not found and is_terminal():
        typer.echo("There are no knowledge bases. Make one with: polyport kb create NAME")
        return
    rows = [
        (
            base.name,
            f"{base.documents:,}",
            f"{base.chunks:,}",
            base.mode,
            base.state + (f", {base.failed:,} failed" if base.failed else ""),
            on_one_line(base.description or ""),
        )
        for base in found
    ]
    print_table(("NAME", "DOCUMENTS", "CHUNKS", "SEARCHED BY", "STATE", "ABOUT"), rows)


async def all_documents(
    client: AsyncClient, name: str, *, query: str | None = None, limit: int | None = None, failed: bool = False
) -> list[KnowledgeDocument]:
    """Return a base's documents, page by page."""
    found: list[KnowledgeDocument] = []
    after: str | None = None
    while limit is None or len(found) < limit:
        page = await client.knowledge.documents(name, after=after, limit=_PAGE, query=query)
        found += [one for one in page.data if not failed or one.status == "failed"]
        after = page.next
        if not page.has_more or after is None:
            break
    return found[:limit]


def list_documents(
    target: Target, name: str, *, query: str | None, limit: int | None, failed: bool, as_json: bool
) -> None:
    """List a base's documents."""
    found = work(target, lambda client: all_documents(client, name, query=query, limit=limit, failed=failed))
    if as_json:
        for document in found:
            typer.echo(json.dumps(document.model_dump(mode="json"), ensure_ascii=False))
        return
    rows = [
        (
            on_one_line(document.source),
            on_one_line(document.title),
            str(document.pages or ""),
            f"{document.chunks:,}",
            sizes(document.bytes),
            when(document.updated_at),
            fit(document.error or "") if document.status == "failed" else ", ".join(map(on_one_line, document.tags)),
        )
        for document in found
    ]
    print_table(("DOCUMENT", "TITLE", "PAGES", "CHUNKS", "SIZE", "UPDATED", "TAGS OR ERROR"), rows)
    if limit is not None and len(found) == limit:
        note(f"the first {limit}; --limit lists more")


def show_base(target: Target, name: str, *, as_json: bool) -> None:
    """Show a base."""
    base = work(target, lambda client: client.knowledge.get(name))
    if as_json:
        print_json(base.model_dump(mode="json"))
        return
    typer.echo(style(base.name, bold=True))
    _show(_base_lines(base))


def _base_lines(base: KnowledgeBase) -> dict[str, str]:
    keywords = base.keywords
    behind = f", {amount(keywords.behind, 'document')} behind" if keywords.behind else ""
    return {
        "about": base.description or "",
        "state": base.state + (f": {base.error}" if base.error else ""),
        "documents": f"{base.documents:,}" + (f", {base.failed:,} failed" if base.failed else ""),
        "chunks": f"{base.chunks:,}" + (f", {sizes(base.bytes)}" if base.bytes else ""),
        "searched by": base.mode,
        "sources": ", ".join(base.sources) + (" (watched)" if base.watch else ""),
        "embedders": ", ".join(base.embedders),
        "reranker": base.reranker or "",
        "answers by": base.model or "sentences of the documents",
        "chunker": base.chunker or "chosen by document",
        "index": base.index,
        "fields": ", ".join(f"{field} ({kind})" for field, kind in (base.fields or {}).items()),
        "keywords": f"{keywords.function or 'built in'}, version {keywords.version}{behind}",
        "made": when(base.created_at) + (" by the app" if base.declared else ""),
        "changed": when(base.updated_at),
    }


def show_document(target: Target, name: str, document: str, *, text: bool, as_json: bool) -> None:
    """Show a document, or its text."""

    async def run(client: AsyncClient) -> tuple[KnowledgeDocument, str | None]:
        found = await client.knowledge.document(name, document)
        return found, await client.knowledge.text(name, found.id) if text else None

    found, content = work(target, run)
    if as_json:
        print_json({**found.model_dump(mode="json"), **({} if content is None else {"text": content})})
    elif content is not None:
        write_text(content)
    else:
        typer.echo(style(on_one_line(found.title), bold=True))
        _show(_document_lines(found))


def _document_lines(document: KnowledgeDocument) -> dict[str, str]:
    return {
        "id": document.id,
        "known by": document.source,
        "status": document.status + (f": {document.error}" if document.error else ""),
        "format": " ".join(filter(None, (document.format, document.language))),
        "size": sizes(document.bytes) + (f", {amount(document.pages, 'page')}" if document.pages else ""),
        "chunks": f"{document.chunks:,}",
        "metadata": json.dumps(document.metadata, ensure_ascii=False) if document.metadata else "",
        "tags": ", ".join(document.tags),
        "keywords": ", ".join(document.keywords),
        "added": when(document.added_at),
        "updated": f"{when(document.updated_at)} (version {document.version})",
    }


def _show(lines: dict[str, str]) -> None:
    for name, value in lines.items():
        if value:
            typer.echo(f"  {style(f'{name:<{_LABEL}}', fg='cyan')}{on_one_line(value)}")


def show_jobs(target: Target, which: str | None, *, cancel: bool, as_json: bool) -> None:
    """List jobs, of a base or of all; or follow one to its end, or cancel it."""
    began = time.monotonic()

    async def run(client: AsyncClient) -> KnowledgeJob | list[KnowledgeJob]:
        if which is None:
            return await client.knowledge.jobs()
        try:
            job = await client.knowledge.job(which)
        except NotFoundError:
            if cancel:
                raise
            return await client.knowledge.jobs(which)
        if cancel:
            return await client.knowledge.cancel(job.id)
        return job if job.finished else await follow(client, job)

    found = work(target, run, settled=False)
    if not isinstance(found, list):
        if cancel and not as_json:
            typer.echo(f"{found.id}: {summary(found)}")
        else:
            end_with(found, began=began, as_json=as_json)
        return
    if as_json:
        print_json([job.model_dump(mode="json") for job in found])
        return
    rows = [
        (
            job.id,
            job.knowledge,
            job.kind,
            job.status,
            f"{job.done:,}" + ("" if job.total is None else f" of {job.total:,}"),
            when(job.created_at),
            fit(job.error or "") or summary(job),
        )
        for job in found
    ]
    print_table(("JOB", "KNOWLEDGE", "KIND", "STATUS", "DONE", "BEGUN", "RESULT"), rows)


def show_log(target: Target, name: str, *, limit: int, as_json: bool) -> None:
    """Show a base's update log, the newest first."""
    page = work(target, lambda client: client.knowledge.changes(name, limit=limit), settled=False)
    if as_json:
        for change in page.data:
            typer.echo(json.dumps(change.model_dump(mode="json"), ensure_ascii=False))
        return
    rows = [
        (
            when(change.at / 1000),
            change.action,
            on_one_line(change.source or change.document or ""),
            change.by or "",
            change.job or "",
            _details(change.details),
        )
        for change in page.data
    ]
    print_table(("AT", "WHAT", "DOCUMENT", "BY", "JOB", "DETAILS"), rows)


def _details(details: dict[str, Any]) -> str:
    return on_one_line(json.dumps(details, ensure_ascii=False)) if details else ""

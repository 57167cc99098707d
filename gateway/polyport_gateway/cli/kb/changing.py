"""``polyport kb create``, ``rm``, ``refresh``, ``reindex`` and ``rekey``."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import typer

from polyport.errors import ConfigurationError, NotFoundError
from polyport_gateway.cli.answer import note
from polyport_gateway.cli.docs.show import on_one_line
from polyport_gateway.cli.kb.display import amount
from polyport_gateway.cli.kb.listing import all_documents
from polyport_gateway.cli.kb.target import Target, work
from polyport_gateway.cli.kb.waiting import end_with, follow
from polyport_gateway.cli.output import print_json

if TYPE_CHECKING:
    from polyport.client import AsyncClient
    from polyport.types.knowledge import KnowledgeDocument, KnowledgeJob

__all__ = ["create_base", "fields_of", "refresh_base", "reindex_base", "rekey_base", "remove"]

_FIELD_TYPES = ("keyword", "integer", "float", "bool", "datetime")
_MOST_LISTED = 20
_AT_ONCE = 1000


def fields_of(words: Sequence[str]) -> dict[str, Any] | None:
    """Return fields and their types as ``name=type`` words say; None without any.

    Raises:
        ConfigurationError: One of them says something else.
    """
    found = {}
    for word in words:
        name, mark, kind = word.partition("=")
        if not name or not mark or kind not in _FIELD_TYPES:
            raise ConfigurationError(f"--field takes NAME=TYPE with one of {', '.join(_FIELD_TYPES)}, not {word!r}")
        found[name] = kind
    return found or None


def create_base(target: Target, name: str, options: Mapping[str, Any], *, as_json: bool) -> None:
    """Make a base, and wait until its sources are in it."""
    began = time.monotonic()

    async def run(client: AsyncClient) -> tuple[Any, KnowledgeJob | None]:
        base = await client.knowledge.create(name, **options)
        jobs = await client.knowledge.jobs(name) if base.sources else []
        job = await follow(client, jobs[0]) if jobs else None
        return (await client.knowledge.get(name) if job else base), job

    base, job = work(target, run)
    if as_json:
        print_json(base.model_dump(mode="json"))
        return
    typer.echo(f"{name}: made, searched by {base.mode}")
    if job is not None:
        end_with(job, began=began, as_json=False)


def refresh_base(target: Target, name: str, *, wait: bool, as_json: bool) -> None:
    """Look at a base's sources again."""

    async def begin(client: AsyncClient) -> KnowledgeJob:
        return await client.knowledge.refresh(name)

    _job(target, begin, wait=wait, as_json=as_json)


def reindex_base(target: Target, name: str, changes: Mapping[str, Any], *, wait: bool, as_json: bool) -> None:
    """Build a base anew."""

    async def begin(client: AsyncClient) -> KnowledgeJob:
        return await client.knowledge.reindex(name, **changes)

    _job(target, begin, wait=wait, as_json=as_json)


def rekey_base(target: Target, name: str, changes: Mapping[str, Any], *, wait: bool, as_json: bool) -> None:
    """Make keywords otherwise."""

    async def begin(client: AsyncClient) -> KnowledgeJob | None:
        rekeyed = await client.knowledge.rekey(name, **changes)
        if rekeyed.job is None and not as_json:
            version = rekeyed.keywords.version
            note(f"Keywords are of version {version} from now on; documents keep theirs until they change.")
        if rekeyed.job is None and as_json:
            print_json(rekeyed.model_dump(mode="json"))
        return rekeyed.job

    _job(target, begin, wait=wait, as_json=as_json)


def _job(target: Target, begin: Any, *, wait: bool, as_json: bool) -> None:
    began = time.monotonic()

    async def run(client: AsyncClient) -> KnowledgeJob | None:
        job: KnowledgeJob | None = await begin(client)
        return await follow(client, job) if wait and job is not None else job

    job = work(target, run)
    if job is None:
        return
    if wait:
        end_with(job, began=began, as_json=as_json)
    elif as_json:
        print_json(job.model_dump(mode="json"))
    else:
        note(f"The job {job.id} goes on; polyport kb jobs {job.id} follows it.")


def remove(target: Target, name: str, documents: Sequence[str], *, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Remove documents, or a whole base; asks first.

    Raises:
        ConfigurationError: Nobody is there to be asked.
    """
    found = work(target, lambda client: _named(client, name, documents))
    count = amount(len(found), "document")
    if dry_run:
        for document in found if documents else ():
            typer.echo(on_one_line(document.source))
        note(f"{count} of {name} would be removed" if documents else f"{name} would be removed, with {count}")
        return
    if not yes:
        _confirm(found if documents else [], f"{count} of {name}" if documents else f"{name}, with {count}")
    gone = work(target, lambda client: _removed(client, name, found if documents else None))
    if as_json:
        print_json({"knowledge": name, "documents": len(found) if gone is None else gone, "base": gone is None})
    elif gone is None:
        typer.echo(f"{name}: removed, with {count}")
    else:
        typer.echo(f"{name}: {amount(gone, 'document')} removed")


async def _removed(client: AsyncClient, name: str, documents: Sequence[KnowledgeDocument] | None) -> int | None:
    """Remove documents and return how many there were; or, where it is None, the base."""
    if documents is None:
        await client.knowledge.delete(name)
        return None
    gone = 0
    for start in range(0, len(documents), _AT_ONCE):
        part = documents[start : start + _AT_ONCE]
        gone += len((await client.knowledge.remove(name, *(document.id for document in part))).documents or ())
    return gone


async def _named(client: AsyncClient, name: str, documents: Sequence[str]) -> list[KnowledgeDocument]:
    """Return the documents that words name: by id, by key, or by a pattern such as ``docs/*.md``."""
    found: dict[str, KnowledgeDocument] = {}
    patterns = [word for word in documents if any(mark in word for mark in "*?[")]
    for word in documents:
        if word not in patterns:
            document = await client.knowledge.document(name, word)
            found[document.id] = document
    if patterns or not documents:
        for document in await all_documents(client, name):
            if not documents or any(fnmatchcase(document.source, pattern) for pattern in patterns):
                found[document.id] = document
    if documents and not found:
        raise NotFoundError(f"{name!r} has no document like {' or '.join(patterns)}")
    return list(found.values())


def _confirm(documents: Sequence[KnowledgeDocument], what: str) -> None:
    if not sys.stdin.isatty():
        raise ConfigurationError("nobody can be asked whether to remove it: add --yes")
    for document in documents[:_MOST_LISTED]:
        typer.echo(f"  {on_one_line(document.source)}", err=True)
    if len(documents) > _MOST_LISTED:
        typer.echo(f"  … and {len(documents) - _MOST_LISTED:,} more", err=True)
    typer.confirm(f"Remove {what}?", abort=True, err=True)

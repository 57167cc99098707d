"""``polyport kb add``."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from polyport.client.sources import Found, find_sources
from polyport.errors import ConfigurationError, NotFoundError
from polyport_gateway.cli.answer import note
from polyport_gateway.cli.docs.show import on_one_line
from polyport_gateway.cli.kb.display import amount
from polyport_gateway.cli.kb.target import Target, work
from polyport_gateway.cli.kb.waiting import JobLine, end_with
from polyport_gateway.cli.output import print_json, print_table

if TYPE_CHECKING:
    from polyport.client import AsyncClient
    from polyport.client.sources import Source
    from polyport.types.knowledge import KnowledgeDocument, KnowledgeJob

__all__ = ["Adding", "add_documents", "pairs"]

_MOST_RECEIPTS = 200
_RECEIPTS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Adding:
    """What to add, and how.

    Attributes:
        name: The knowledge base.
        places: Paths, addresses, or ``-`` for standard input.
        metadata: ``key=value`` words.
        tags: Of all of them.
        key: What the one document is known by.
        chunker: Instead of the base's own.
        hidden: Whether hidden files of folders are taken.
        create: Whether to make the base where there is none.
        wait: Whether to wait for the job's end.
        receipts: Whether to list what came of each document.
        as_json: Whether to print JSON.
    """

    name: str
    places: Sequence[str]
    metadata: Sequence[str]
    tags: Sequence[str]
    key: str | None
    chunker: str | None
    hidden: bool
    create: bool
    wait: bool
    receipts: bool
    as_json: bool


def pairs(words: Sequence[str], option: str) -> dict[str, Any]:
    """Return what ``key=value`` words say: numbers, true and false as such, after ``:=`` any JSON, all else as text.

    >>> pairs(["year=2025", "team=support", "codes:=[7]", "open=true"], "--meta")
    {'year': 2025, 'team': 'support', 'codes': [7], 'open': True}

    Raises:
        ConfigurationError: One of them is none.
    """
    found: dict[str, Any] = {}
    for word in words:
        key, mark, text = word.partition("=")
        exact = key.endswith(":")
        key = key.removesuffix(":").strip()
        if not mark or not key:
            raise ConfigurationError(f"{option} takes KEY=VALUE, not {word!r}")
        try:
            value = json.loads(text)
        except ValueError:
            if exact:
                raise ConfigurationError(f"{option} {word!r}: after := comes JSON") from None
            value = text
        # Whatever else JSON has is meant as text unless := says so: [draft], null, "quoted".
        found[key] = value if exact or isinstance(value, bool | int | float) else text
    return found


def add_documents(target: Target, adding: Adding) -> None:
    """Send documents, show how far they are, and say what came of them."""
    began = time.monotonic()
    metadata = pairs(adding.metadata, "--meta")
    sources, found = _sources(adding)

    async def run(client: AsyncClient) -> KnowledgeJob:
        if adding.create:
            await _ensure(client, adding.name)
        with JobLine() as line:
            line.sending(len(found.files), sum(file.size for file in found.files.values()))
            job = await client.knowledge.add(
                adding.name,
                *sources,
                key=adding.key,
                metadata=metadata,
                tags=adding.tags,
                chunker=adding.chunker,
                hidden=adding.hidden,
                wait=adding.wait,
                on_progress=line.show,
            )
        if adding.receipts and adding.wait and not adding.as_json:
            await _show_receipts(client, adding, [*found.files, *found.urls])
        return job

    job = work(target, run)
    if adding.wait:
        end_with(job, began=began, as_json=adding.as_json)
    elif adding.as_json:
        print_json(job.model_dump(mode="json"))
    else:
        note(f"The job {job.id} goes on; polyport kb jobs {job.id} follows it.")


def _sources(adding: Adding) -> tuple[list[Source], Found]:
    """Return what is named, standard input among it, and what of it is files; say what is left out."""
    sources: list[Source] = [sys.stdin.buffer if place == "-" else place for place in adding.places]
    if sys.stdin.buffer in sources:
        if adding.key is None:
            raise ConfigurationError("standard input has no name: say what it is known by, with --key")
        return sources, Found()
    found = find_sources(sources, key=adding.key, hidden=adding.hidden)
    if found.hidden:
        note(f"{amount(found.hidden, 'hidden file or folder')} left out; --hidden takes them")
    if found.special:
        note(f"{amount(found.special, 'special file')} left out")
    return sources, found


async def _ensure(client: AsyncClient, name: str) -> None:
    try:
        await client.knowledge.get(name)
    except NotFoundError:
        await client.knowledge.create(name)
        note(f"The knowledge base {on_one_line(name)} is made.")


async def _show_receipts(client: AsyncClient, adding: Adding, sent: Sequence[str]) -> None:
    """List what came of each document that was sent."""
    keys = sent or [adding.key or ""]
    at_once = asyncio.Semaphore(_RECEIPTS_AT_ONCE)

    async def one(key: str) -> Sequence[str] | None:
        async with at_once:
            try:
                return _receipt_row(await client.knowledge.document(adding.name, key))
            except NotFoundError:
                return None

    rows = await asyncio.gather(*(one(key) for key in keys[:_MOST_RECEIPTS]))
    print_table(
        ("DOCUMENT", "STATUS", "FORMAT", "PAGES", "CHUNKS", "LANGUAGE", "LEFT OUT"), [row for row in rows if row]
    )
    if len(keys) > _MOST_RECEIPTS:
        note(f"the first {_MOST_RECEIPTS} of {len(keys):,}; polyport kb ls lists all")


def _receipt_row(document: KnowledgeDocument) -> Sequence[str]:
    skipped = (document.receipt or {}).get("skipped") or ()
    return (
        on_one_line(document.source),
        document.status,
        document.format or "",
        str(document.pages or ""),
        str(document.chunks),
        document.language or "",
        amount(len(skipped), "part") if skipped else "",
    )

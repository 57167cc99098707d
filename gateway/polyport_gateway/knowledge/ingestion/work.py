"""What all jobs on a base need of the gateway, and how they build batch by batch."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from polyport.errors import (
    BadRequestError,
    CallError,
    ConfigurationError,
    ConflictError,
    ServiceUnavailableError,
)
from polyport_gateway.knowledge.catalogue import Catalogue, DocumentRow, Failure, Garbage, NewDocument
from polyport_gateway.knowledge.embedding.models import is_passing

from .build import Builder, Draft, IndexOf, Target, clear
from .keywords import BuiltInKeywords, KeywordMaker
from .parsed import Parse, ParsedDocuments
from .report import Report
from .sources import Problem

__all__ = ["Built", "Job", "TargetOf", "Work"]

TargetOf: TypeAlias = Callable[[int | None], Target]
"""Returns what is built: a generation, or for None the one that is searched now."""

_log = logging.getLogger("polyport.knowledge")

_TRIES = 5
_CLEAR_EVERY = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One base, and what works on it.

    Args:
        base: Its number.
        catalogue: Where its documents are kept.
        parsed: Where they are kept as they were read.
        target: Says what is built.
        index_of: Finds the index that garbage lies in.
        parse: Reads a file.
        keywords: Make keywords.
        keywords_version: Of what makes them.
        metadata: Of every document, below what it says itself.
        tags: Of every document.
        readers: How many files are read at a time.
        writing: Held while an index is cleared.
    """

    base: int
    catalogue: Catalogue
    parsed: ParsedDocuments
    target: TargetOf
    index_of: IndexOf
    parse: Parse
    keywords: KeywordMaker = field(default_factory=BuiltInKeywords)
    keywords_version: int = 1
    metadata: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    readers: int = 2
    writing: Callable[[Garbage], AbstractContextManager[Any]] | None = None


@dataclass(frozen=True, slots=True)
class Built:
    """What became of a draft.

    Args:
        document: As it is now; None where it was not built.
        overtaken: Whether others changed it meanwhile; where not, it failed or was removed, which is told.
    """

    document: DocumentRow | None = None
    overtaken: bool = False


class Job:
    """One job while it runs: batches are built into what is searched at that moment, whatever switches meanwhile.

    Args:
        work: The base.
        report: Told what is done.
        id: Of the job, for the update log.
        by: The id of the key that asked for it.
        generation: That is built; None for the one that is searched.
    """

    def __init__(
        self,
        work: Work,
        report: Report,
        *,
        id: str | None = None,  # noqa: A002
        by: str | None = None,
        generation: int | None = None,
    ) -> None:
        self.work, self.report = work, report
        self.id, self.by = id, by
        self._generation = generation
        self._builder: Builder | None = None
        self._lock = threading.Lock()
        self._batches = 0

    @property
    def target(self) -> Target:
        """What is built now."""
        return self._building().target

    def _building(self, instead_of: Builder | None = None) -> Builder:
        with self._lock:
            if self._builder is None or self._builder is instead_of:
                target = self.work.target(self._generation)
                _check(target)
                self._builder = Builder(self.work.catalogue, target)
            return self._builder

    def build(self, drafts: Sequence[Draft], *, action: str | None = None) -> list[Built]:
        """Build documents; a batch that fails for one document is built one by one.

        Raises:
            ServiceUnavailableError: A model, the index or the database can't be used now: the job may be done later.
            CallError: A model fails for all of them.
        """
        try:
            rows = self._build(drafts, action)
        except CallError as error:
            if isinstance(error, ServiceUnavailableError) or not is_passing(error):
                raise
            raise ServiceUnavailableError(error.message, code=error.code, retry_after=error.retry_after) from error
        with self._lock:
            self._batches += 1
            due = self._batches % _CLEAR_EVERY == 0
        if due:
            self.clear()
        return rows

    def _build(self, drafts: Sequence[Draft], action: str | None) -> list[Built]:
        builder = self._building()
        for _ in range(_TRIES):
            try:
                rows = builder.build(drafts, job=self.id, by=self.by, action=action)
                return [Built(row, row is None) for row in rows]
            except ConflictError:
                now = self._building(builder)
                if now.target.generation != builder.target.generation:
                    # Another one is searched by now: the documents are cut and embedded for that.
                    builder = now
                    continue
                if len(drafts) == 1:
                    return [Built(overtaken=True)]
            except BadRequestError as error:
                if len(drafts) == 1:
                    self.fail(drafts[0].item, error)
                    return [Built()]
            return [self._build([draft], action)[0] for draft in drafts]
        raise ConflictError("The base is switched to another generation again and again; try once more.")

    def fail(self, item: NewDocument | DocumentRow, error: CallError) -> None:
        """Write down that a document could not be built."""
        self.report.problem(Problem.of(item.key, error))
        self.report.count(failed=1)
        failure = Failure(
            key=item.key,
            error=error.message,
            sha256=item.sha256,
            bytes=item.bytes,
            title=item.title,
            format=item.format,
            receipt=item.receipt,
        )
        self.work.catalogue.record_failure(self.work.base, failure, job=self.id, by=self.by)

    def clear(self) -> int:
        """Clear away what nothing needs any more, wherever it is from."""
        try:
            return clear(self.work.catalogue, self.work.index_of, writing=self.work.writing)
        except CallError as error:
            # It is only tidying up, and done again.
            _log.warning("garbage of knowledge bases could not be cleared away: %s", error)
            return 0


def _check(target: Target) -> None:
    """Ask each embedder for the size of its vectors: what does not fit the index would fail for every document.

    Raises:
        ConfigurationError: A model was replaced by one of another size.
        CallError: A model fails.
    """
    for name, embedder in target.embedders.items():
        given, held = embedder.probe(), target.index.schema.vectors.get(name)
        if held is not None and given != held:
            raise ConfigurationError(
                f"{name!r} gives vectors of {given} dimensions, and the index holds {held}: its model has changed. "
                "Reindex the knowledge base, or configure the former model."
            )

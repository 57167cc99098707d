"""Bring a base up to what its sources have: new and changed files are taken in, and those that are gone removed."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from polyport.errors import (
    CallCancelledError,
    CallError,
    DeadlineExceededError,
    InternalServerError,
    PolyportError,
    ServiceUnavailableError,
)
from polyport_gateway.knowledge.catalogue import DocumentRow, Failure, NewDocument
from polyport_gateway.knowledge.documents import Document, Parsed

from .build import Draft
from .cutting import CHUNKER, EXTRA_KEYWORDS, cut, extra_keywords, own_chunker, title_of
from .pipeline import Found, Gone, Outcome, Pipeline, Unchanged
from .report import Report
from .sources import UPLOADS, Item, Listing, Loaded, Origin, Problem, Source
from .work import Job, Work

__all__ = ["SAID", "ingest", "origin_of"]

_log = logging.getLogger("polyport.knowledge")

_PAGE = 1000
_ROUNDS = 3
_ORIGIN = "origin"
SAID = "said"
"""The member of a receipt with what people have said of a document: its title, metadata, tags."""
_PASSING = (ServiceUnavailableError, DeadlineExceededError)
_PASSING_CODES = ("being_written", "upstream_error")


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a document: enough to see whether it has changed, for a base of a million."""

    id: int
    key: str
    sha256: str
    failed_sha256: str | None
    error: str | None
    ready: bool
    parsed: str | None
    origin: Origin | None

    @classmethod
    def of(cls, row: DocumentRow) -> _Known:
        origin = origin_of(row)
        return cls(row.id, row.key, row.sha256, row.failed_sha256, row.error, row.version > 0, row.parsed, origin)


def origin_of(row: DocumentRow) -> Origin | None:
    """Return where a document is from."""
    return Origin.load((row.receipt or {}).get(_ORIGIN))


def ingest(
    work: Work,
    sources: Sequence[Source],
    report: Report,
    *,
    job: str | None = None,
    by: str | None = None,
    whole: bool = False,
    force: bool = False,
) -> None:
    """Take in what sources have.

    It may be killed at any moment and begun again: what is done is found unchanged.

    Args:
        work: The base.
        sources: What to look at.
        report: Told what is done.
        job: The job's id, for the update log.
        by: The id of the key that asked for it.
        whole: Whether these are all sources of the base, so that what came from any other folder or page is removed.
        force: Read all files again, whether or not they have changed.

    Raises:
        CallError: A model, the index or the database fails; a single file is told in the report instead.
        CallCancelledError: The report says to stop.
    """
    _Ingest(work, report, Job(work, report, id=job, by=by), force=force).run(sources, whole=whole)


class _Ingest:
    def __init__(self, work: Work, report: Report, job: Job, *, force: bool) -> None:
        self._work, self._report, self._job, self._force = work, report, job, force
        self._known: Mapping[str, _Known] = {}
        self._roots: dict[str, str | None] = {}
        self._origins: dict[int, Origin] = {}
        """What has been learned of files that have not changed, so that the next look at them is a shorter one."""

    def run(self, sources: Sequence[Source], *, whole: bool) -> None:
        report = self._report
        report.say("looking at the sources")
        self._known = self._look_up(sources)
        listings = [(source, listing) for source in sources if (listing := self._list(source)) is not None]
        items = self._items(listings)
        report.expect(len(items))
        report.say("taking in files")
        items = self._changed(items)
        for _ in range(_ROUNDS):
            items = Pipeline(self._job, self._prepare, self._is_new).run(items)
            if not items:
                break
            self._known = {**self._known, **self._find([item.key for _, item in items])}
        for _, item in items:
            report.problem(Problem(item.key, "It was changed by others meanwhile, again and again.", "overtaken"))
        self._remove(sources, listings, whole=whole)
        self._keep_origins()
        report.say("clearing away")
        self._job.clear()
        report.flush()

    def _look_up(self, sources: Sequence[Source]) -> dict[str, _Known]:
        """Return what is known of all documents; of some uploads alone, what is known of those."""
        if all(source.label == UPLOADS for source in sources):
            return self._find([item.key for source in sources for item in source.list().items])
        known: dict[str, _Known] = {}
        after: str | None = None
        while True:
            page = self._work.catalogue.documents(self._work.base, after=after, limit=_PAGE, count=False)
            known |= {row.key: _Known.of(row) for row in page.rows}
            after = page.next
            if after is None:
                return known
            self._report.check()

    def _find(self, keys: Sequence[str]) -> dict[str, _Known]:
        return {key: _Known.of(row) for key, row in self._work.catalogue.find(self._work.base, keys).items()}

    def _list(self, source: Source) -> Listing | None:
        self._report.check()
        origins = [known.origin for known in self._known.values() if known.origin is not None]
        try:
            listing = source.list(origin for origin in origins if origin.source == source.label)
        except CallError as error:
            self._report.problem(Problem.of(source.label, error))
            self._report.count(failed=1)
            return None
        for problem in listing.problems:
            self._report.problem(problem)
        if listing.note is not None:
            self._report.note(listing.note)
        self._roots[source.label] = listing.root
        return listing

    def _items(self, listings: Sequence[tuple[Source, Listing]]) -> list[Found]:
        found: dict[str, Found] = {}
        for source, listing in listings:
            for item in listing.items:
                found.setdefault(item.key, (source.label, item))
        return list(found.values())

    def _changed(self, items: Sequence[Found]) -> list[Found]:
        """Return what has to be looked at more closely: of a folder that has not changed, nothing."""
        left: list[Found] = []
        for label, item in items:
            known = self._known.get(item.key)
            stamp = self._stamp(known)
            if stamp is None or stamp != item.stamp or item.metadata or item.tags:
                left.append((label, item))
            else:
                self._unchanged(known, item, Origin(label, stamp, self._roots.get(label)))
        self._report.count(done=len(items) - len(left), unchanged=len(items) - len(left))
        return left

    def _is_whole(self, known: _Known | None) -> bool:
        return known is not None and known.ready and not self._force and self._work.parsed.has(known.parsed)

    def _stamp(self, known: _Known | None) -> str | None:
        """Return what a file's stamp was; None where it is to be read whatever that is."""
        if known is None or known.origin is None or known.origin.stamp is None or not self._is_whole(known):
            return None
        return known.origin.stamp

    def _prepare(self, label: str, item: Item) -> Outcome:
        """Read a file, if it has changed; called from the threads of the readers."""
        known = self._known.get(item.key)
        whole, stamp = self._is_whole(known), self._stamp(known)
        if stamp is not None and stamp == item.stamp:
            return self._unchanged(known, item, Origin(label, stamp, self._roots.get(label)))
        loaded: Loaded | None = None
        parsed: Parsed | None = None
        try:
            loaded = item.load(stamp)
            if loaded is None:
                return self._unchanged(known, item)
            sha256 = hashlib.sha256(loaded.data).hexdigest()
            origin = Origin(label, loaded.stamp, self._roots.get(label))
            if known is not None and not self._force:
                if known.failed_sha256 == sha256:
                    return Unchanged(Problem(item.key, known.error or "It could not be read before.", "unchanged"))
                if whole and known.sha256 == sha256:
                    return self._unchanged(known, item, origin)
            parsed = self._work.parse(loaded.data, loaded.name)
            return self._draft(item, loaded, sha256, origin, parsed)
        except CallCancelledError:
            raise
        except CallError as error:
            if parsed is not None and isinstance(error, ServiceUnavailableError):
                raise  # the disk is full, or the database gone, and every file would fail for it
            if known is not None and error.code == "page_removed":
                return Gone(known.id)
            self._fail(label, item, loaded, error)
        except PolyportError:
            raise  # something is set up wrongly, and every file would fail for it
        except Exception:  # noqa: BLE001 - a reader's or chunker's fault over one file must not end all others
            _log.exception("%s could not be taken in", item.key)
            unknown = InternalServerError("It could not be taken in; the gateway's log says why.")
            self._fail(label, item, loaded, unknown)
        return None

    def _is_new(self, key: str) -> bool:
        known = self._known.get(key)
        return known is None or not known.ready

    def _unchanged(self, known: _Known | None, item: Item, origin: Origin | None = None) -> Draft | Unchanged:
        """Return that nothing has changed; but for metadata and tags, which may be given anew with the same file."""
        if known is not None and origin is not None and known.origin is not None and origin != known.origin:
            self._origins[known.id] = origin
        if known is None or not (item.metadata or item.tags):
            return Unchanged()
        row = self._work.catalogue.by_ids(self._work.base, [known.id]).get(known.id)
        if row is None or row.version == 0:
            return Unchanged()
        metadata, tags = {**row.metadata, **item.metadata}, _merged(self._work.tags, item.tags or row.tags)
        if metadata == row.metadata and tags == row.tags:
            return Unchanged()
        changed = replace(row, metadata=metadata, tags=tags, version=row.version + 1)
        return Draft(changed, self._work.parsed.get(row.parsed))

    def _draft(self, item: Item, loaded: Loaded, sha256: str, origin: Origin, parsed: Parsed) -> Draft:
        document = parsed.document
        said = self._said(item.key)
        title = said.get("title") or title_of(document, loaded.name)
        target = self._job.target
        keywords = self._keywords(item.key, document, title)
        new = NewDocument(
            key=item.key,
            title=title,
            sha256=sha256,
            bytes=len(loaded.data),
            parsed=self._work.parsed.put(document),
            format=parsed.receipt.format,
            language=document.language,
            pages=document.pages,
            metadata={**self._work.metadata, **_plain(document), **item.metadata}
            if said.get("metadata") is None
            else {**said["metadata"], **item.metadata},
            tags=_merged(self._work.tags, item.tags) if said.get("tags") is None else _merged(said["tags"], item.tags),
            keywords=keywords or (),
            keywords_version=0 if keywords is None else self._work.keywords_version,
            receipt={
                **asdict(parsed.receipt),
                _ORIGIN: origin.dump(),
                EXTRA_KEYWORDS: extra_keywords(document, title, keywords or ()),
                **({} if item.chunker is None else {CHUNKER: item.chunker}),
                **({SAID: said} if said else {}),
            },
        )
        chunker = own_chunker(new.receipt) or target.chunker
        return Draft(new, document, cut(document, chunker, title), target.generation)

    def _said(self, key: str) -> Mapping[str, Any]:
        """Return what people have said of a document, which stays when its file changes."""
        known = self._known.get(key)
        row = None if known is None else self._work.catalogue.by_ids(self._work.base, [known.id]).get(known.id)
        return {} if row is None else (row.receipt or {}).get(SAID) or {}

    def _keywords(self, key: str, document: Document, title: str) -> tuple[str, ...] | None:
        """Return a document's keywords; None where they can't be had now: it is taken in, and they are behind."""
        try:
            return tuple(self._work.keywords(document, title))
        except CallCancelledError:
            raise
        except CallError as error:
            self._report.problem(Problem(key, f"Its keywords could not be made: {error.message}", "keywords_failed"))
            return None

    def _fail(self, label: str, item: Item, loaded: Loaded | None, error: CallError) -> None:
        self._report.problem(Problem.of(item.key, error))
        self._report.count(failed=1)
        if isinstance(error, _PASSING) or error.code in _PASSING_CODES:
            return  # the next time it may well be read
        failure = Failure(
            key=item.key,
            error=error.message,
            sha256="" if loaded is None else hashlib.sha256(loaded.data).hexdigest(),
            bytes=item.size or 0 if loaded is None else len(loaded.data),
            title=item.key.rpartition("/")[2],
            receipt={_ORIGIN: Origin(label, None if loaded is None else loaded.stamp, self._roots.get(label)).dump()},
        )
        self._work.catalogue.record_failure(self._work.base, failure, job=self._job.id, by=self._job.by)

    def _keep_origins(self) -> None:
        ids = list(self._origins)
        for start in range(0, len(ids), _PAGE):
            rows = self._work.catalogue.by_ids(self._work.base, ids[start : start + _PAGE])
            receipts = [
                (row.id, row.version, {**(row.receipt or {}), _ORIGIN: self._origins[row.id].dump()})
                for row in rows.values()
            ]
            self._work.catalogue.keep_receipts(self._work.base, receipts)

    def _remove(self, sources: Sequence[Source], listings: Sequence[tuple[Source, Listing]], *, whole: bool) -> None:
        """Remove what complete sources that could be read do not have any more."""
        labels = {source.label for source in sources}
        seen = {source.label: listing for source, listing in listings if source.complete}
        there = {item.key for _, listing in listings for item in listing.items}
        gone = [
            known.id
            for known in self._known.values()
            if known.key not in there and known.origin is not None and self._is_gone(known, labels, seen, whole=whole)
        ]
        for start in range(0, len(gone), _PAGE):
            self._report.check()
            removed = self._work.catalogue.remove(
                self._work.base, gone[start : start + _PAGE], job=self._job.id, by=self._job.by
            )
            self._report.count(removed=removed)

    def _is_gone(self, known: _Known, labels: set[str], seen: Mapping[str, Listing], *, whole: bool) -> bool:
        assert known.origin is not None  # noqa: S101 - the others are not asked about
        label = known.origin.source
        listing = seen.get(label)
        if listing is not None:
            return listing.is_gone(known.key)
        return whole and label not in labels and label != UPLOADS


def _plain(document: Document) -> dict[str, Any]:
    """Return what a file says of itself; an empty value says nothing."""
    return {key: value for key, value in document.metadata.items() if value not in (None, "", [], {})}


def _merged(first: Iterable[str], then: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *then)))

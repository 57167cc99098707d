"""From a book to one document: its chapters in reading order, each under its heading."""

from __future__ import annotations

import posixpath
import re
import time
from collections.abc import Callable
from dataclasses import replace

from polyport.errors import MissingDependencyError
from polyport_gateway.knowledge.documents import (
    Block,
    DocumentBuilder,
    EncryptedDocumentError,
    Heading,
    Parsed,
    Provenance,
    Receipt,
    Skipped,
    UnreadableDocumentError,
    source_of,
)
from polyport_gateway.knowledge.readers.base import Budget, ReadOptions
from polyport_gateway.knowledge.readers.detect import FORMATS
from polyport_gateway.knowledge.readers.office.package import Package
from polyport_gateway.knowledge.readers.text import decode

from .book import Book, Entry, Item, open_book, resolved

__all__ = ["EpubReader"]

_ENCODING = re.compile(rb"<\?xml[^>]{0,200}?encoding=[\"']([A-Za-z0-9._-]+)")
_OUTSIDE = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.IGNORECASE)
_PROTECTED_BY = (
    ("META-INF/license.lcpl", "Readium LCP"), ("META-INF/sinf.xml", "Apple FairPlay"),
    ("META-INF/rights.xml", "Adobe ADEPT"),
)  # fmt: skip


class EpubReader:
    """Chapters as HTML, with their notes, links and pictures; the table of contents is in ``metadata["outline"]``."""

    name = "epub"
    formats = frozenset({"epub"})

    def read(self, data: bytes, name: str, options: ReadOptions) -> Parsed:
        """Read a book.

        Raises:
            EncryptedDocumentError: It is protected by digital rights management.
            UnreadableDocumentError: It is damaged, or no book.
        """
        try:
            from polyport_gateway.knowledge.readers import htmlwalk  # noqa: F401 - the rest needs it
        except ImportError:
            raise MissingDependencyError("Reading EPUB", extra="documents") from None
        started = time.perf_counter()
        package = Package(data, name, max_unpacked_bytes=options.max_unpacked_bytes)
        warnings: list[str] = []
        book = open_book(package, warnings)
        _refuse_protected(package, book)
        reading = _Reading(data, package, book, options, warnings)
        reading.cover()
        for item in book.spine:
            reading.chapter(item)
        if not len(reading.builder) and reading.skipped:
            raise UnreadableDocumentError(name, f"none of its chapters can be read: {reading.skipped[0].why}")
        document = reading.builder.build()
        receipt = Receipt.of(
            document,
            reader=self.name,
            format="epub",
            skipped=reading.skipped,
            warnings=warnings,
            seconds=time.perf_counter() - started,
        )
        return Parsed(document, receipt)


def _refuse_protected(package: Package, book: Book) -> None:
    if not book.encrypted or not all(item.part in book.encrypted for item in book.spine):
        return
    by = next((maker for part, maker in _PROTECTED_BY if package.has(part)), None)
    raise EncryptedDocumentError(
        package.name,
        f"its chapters are protected by digital rights management{f' ({by})' if by else ''}; no password opens it. "
        "Get a copy without protection from its publisher.",
    )


class _Reading:
    """One book on its way to a document."""

    def __init__(
        self, data: bytes, package: Package, book: Book, options: ReadOptions, warnings: list[str]
    ) -> None:  # fmt: skip
        self._package = package
        self._book = book
        self._options = options
        self._budget = options.budget or Budget(options.max_unpacked_bytes)
        self._warnings = warnings
        self._seen: set[str] = set()
        self._first: dict[str, Entry] = {}
        self._above: dict[str, list[Entry]] = {}
        pending: list[Entry] = []
        for entry in book.outline:
            part = entry.target.partition("#")[0]
            if not part:
                pending.append(entry)  # a part of the book that has no page of its own
            elif part not in self._first:
                self._first[part], self._above[part], pending = entry, pending, []
        self.skipped: list[Skipped] = []
        self.builder = DocumentBuilder(source_of(data, package.name, FORMATS["epub"][0]))
        self.builder.metadata.update(book.metadata)
        self.builder.language = str(book.metadata.get("language", "")).split("-")[0].lower() or None
        if book.outline:
            self.builder.metadata["outline"] = [
                {"title": entry.title, "level": entry.level, "part": entry.target} for entry in book.outline
            ]

    def cover(self) -> None:
        """Add the cover's picture, unless the first page shows it."""
        part = self._book.cover
        if part is None or not self._options.pictures or not self._package.has(part):
            return
        first = self._book.spine[0].part
        if self._package.has(first) and posixpath.basename(part).encode() in (self._read(first) or b""):
            return
        data = self._read(part)
        if data is not None:
            mime = self._book.items[part].mime
            self.builder.add_picture(data, mime, alt="Cover", provenance=Provenance(part=part))

    def chapter(self, item: Item) -> None:
        """Add what a file of the book holds."""
        if "nav" in item.properties:
            return  # the table of contents is in the metadata
        data = self._read(item.part, "chapter")
        if data is None:
            return
        if item.mime.startswith("image/") and "svg" not in item.mime:
            self.builder.add_picture(data, item.mime, provenance=Provenance(part=item.part))
            return
        from polyport_gateway.knowledge.readers.htmlwalk import declared_encoding, opened, walk

        said = _ENCODING.match(data)
        decoded = decode(data, self._package.name, _known(said.group(1).decode() if said else declared_encoding(data)))
        self._warnings += [f"{item.part}: {warning}" for warning in decoded.warnings]
        blocks: list[Block] = []
        options = replace(self._options, resource=self._resources(posixpath.dirname(item.part)))
        skipped, warnings = walk(opened(decoded.text), self.builder, options, add=blocks.append)
        self.skipped += [replace(left, part=item.part) for left in skipped]
        self._warnings += [f"{item.part}: {warning}" for warning in warnings]
        above = [
            Heading(text=entry.title, level=entry.level) for entry in self._above.get(item.part, ()) if entry.title
        ]
        for block in [*above, *self._headed(blocks, item.part)]:
            self.builder.add(replace(block, provenance=replace(block.provenance, part=item.part)))

    def _headed(self, blocks: list[Block], part: str) -> list[Block]:
        """Put the title that the table of contents gives over a chapter without one, and its headings below others'."""
        entry = self._first.get(part)
        first = next((block for block in blocks if block.text), None)
        if entry is None or first is None:
            return blocks
        titled = isinstance(first, Heading) or not entry.title
        highest = min((block.level for block in blocks if isinstance(block, Heading)), default=1)
        lower = max(entry.level + (not titled) - highest, 0)
        lowered = [
            replace(block, level=block.level + lower) if isinstance(block, Heading) else block for block in blocks
        ]
        return lowered if titled else [Heading(text=entry.title, level=entry.level), *lowered]

    def _resources(self, folder: str) -> Callable[[str], bytes | None]:
        def resource(link: str) -> bytes | None:
            return None if _OUTSIDE.match(link) else self._read(resolved(folder, link), "picture")

        return resource

    def _read(self, part: str, what: str = "picture") -> bytes | None:
        try:
            if part in self._book.encrypted:
                raise EncryptedDocumentError(part, "it is protected by digital rights management.")
            data = self._package.read(part)
            if part not in self._seen:
                self._budget.take(len(data), part)
        except UnreadableDocumentError as error:
            if part not in self._seen:
                self.skipped.append(Skipped(what, error.reason, part=part))
            return None
        finally:
            self._seen.add(part)
        return data


def _known(encoding: str | None) -> str | None:
    """Return an encoding that a chapter says it has, if there is such a one."""
    import codecs

    try:
        return codecs.lookup(encoding).name if encoding else None
    except LookupError:
        return None

"""What the office readers gather while they read one file."""

from __future__ import annotations

import mimetypes
import posixpath
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from polyport_gateway.knowledge.documents import (
    JSON,
    Block,
    Code,
    DocumentBuilder,
    Heading,
    Note,
    NoteCategory,
    PageBreak,
    Paragraph,
    Parsed,
    Picture,
    Provenance,
    Receipt,
    Skipped,
    Table,
    UnreadableDocumentError,
    source_of,
)
from polyport_gateway.knowledge.readers.detect import detect
from polyport_gateway.knowledge.readers.members import read_member

from .package import Package

if TYPE_CHECKING:
    from polyport_gateway.knowledge.readers.base import ReadOptions

__all__ = ["Gathering", "PackageGathering", "fold", "joined_code", "naming_damage", "words"]

_NOT_DOCUMENTS = frozenset({"ole", "binary", "executable", "empty", "gzip", "7z", "rar"})
_CORE = {
    "title": "title", "creator": "author", "subject": "subject", "description": "description", "keywords": "keywords",
    "category": "category", "created": "created", "modified": "modified", "lastModifiedBy": "last_modified_by",
}  # fmt: skip


class Gathering:
    """One file on its way to a `Parsed`.

    Args:
        data: The file.
        name: Its name.
        options: How it is read.
        mime: What it is.
    """

    def __init__(self, data: bytes, name: str, options: ReadOptions, mime: str) -> None:
        self._started = time.perf_counter()
        self.name = name
        self.options = options
        self.builder = DocumentBuilder(source_of(data, name, mime))
        self.skipped: Counter[Skipped] = Counter()
        self.warnings: Counter[str] = Counter()

    def skip(self, what: str, why: str, *, page: int | None = None, part: str | None = None) -> None:
        """Note that something is not in the document."""
        self.skipped[Skipped(what, why, page, part)] += 1

    def warn(self, message: str) -> None:
        """Note what may be wrong although nothing was left out; each is told once."""
        self.warnings[message] += 1

    def embedded_file(self, data: bytes, name: str, program: str, where: Provenance) -> list[Block]:
        """Read a file inside this one; what is not read is told of.

        Args:
            data: The inner file.
            name: Its name.
            program: What it belongs to, for the receipt.
            where: Where it stands.
        """
        kind = detect(data, name).format
        if kind in _NOT_DOCUMENTS or kind in {"text", "zip"}:
            self.skip("embedded object", f"It belongs to {program}.", page=where.page, part=name)
            return []
        parsed = read_member(data, name, replace(self.options, format=None, encoding=None, resource=None))
        if isinstance(parsed, Skipped):
            self.skip("embedded object", parsed.why, page=where.page, part=name)
            return []
        for asset in parsed.document.assets.values():
            self.builder.keep(asset)
        for item in parsed.receipt.skipped:
            part = "/".join(filter(None, (name, item.part)))
            self.skipped[replace(item, page=where.page, part=part, count=1)] += item.count
        for warning in parsed.receipt.warnings:
            self.warn(f"{name}: {warning}")
        blocks = parsed.document.blocks
        inside = (block for block in blocks if not isinstance(block, PageBreak))
        return [
            replace(block, provenance=replace(block.provenance, page=where.page, bbox=where.bbox, part=name))
            if not isinstance(block, Heading)
            else replace(block, level=block.level + 2, provenance=replace(where, part=name))
            for block in inside
        ]

    def keep_picture(self, data: bytes, mime: str | None, *, alt: str = "", provenance: Provenance) -> Picture:
        """Keep the bytes of a picture, unless they are not wanted."""
        mime = mime or _sniffed(data)
        if not self.options.pictures:
            return Picture(mime=mime, alt=alt, provenance=provenance)
        return Picture(sha256=self.builder.keep(data), mime=mime, alt=alt, provenance=provenance)

    def finish(
        self,
        blocks: Sequence[Block],
        *,
        reader: str,
        format: str,  # noqa: A002
        metadata: dict[str, JSON],
        pages_in: int | None = None,
        pages_out: int | None = None,
    ) -> Parsed:
        """Make the document and its receipt.

        Raises:
            DocumentLossError: Something was left out, and `strict` was asked for.
        """
        for block in blocks:
            self.builder.add(block)
        document = self.builder.build(metadata=metadata)
        receipt = Receipt.of(
            document,
            reader=reader,
            format=format,
            pages_in=pages_in,
            pages_out=pages_out,
            skipped=[replace(entry, count=count) for entry, count in self.skipped.items()],
            warnings=list(self.warnings),
            seconds=time.perf_counter() - self._started,
        )
        parsed = Parsed(document, receipt)
        return parsed.require_whole() if self.options.strict else parsed


class PackageGathering(Gathering):
    """One file that is a ZIP container of parts.

    Args:
        data: The file.
        name: Its name.
        options: How it is read.
        mime: What it is.
        package: The container, where it was opened already.
    """

    def __init__(self, data: bytes, name: str, options: ReadOptions, mime: str, package: Package | None = None) -> None:
        super().__init__(data, name, options, mime)
        self.package = package or Package(data, name, max_unpacked_bytes=options.max_unpacked_bytes)

    def optional_part(self, part: str) -> Element | None:
        """Parse a part that a file may do without; one that is damaged is told of, and the rest is read."""
        if not self.package.has(part):
            return None
        try:
            return self.package.xml(part)
        except UnreadableDocumentError as error:
            self.skip("part", error.reason, part=part)
            return None

    def picture(self, part: str, *, alt: str = "", provenance: Provenance) -> Picture | None:
        """Keep the bytes of a picture; one that is not there is told of."""
        try:
            data = self.package.read(part)
        except UnreadableDocumentError as error:
            self.skip("picture", error.reason, page=provenance.page, part=part)
            return None
        return self.keep_picture(data, mimetypes.guess_type(part)[0], alt=alt, provenance=provenance)

    def embedded(self, part: str, program: str, where: Provenance) -> list[Block]:
        """Read a file that is one of the parts."""
        try:
            data = self.package.read(part)
        except UnreadableDocumentError as error:
            self.skip("embedded object", error.reason, page=where.page, part=part)
            return []
        return self.embedded_file(data, posixpath.basename(part), program, where)

    def core_properties(self) -> None:
        """Read title, author and dates."""
        root = self.optional_part("docProps/core.xml")
        for entry in () if root is None else root:
            key = entry.tag.rpartition("}")[2]
            text = (entry.text or "").strip()
            if not text:
                continue
            if key == "language":
                self.builder.language = text.partition("-")[0].lower() or None
            elif key in _CORE:
                self.builder.metadata[_CORE[key]] = text


def _sniffed(data: bytes) -> str:
    for magic, mime in (
        (b"\x89PNG", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"), (b"BM", "image/bmp"),
        (b"II*\0", "image/tiff"), (b"MM\0*", "image/tiff"), (b"\xd7\xcd\xc6\x9a", "image/x-wmf"),
    ):  # fmt: skip
        if data.startswith(magic):
            return mime
    if data[40:44] == b" EMF":
        return "image/x-emf"
    return "application/octet-stream"


@contextmanager
def naming_damage(name: str) -> Iterator[None]:
    """Turn what a file's impossible values lead to into an error that names the file."""
    try:
        yield
    except RecursionError as error:
        raise UnreadableDocumentError(name, "its tables or text boxes nest too deep to be read.") from error
    except (ValueError, OverflowError) as error:
        raise UnreadableDocumentError(
            name, f"it is damaged: a value in it is none that its format allows ({error})."
        ) from error


def fold(
    blocks: list[Block], category: NoteCategory, provenance: Provenance, label: str = "", author: str = ""
) -> Iterator[Block]:
    """Make one note of a story's text; its tables and pictures follow as they are."""
    text = [block for block in blocks if block.group in {"text", "code"} and not isinstance(block, Note)]
    marks = text[0].marks if len(text) == 1 and isinstance(text[0], Paragraph) else ()
    if written := words(text):
        yield Note(text=written, marks=marks, category=category, label=label, author=author, provenance=provenance)
    yield from (block for block in blocks if block.group not in {"text", "code", None} or isinstance(block, Note))


def joined_code(blocks: Sequence[Block]) -> list[Block]:
    """Put lines of code that follow each other together; an empty one counts only between others."""
    joined: list[Block] = []
    for block in blocks:
        last = joined[-1] if joined else None
        if isinstance(block, Code) and isinstance(last, Code):
            joined[-1] = replace(last, text=f"{last.text}\n{block.text}")
        elif not isinstance(block, Code) or block.text:
            joined.append(block)
    return [replace(block, text=block.text.rstrip()) if isinstance(block, Code) else block for block in joined]


def words(blocks: Sequence[Block]) -> str:
    """Return the words of blocks inside a cell, a line each; the cells of a table within stand apart by tabs."""
    lines = []
    for block in blocks:
        if isinstance(block, Table):
            lines += [block.caption] if block.caption else []
            rows: dict[int, list[str]] = {}
            for cell in block.grid.cells:
                rows.setdefault(cell.row, []).append(cell.text)
            lines += ["\t".join(row) for row in rows.values()]
        elif isinstance(block, Picture):
            lines += [block.caption or block.alt] if block.caption or block.alt else []
        elif text := _shown(block):
            lines.append(text)
    return "\n".join(lines)


def _shown(block: Block) -> str:
    marker = getattr(block, "marker", "")
    return f"{marker} {block.text}" if marker else block.text

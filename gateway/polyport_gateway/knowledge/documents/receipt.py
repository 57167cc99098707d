"""What came of reading a file, in figures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from .blocks import Block, Picture, Table
from .document import Document
from .errors import DocumentLossError

__all__ = ["Parsed", "Receipt", "Skipped"]


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something of the file that is not in the document.

    Args:
        what: Such as ``page``, ``table``, ``picture``, ``attachment``.
        why: A sentence.
        page: Where, from 1.
        part: Which file inside the file, or which sheet.
        count: How many of them.
    """

    what: str
    why: str
    page: int | None = None
    part: str | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class Receipt:
    """What went in, what came out, and what did not.

    Args:
        reader: Name of the reader.
        format: What the file was read as.
        pages_in: Pages that the file has.
        pages_out: Pages of which something is in the document, or that are truly empty.
        blocks: Blocks of all kinds.
        tables: Tables, those inside cells counted too.
        pictures: Pictures.
        characters: Of each page, or of the whole where there are no pages.
        ocr_confidence: Mean of the recognised text, 0 to 1; None without OCR.
        skipped: What was left out; `strict` makes an error of it.
        warnings: What may be wrong although nothing was left out, such as a name that says another format.
        seconds: From bytes to document.
    """

    reader: str
    format: str
    pages_in: int = 1
    pages_out: int = 1
    blocks: int = 0
    tables: int = 0
    pictures: int = 0
    characters: tuple[int, ...] = ()
    ocr_confidence: float | None = None
    skipped: tuple[Skipped, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0

    @classmethod
    def of(
        cls,
        document: Document,
        *,
        reader: str,
        format: str,  # noqa: A002
        pages_in: int | None = None,
        pages_out: int | None = None,
        ocr_confidence: float | None = None,
        skipped: Iterable[Skipped] = (),
        warnings: Iterable[str] = (),
        seconds: float = 0.0,
    ) -> Receipt:
        """Count what a document holds."""
        pages = document.pages
        characters = [0] * pages
        for block in document.blocks:
            characters[(block.provenance.page or 1) - 1] += len(block.text)
        return cls(
            reader=reader,
            format=format,
            pages_in=pages if pages_in is None else pages_in,
            pages_out=pages if pages_out is None else pages_out,
            blocks=len(document.blocks),
            tables=_count(document.blocks, Table),
            pictures=_count(document.blocks, Picture),
            characters=tuple(characters),
            ocr_confidence=ocr_confidence,
            skipped=tuple(skipped),
            warnings=tuple(warnings),
            seconds=seconds,
        )


def _count(blocks: Iterable[Block], kind: type[Block]) -> int:
    total = 0
    for block in blocks:
        total += isinstance(block, kind)
        if isinstance(block, Table):
            total += _count(block.grid.nested, kind)
    return total


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document and its receipt."""

    document: Document
    receipt: Receipt = field(repr=False)

    def require_whole(self) -> Parsed:
        """Return itself when nothing was left out.

        Raises:
            DocumentLossError: Something was.
        """
        skipped = self.receipt.skipped
        if skipped:
            first = skipped[0]
            more = f" (and {len(skipped) - 1} more)" if len(skipped) > 1 else ""
            where = f" {first.part!r}" if first.part else ""
            raise DocumentLossError(
                self.document.source.name,
                f"a {first.what}{where} was left out: {first.why}{more} Read it without `strict` to get the rest.",
                page=first.page,
            )
        return self

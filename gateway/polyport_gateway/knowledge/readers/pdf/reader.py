"""PDF (ISO 32000), read with PDFium: page by page, so that a long one takes no more memory than its text."""

from __future__ import annotations

import time
from itertools import chain, islice

from polyport_gateway.knowledge.documents import Parsed, Receipt
from polyport_gateway.knowledge.readers.base import ReadOptions

from .opening import opened, require_pdfium

__all__ = ["PdfReader"]

_LOOKED_AHEAD = 12  # pages, to know the size of the running text


class PdfReader:
    """Reads PDF: text, tables, pictures, links, outline, what was filled into forms, and scanned pages by OCR."""

    name = "pdf"
    formats = frozenset({"pdf"})

    def read(self, data: bytes, name: str, options: ReadOptions) -> Parsed:
        """Read one file.

        Raises:
            EncryptedDocumentError: Its password is missing or wrong.
            UnreadableDocumentError: It is damaged, cut off, or has no pages that can be read.
            MissingDependencyError: pypdfium2 is not installed.
        """
        require_pdfium()
        from .assembly import Assembly
        from .pages import Pages

        started = time.perf_counter()
        with opened(data, name, options.password) as document:
            pages = Pages(document, options)
            assembly = Assembly(document, data, name)
            read = iter(pages)
            ahead = list(islice(read, _LOOKED_AHEAD))
            assembly.learn(ahead)
            for page in chain(ahead, read):
                assembly.add(page)
            made = assembly.finish(pages.skipped)
            count = pages.count
        return Parsed(
            made,
            Receipt.of(
                made,
                reader=self.name,
                format="pdf",
                pages_in=count,
                pages_out=count - len(pages.lost),
                ocr_confidence=pages.confidence,
                skipped=pages.skipped,
                warnings=(*pages.warnings, *assembly.warnings),
                seconds=time.perf_counter() - started,
            ),
        )

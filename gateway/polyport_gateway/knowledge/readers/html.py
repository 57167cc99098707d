"""HTML, as a browser understands it."""

from __future__ import annotations

import time
from dataclasses import replace

from polyport.errors import MissingDependencyError
from polyport_gateway.knowledge.documents import DocumentBuilder, Parsed, Receipt, source_of

from .base import ReadOptions
from .detect import FORMATS
from .text import decode

__all__ = ["HtmlReader"]


class HtmlReader:
    """Headings, lists, code, pictures, and tables with their spans; scripts and styles are no content."""

    name = "html"
    formats = frozenset({"html"})

    def read(self, data: bytes, name: str, options: ReadOptions) -> Parsed:
        """Read a page."""
        try:
            from .htmlwalk import declared_encoding, walk
        except ImportError:
            raise MissingDependencyError("Reading HTML", extra="documents") from None
        started = time.perf_counter()
        if options.encoding is None:
            options = replace(options, encoding=declared_encoding(data))
        decoded = decode(data, name, options.encoding)
        builder = DocumentBuilder(source_of(data, name, FORMATS["html"][0]))
        builder.metadata["encoding"] = decoded.encoding
        skipped, warnings = walk(decoded.text, builder, options)
        document = builder.build()
        receipt = Receipt.of(
            document,
            reader=self.name,
            format="html",
            skipped=skipped,
            warnings=(*decoded.warnings, *warnings),
            seconds=time.perf_counter() - started,
        )
        return Parsed(document, receipt)

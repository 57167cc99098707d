"""One file, compressed by gzip, bzip2 or xz."""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import IO

from polyport_gateway.knowledge.documents import (
    DocumentBuilder,
    Parsed,
    ParsingLimitError,
    Receipt,
    Skipped,
    UnreadableDocumentError,
    source_of,
)
from polyport_gateway.knowledge.readers.base import ReadOptions
from polyport_gateway.knowledge.readers.detect import FORMATS, detect
from polyport_gateway.knowledge.readers.members import add_member

from .gathering import budget_of, inner_options

__all__ = ["CompressedReader"]

_PIECE = 1 << 20
_HIGHEST_RATIO = 400
_RATIO_FROM = 64 << 20
_ENDING = re.compile(r"\.(?:gz|bz2|xz)$", re.IGNORECASE)
_TAR_ENDING = re.compile(r"\.t(?:gz|bz2|xz)$", re.IGNORECASE)


class CompressedReader:
    """The document is that of the file inside; a ``.tar.gz`` has the files of the archive."""

    name = "compressed"
    formats = frozenset({"gzip", "bzip2", "xz"})

    def read(self, data: bytes, name: str, options: ReadOptions) -> Parsed:
        """Read the file inside.

        Raises:
            UnreadableDocumentError: It is damaged from its first byte on, or the file inside can't be read.
            ParsingLimitError: It unpacks to more than is allowed.
        """
        started = time.perf_counter()
        format = options.format or detect(data, name).format  # noqa: A001
        skipped: list[Skipped] = []
        inner = b"".join(_pieces(data, name, format, options, skipped))
        budget_of(options).take(len(inner), name)
        builder = DocumentBuilder(source_of(data, name, FORMATS[format][0]))
        warnings: list[str] = []
        found = add_member(builder, inner, _inner_name(name), inner_options(options), warnings, title=None)
        if not len(builder) and (found or skipped):
            raise UnreadableDocumentError(
                name, f"of the file inside it, nothing could be read: {(found + skipped)[0].why}"
            )
        document = builder.build()
        receipt = Receipt.of(
            document,
            reader=self.name,
            format=format,
            skipped=[*found, *skipped],
            warnings=warnings,
            seconds=time.perf_counter() - started,
        )
        return Parsed(document, receipt)


def _inner_name(name: str) -> str:
    return _ENDING.sub("", _TAR_ENDING.sub(".tar", name)) or name


def _pieces(data: bytes, name: str, format: str, options: ReadOptions, skipped: list[Skipped]) -> Iterator[bytes]:  # noqa: A002
    most = min(budget_of(options).left, max(_RATIO_FROM, _HIGHEST_RATIO * len(data)))
    total = 0
    try:
        with _opened(data, name, format) as source:
            while piece := source.read1(_PIECE):  # type: ignore[attr-defined]  # all three have it
                total += len(piece)
                if total > most:
                    raise ParsingLimitError(
                        name, f"it unpacks to more than {most:,} bytes, which is more than allowed."
                    )
                yield piece
    except (OSError, EOFError, zlib.error, ValueError) as error:
        _cut_off(name, total, error, skipped)
    except Exception as error:
        if type(error).__name__ != "LZMAError":  # its module may be missing
            raise
        _cut_off(name, total, error, skipped)


def _cut_off(name: str, total: int, error: Exception, skipped: list[Skipped]) -> None:
    if not total:
        raise UnreadableDocumentError(name, f"it is damaged ({error}).") from None
    skipped.append(Skipped("rest of the file", f"it is damaged after {total:,} unpacked bytes ({error})."))


def _opened(data: bytes, name: str, format: str) -> IO[bytes]:  # noqa: A002
    source = BytesIO(data)
    try:
        if format == "gzip":
            import gzip

            return gzip.GzipFile(fileobj=source)  # type: ignore[return-value]
        if format == "bzip2":
            import bz2

            return bz2.BZ2File(source)  # type: ignore[return-value]
        import lzma

        return lzma.LZMAFile(source)  # type: ignore[return-value]
    except ImportError as error:
        raise UnreadableDocumentError(name, f"this Python was built without {error.name}, which unpacks it.") from None

"""All readers, and the one way to read a file in this process."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from polyport.errors import PolyportError
from polyport_gateway.knowledge.documents import (
    Parsed,
    ParsingLimitError,
    UnreadableDocumentError,
    UnsupportedFormatError,
)

from .base import Budget, Reader, ReadOptions
from .detect import detect

__all__ = ["ENGINES", "GROUP", "engines", "read", "readers"]

GROUP = "polyport.readers"
ENGINES = "polyport.document_engines"
_ADVICE = {
    "doc": "Save it as .docx: Word, LibreOffice and Pages do.",
    "ppt": "Save it as .pptx: PowerPoint, LibreOffice and Keynote do.",
    "xlsb": "Save it as .xlsx: Excel and LibreOffice do.",
}
_log = logging.getLogger("polyport.knowledge.readers")


@cache
def readers() -> Mapping[str, Reader]:
    """Return the reader of each format; one that fails to load is logged, and its formats have none."""
    found: dict[str, Reader] = {}
    for point, reader in _loaded(GROUP):
        # A third party's reader takes a format over from ours.
        ours = point.value.startswith("polyport_gateway.")
        found.update({name: reader for name in reader.formats if not (ours and name in found)})
    return found


@cache
def engines() -> Mapping[str, Reader]:
    """Return what reads whole formats in another way, where it is asked for by its name."""
    return {point.name: engine for point, engine in _loaded(ENGINES)}


def _loaded(group: str) -> Iterator[tuple[EntryPoint, Reader]]:
    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        try:
            made = point.load()()
            frozenset(made.formats)
        except Exception:  # noqa: BLE001 - a third party's code; it must not stop the rest
            _log.exception("%r can't be loaded from %r", point.name, point.value)
            continue
        yield point, made


def read(data: bytes, name: str, options: ReadOptions | None = None) -> Parsed:
    """Read a file in this process. For a file that is not trusted, use `ParserPool`.

    Args:
        data: The whole file.
        name: Its name: for the errors, and to tell formats apart that look alike.
        options: How.

    Raises:
        UnreadableDocumentError: Nothing can be made of it.
        DocumentLossError: Something was left out, and ``strict`` was asked for.
    """
    options = options or ReadOptions()
    started = time.perf_counter()
    if len(data) > options.max_bytes:
        raise UnreadableDocumentError(name, f"it has {len(data):,} bytes; at most {options.max_bytes:,} are read.")
    detected = detect(data, name)
    if detected.format == "empty":
        raise UnreadableDocumentError(name, "it is empty.")
    format = options.format or detected.format  # noqa: A001
    reader, warning = _chosen(format, name, options)
    options = replace(
        options,
        format=format,
        read=options.read or read,
        budget=options.budget or Budget(options.max_unpacked_bytes),
    )
    parsed = _guarded(reader, data, name, options)
    warnings = [said for said in (detected.warning, warning) if said]
    parsed = _received(parsed, warnings, time.perf_counter() - started)
    for item in parsed.receipt.skipped:
        # Neither the file's name nor its content reaches the log.
        _log.warning("%s reader: %d × %s left out (page %s)", reader.name, item.count, item.what, item.page)
    return parsed.require_whole() if options.strict else parsed


def _guarded(reader: Reader, data: bytes, name: str, options: ReadOptions) -> Parsed:
    try:
        return reader.read(data, name, options)
    except PolyportError:
        raise
    except MemoryError:
        raise ParsingLimitError(name, "reading it took more memory than there is.") from None
    except RecursionError:
        raise UnreadableDocumentError(name, "it nests deeper than can be read.") from None
    except Exception as error:  # noqa: BLE001 - see below
        # A parser of damaged bytes may fail in any way; for the caller it is the file's fault, for us a log line.
        _log.exception("%s reader failed", reader.name)
        raise UnreadableDocumentError(
            name, f"it is damaged, or not what it looks like ({type(error).__name__})."
        ) from None


def _chosen(format: str, name: str, options: ReadOptions) -> tuple[Reader, str | None]:  # noqa: A002
    """Return the reader of a format, and what is to be said of that choice."""
    warning = None
    if options.engine is not None:
        engine = engines().get(options.engine)
        if engine is None:
            known = ", ".join(sorted(engines())) or "none"
            raise UnsupportedFormatError(
                name, f"there is no engine {options.engine!r} to read it with; known: {known}."
            )
        if format in engine.formats:
            return engine, None
        warning = f"{options.engine} does not read {format}; our own reader did."
    reader = readers().get(format)
    if reader is None:
        raise UnsupportedFormatError(name, f"there is no reader for {format}. {_ADVICE.get(format) or _known()}")
    return reader, warning


def _received(parsed: Parsed, warnings: Sequence[str], seconds: float) -> Parsed:
    receipt = parsed.receipt
    return replace(parsed, receipt=replace(receipt, warnings=(*warnings, *receipt.warnings), seconds=seconds))


def _known() -> str:
    return f"There is one for: {', '.join(sorted(readers()))}."

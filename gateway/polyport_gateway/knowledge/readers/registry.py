"""All readers, and the one way to read a file in this process."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points

from polyport.errors import PolyportError
from polyport_gateway.knowledge.documents import (
    Parsed,
    ParsingLimitError,
    UnreadableDocumentError,
    UnsupportedFormatError,
)

from .base import Budget, Reader, ReadOptions
from .detect import Detected, detect

__all__ = ["GROUP", "read", "readers"]

GROUP = "polyport.readers"
_log = logging.getLogger("polyport.knowledge.readers")


@cache
def readers() -> Mapping[str, Reader]:
    """Return the reader of each format; one that fails to load is logged, and its formats have none."""
    found: dict[str, Reader] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            reader = point.load()()
            formats = dict.fromkeys(reader.formats, reader)
        except Exception:  # noqa: BLE001 - a third party's code; it must not stop the rest
            _log.exception("the reader %r can't be loaded from %r", point.name, point.value)
            continue
        # A third party's reader takes a format over from ours.
        ours = point.value.startswith("polyport_gateway.")
        found.update({name: made for name, made in formats.items() if not (ours and name in found)})
    return found


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
    reader = readers().get(format)
    if reader is None:
        raise UnsupportedFormatError(name, f"there is no reader for {format}. {_known()}")
    options = replace(
        options,
        format=format,
        read=options.read or read,
        budget=options.budget or Budget(options.max_unpacked_bytes),
    )
    parsed = _guarded(reader, data, name, options)
    parsed = _received(parsed, detected, time.perf_counter() - started)
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


def _received(parsed: Parsed, detected: Detected, seconds: float) -> Parsed:
    warnings = parsed.receipt.warnings
    if detected.warning:
        warnings = (detected.warning, *warnings)
    return replace(parsed, receipt=replace(parsed.receipt, warnings=warnings, seconds=seconds))


def _known() -> str:
    return f"There is one for: {', '.join(sorted(readers()))}."

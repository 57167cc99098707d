"""One log for everything: text for people, JSON lines for machines, no secrets in either."""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import TextIO

from polyport_gateway.telemetry.redact import redact

__all__ = ["JSONFormatter", "TextFormatter", "configure_logging"]

_COLOURS = {"DEBUG": "\x1b[2m", "WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[1;31m"}
_RESET = "\x1b[0m"
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class TextFormatter(logging.Formatter):
    """``12:30:05 WARNING polyport.calls: message [req_…]``, coloured by level where the stream shows colour."""

    def __init__(self, *, colour: bool = False) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S")
        self._colour = colour

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """Put the level's colour and the request id around the message."""
        line = super().formatMessage(record)
        if request_id := getattr(record, "request_id", None):
            line = f"{line} [{request_id}]"
        colour = _COLOURS.get(record.levelname) if self._colour else None
        return f"{colour}{line}{_RESET}" if colour else line

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and below it the traceback if there is one, without secrets."""
        return redact(super().format(record))


class JSONFormatter(logging.Formatter):
    """One JSON object per line: ``time``, ``level``, ``logger``, ``message``, the record's extras, ``error``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without secrets."""
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        for key, value in vars(record).items():
            if key not in _STANDARD and not key.startswith("_") and value is not None:
                entry[key] = redact(value) if isinstance(value, str) else value
        if record.exc_info:
            entry["error"] = redact(self.formatException(record.exc_info))
        return json.dumps(entry, ensure_ascii=False, default=lambda value: redact(str(value)))


def configure_logging(level: str = "info", format: str = "auto", *, stream: TextIO | None = None) -> None:  # noqa: A002
    """Send every logger's records, uvicorn's among them, to one stream.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``.
        format: ``text``, ``json``, or ``auto``: text on a terminal, JSON elsewhere.
        stream: Where to; standard error by default, which leaves standard output to results.
    """
    stream = stream if stream is not None else sys.stderr
    terminal = stream.isatty()
    handler = logging.StreamHandler(stream)
    if format == "json" or (format == "auto" and not terminal):
        handler.setFormatter(JSONFormatter())
    else:
        handler.setFormatter(TextFormatter(colour=terminal and "NO_COLOR" not in os.environ))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.NOTSET)
    # What these say of starting, stopping and each request adds nothing to our own lines.
    for name in ("uvicorn.error", "mcp", "httpx"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))

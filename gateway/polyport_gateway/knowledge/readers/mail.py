"""E-mail (RFC 5322): its headers, its body, its attachments."""

from __future__ import annotations

import time
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage

from polyport_gateway.knowledge.documents import (
    DocumentBuilder,
    Heading,
    Paragraph,
    Parsed,
    Receipt,
    Skipped,
    UnreadableDocumentError,
    source_of,
)

from .base import ReadOptions
from .detect import FORMATS
from .members import add_member
from .text import decode

__all__ = ["MailReader"]

_SHOWN = ("From", "To", "Cc", "Date")
_KEPT = ("From", "To", "Cc", "Bcc", "Reply-To", "Date", "Subject", "Message-ID", "In-Reply-To", "References")
_MOST_PARTS = 1000


class MailReader:
    """The subject is the heading; of two forms of a body the HTML one is read, for it has the tables."""

    name = "mail"
    formats = frozenset({"eml"})

    def read(self, data: bytes, name: str, options: ReadOptions) -> Parsed:
        """Read a message with its attachments.

        Raises:
            UnreadableDocumentError: It has no header, or parts without end.
        """
        started = time.perf_counter()
        message = message_from_bytes(data, policy=policy.default)
        if not isinstance(message, EmailMessage) or not message.keys():
            raise UnreadableDocumentError(name, "it has no mail headers.")
        builder = DocumentBuilder(source_of(data, name, FORMATS["eml"][0]))
        warnings = [f"The message is malformed: {type(defect).__name__}." for defect in message.defects]
        builder.metadata.update({key.lower(): _header(message, key) for key in _KEPT if _header(message, key)})
        subject = _header(message, "Subject")
        if subject:
            builder.add(Heading(text=subject, level=1))
        shown = [f"{key}: {value}" for key in _SHOWN if (value := _header(message, key))]
        if shown:
            builder.add(Paragraph(text="\n".join(shown)))
        skipped = _bodies(message, builder, name, replace(options, format=None, encoding=None), warnings)
        document = builder.build()
        seconds = time.perf_counter() - started
        return Parsed(
            document,
            Receipt.of(document, reader=self.name, format="eml", skipped=skipped, warnings=warnings, seconds=seconds),
        )


def _header(message: EmailMessage, key: str) -> str:
    try:
        return " ".join(str(message.get(key, "")).split())
    except (ValueError, IndexError, AttributeError, TypeError):  # the standard library stumbles over some
        return " ".join(str(dict(message.raw_items()).get(key, "")).split())


def _bodies(
    message: EmailMessage, builder: DocumentBuilder, name: str, options: ReadOptions, warnings: list[str]
) -> list[Skipped]:
    body = message.get_body(("html", "plain"))
    skipped: list[Skipped] = []
    if body is not None:
        member = "body.html" if body.get_content_subtype() == "html" else "body.txt"
        wanted = replace(options, format="html" if member == "body.html" else "text", encoding=_charset(body))
        skipped += add_member(builder, _payload(body), member, wanted, warnings, title=None)
    alternatives = _alternatives(message)
    for number, part in enumerate(message.walk()):
        if number > _MOST_PARTS:
            raise UnreadableDocumentError(name, f"it has more than {_MOST_PARTS:,} parts.")
        if part is body or part.is_multipart() or id(part) in alternatives:
            continue
        title = part.get_filename() or f"part-{number}{_extension(part.get_content_type())}"
        skipped += add_member(builder, _payload(part), title, options, warnings, title=title)
    return skipped


def _alternatives(message: EmailMessage) -> set[int]:
    """Return the parts that say again what the body says."""
    return {
        id(part)
        for whole in message.walk()
        if whole.get_content_type() == "multipart/alternative"
        for part in whole.iter_parts()
        if part.get_content_maintype() == "text"
    }


def _payload(part: EmailMessage) -> bytes:
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def _charset(part: EmailMessage) -> str | None:
    charset = part.get_content_charset()
    try:
        decode(_payload(part), "", charset)
    except UnreadableDocumentError:
        return None  # an encoding that is none: look at the bytes instead
    return charset


def _extension(mime: str) -> str:
    return next((f".{ends[0]}" for kind, ends in FORMATS.values() if kind == mime and ends), "")

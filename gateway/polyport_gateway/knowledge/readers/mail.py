"""E-mail (RFC 5322): its headers, its body, its attachments."""

from __future__ import annotations

import codecs
import time
from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage, Message, MIMEPart
from functools import partial

from polyport_gateway.knowledge.documents import (
    DocumentBuilder,
    Parsed,
    Receipt,
    Skipped,
    UnreadableDocumentError,
    source_of,
)

from .base import ReadOptions
from .detect import FORMATS
from .letter import KEPT, Inline, begin
from .members import add_member

__all__ = ["MailReader"]

_MOST_PARTS = 1000
_SINGLE_BYTE = ("cp1252", "iso8859-15")
_WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "big5": "big5hkscs", "iso8859-1": "cp1252"}
_TNEF = "it is in Outlook's own TNEF form (winmail.dat); ask for the message as HTML, or as .msg."
_SEALED = "it is encrypted or sealed by S/MIME; open it in a mail program, and save it again."
_UNREADABLE = {
    "application/ms-tnef": _TNEF,
    "application/vnd.ms-tnef": _TNEF,
    "application/pkcs7-mime": _SEALED,
    "application/x-pkcs7-mime": _SEALED,
}


class MailReader:
    """The subject is the heading; of two forms of a body the HTML one is read, for it has the tables."""

    name = "mail"
    formats = frozenset({"eml"})

    def read(self, data: bytes, name: str, options: ReadOptions) -> Parsed:
        """Read a message with its attachments.

        Raises:
            UnreadableDocumentError: It has no header.
        """
        started = time.perf_counter()
        message = message_from_bytes(data, policy=policy.default)
        if not isinstance(message, EmailMessage) or not message.keys():
            raise UnreadableDocumentError(name, "it has no mail headers.")
        builder = DocumentBuilder(source_of(data, name, FORMATS["eml"][0]))
        warnings = [f"The message is malformed: {type(defect).__name__}." for defect in message.defects]
        begin(builder, {key: _header(message, key) for key in KEPT})
        skipped = _bodies(message, builder, replace(options, format=None, encoding=None), warnings)
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
    message: EmailMessage, builder: DocumentBuilder, options: ReadOptions, warnings: list[str]
) -> list[Skipped]:
    parts = list(_leaves(message))
    body = _body(message)
    inline = Inline({key: partial(_payload, part) for part in parts for key in _keys(part)})
    skipped: list[Skipped] = []
    if message.get_content_type() == "multipart/encrypted":
        skipped.append(Skipped("body", "it is encrypted; decrypt it in a mail program, and save it again."))
    if body is not None:
        member = "body.html" if body.get_content_subtype() == "html" else "body.txt"
        wanted = "html" if member == "body.html" else "text"
        inner = replace(options, format=wanted, encoding=_charset(body, warnings), resource=inline)
        skipped += add_member(builder, _payload(body), member, inner, warnings, title=None)
    alternatives = _alternatives(message)
    for number, part in enumerate(parts, 1):
        if part is body or id(part) in alternatives or inline.used.intersection(_keys(part)):
            continue
        if number > _MOST_PARTS:
            skipped.append(Skipped("part", f"only {_MOST_PARTS:,} are read.", count=len(parts) - _MOST_PARTS))
            break
        skipped += _part(builder, part, number, options, warnings)
    return skipped


def _leaves(part: MIMEPart) -> Iterator[MIMEPart]:
    """Return all parts that hold something, a message inside the message as one."""
    if not isinstance(part.get_payload(), list) or part.get_content_maintype() == "message":
        yield part
        return
    for inner in _parts(part):
        yield from _leaves(inner)


def _body(message: EmailMessage) -> MIMEPart | None:
    try:
        return message.get_body(("html", "plain"))
    except (AttributeError, KeyError, TypeError):  # the standard library stumbles where the structure is none
        return next((part for part in _leaves(message) if part.get_content_maintype() == "text"), None)


def _part(
    builder: DocumentBuilder, part: MIMEPart, number: int, options: ReadOptions, warnings: list[str]
) -> list[Skipped]:
    mime = part.get_content_type()
    title = part.get_filename() or f"part-{number}{_extension(mime)}"
    if mime in _UNREADABLE:
        return [Skipped("attachment", _UNREADABLE[mime], part=title)]
    payload = part.get_payload()
    if isinstance(payload, list):  # a message, or what a mail server says of its delivery
        inner = b"\n".join(item.as_bytes() for item in payload if isinstance(item, Message))
        title = part.get_filename() or f"message-{number}.{'eml' if mime == 'message/rfc822' else 'txt'}"
        options = replace(options, format="eml" if mime == "message/rfc822" else "text")
        return add_member(builder, inner, title, options, warnings, title=title)
    if part.get_content_maintype() == "text":
        options = replace(options, encoding=_charset(part, warnings))
    return add_member(builder, _payload(part), title, options, warnings, title=title)


def _keys(part: MIMEPart) -> tuple[str, ...]:
    found = (str(part.get("Content-ID", "")).strip().strip("<>"), str(part.get("Content-Location", "")).strip())
    return tuple(filter(None, found))


def _alternatives(message: EmailMessage) -> set[int]:
    """Return the parts that say again what the body says."""
    return {
        id(part)
        for whole in message.walk()
        if whole.get_content_type() == "multipart/alternative"
        for part in _parts(whole)
        if part.get_content_type() in ("text/plain", "text/html")
    }


def _parts(part: Message) -> list[MIMEPart]:
    payload = part.get_payload()
    return [inner for inner in payload if isinstance(inner, MIMEPart)] if isinstance(payload, list) else []


def _payload(part: MIMEPart) -> bytes:
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def _charset(part: MIMEPart, warnings: list[str]) -> str | None:
    """Return the encoding that a part says it has; None where its bytes say otherwise."""
    said = str(part.get_content_charset() or "")
    data = _payload(part)
    try:
        name = codecs.lookup(said).name if said else ""
        name = _WIDER.get(name, name)  # what is said to be GB2312 is mostly one of the encodings that hold it
        data.decode(name or "utf-8")
    except (LookupError, ValueError):
        if said:
            warnings.append(f"A part says that it is {said!r}, which it is not; what it is was detected.")
        return None
    if name in _SINGLE_BYTE and not data.isascii() and _is_utf8(data):
        warnings.append(f"A part says that it is {said!r}, and is UTF-8; it was read as that.")
        return "utf-8"
    return name or None


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _extension(mime: str) -> str:
    return next((f".{ends[0]}" for kind, ends in FORMATS.values() if kind == mime and ends), "")

"""From a message to a document, its attachments and the messages in it included."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from email.utils import format_datetime
from io import BytesIO
from typing import TYPE_CHECKING

from polyport.errors import MissingDependencyError
from polyport_gateway.knowledge.documents import (
    DocumentBuilder,
    Parsed,
    Receipt,
    Skipped,
    UnreadableDocumentError,
    source_of,
)
from polyport_gateway.knowledge.readers.base import ReadOptions
from polyport_gateway.knowledge.readers.detect import FORMATS
from polyport_gateway.knowledge.readers.letter import Inline, begin
from polyport_gateway.knowledge.readers.members import add_member, add_parsed

from .properties import Storage
from .rtf import codec_of, html_of, unpacked

if TYPE_CHECKING:
    import olefile

__all__ = ["OutlookReader"]

_CLASS, _SUBJECT, _HEADERS, _SENT, _RECEIVED = 0x001A, 0x0037, 0x007D, 0x0039, 0x0E06
_SENDER, _SENDER_ADDRESS, _SENDER_SMTP, _ID, _REPLY_TO, _REFERENCES = 0x0C1A, 0x0C1F, 0x5D01, 0x1035, 0x1042, 0x1039
_BODY, _RTF, _HTML = 0x1000, 0x1009, 0x1013
_NAME, _ADDRESS, _SMTP, _ROLE = 0x3001, 0x3003, 0x39FE, 0x0C15
_DATA, _SHORT_NAME, _LONG_NAME, _MIME, _CONTENT_ID, _LOCATION = 0x3701, 0x3704, 0x3707, 0x370E, 0x3712, 0x3713
_ROLES = {1: "To", 2: "Cc", 3: "Bcc"}
_MOST_ATTACHMENTS = 1000


class OutlookReader:
    """As an `.eml`: subject, who to whom and when, body, attachments. Of several bodies the HTML one is read."""

    name = "outlook"
    formats = frozenset({"msg"})

    def read(self, data: bytes, name: str, options: ReadOptions) -> Parsed:
        """Read a message.

        Raises:
            UnreadableDocumentError: It is damaged, or no message.
        """
        try:
            import olefile
        except ImportError:
            raise MissingDependencyError("Reading Outlook messages", extra="documents") from None
        try:
            file = olefile.OleFileIO(BytesIO(data))
        except (OSError, ValueError, IndexError) as error:
            raise UnreadableDocumentError(name, f"it is a damaged or truncated message ({error}).") from None
        with file:
            return self._read(file, (), data, name, replace(options, format=None, encoding=None))

    def _read(
        self, file: olefile.OleFileIO, path: tuple[str, ...], data: bytes, name: str, options: ReadOptions
    ) -> Parsed:
        started = time.perf_counter()
        message = Storage(file, path)
        builder = DocumentBuilder(source_of(data, name, FORMATS["msg"][0]))
        warnings: list[str] = []
        kind = message.text(_CLASS) or ""
        if kind and not kind.upper().startswith(("IPM.NOTE", "REPORT")):
            builder.metadata["message_class"] = kind
            warnings.append(f"It is no letter but {kind!r}: only what it has in common with one was read.")
        begin(builder, _headers(message))
        attachments = list(message.folders("__attach"))
        if len(attachments) > _MOST_ATTACHMENTS:
            raise UnreadableDocumentError(
                name, f"it has {len(attachments):,} attachments; {_MOST_ATTACHMENTS:,} are read."
            )
        inline = Inline(
            {
                key: lambda found=found: found.binary(_DATA) or b""  # type: ignore[misc]
                for found in attachments
                for key in _keys(found)
            }
        )
        skipped = _body(message, builder, replace(options, resource=inline), warnings)
        for number, attachment in enumerate(attachments, 1):
            if not inline.used.intersection(_keys(attachment)):
                skipped += self._attachment(attachment, number, file, builder, options, warnings)
        if not len(builder):
            raise UnreadableDocumentError(name, "it holds no message: no subject, no sender, no body.")
        document = builder.build()
        receipt = Receipt.of(
            document,
            reader=self.name,
            format="msg",
            skipped=skipped,
            warnings=warnings,
            seconds=time.perf_counter() - started,
        )
        return Parsed(document, receipt)

    def _attachment(
        self,
        attachment: Storage,
        number: int,
        file: olefile.OleFileIO,
        builder: DocumentBuilder,
        options: ReadOptions,
        warnings: list[str],
    ) -> list[Skipped]:
        name = attachment.text(_LONG_NAME) or attachment.text(_SHORT_NAME) or attachment.text(_NAME)
        inner = attachment.message()
        if inner is None:
            name = name or f"attachment-{number}{_extension(attachment.text(_MIME) or '')}"
            content = attachment.binary(_DATA)
            if content is None:
                return [Skipped("attachment", "its content is not in the message, but linked.", part=name)]
            return add_member(builder, content, name, options, warnings, title=name)
        name = name or f"message-{number}.msg"
        if options.max_depth < 1:
            return [Skipped("file", "files inside files go no deeper than `max_depth`.", part=name)]
        try:
            parsed = self._read(file, inner.path, b"", name, replace(options, max_depth=options.max_depth - 1))
        except UnreadableDocumentError as error:
            return [Skipped("file", error.reason, part=name)]
        return add_parsed(builder, parsed, name, warnings, title=name)


def _headers(message: Storage) -> dict[str, str]:
    sent = message.time(_SENT) or message.time(_RECEIVED)
    found = {
        "From": _person(
            message.text(_SENDER), message.text(_SENDER_SMTP) or message.text(_SENDER_ADDRESS)
        ),
        "Date": format_datetime(sent) if sent else "",
        "Subject": _folded(message.text(_SUBJECT)),
        "Message-ID": _folded(message.text(_ID)),
        "In-Reply-To": _folded(message.text(_REPLY_TO)),
        "References": _folded(message.text(_REFERENCES)),
    }  # fmt: skip
    several: dict[str, list[str]] = {}
    for recipient in message.folders("__recip"):
        person = _person(recipient.text(_NAME), recipient.text(_SMTP) or recipient.text(_ADDRESS))
        several.setdefault(_ROLES.get((recipient.integer(_ROLE) or 1) & 3, "To"), []).append(person)
    return {**found, **{role: ", ".join(filter(None, people)) for role, people in several.items()}}


def _folded(text: str | None) -> str:
    return " ".join((text or "").split())


def _person(name: str | None, address: str | None) -> str:
    name, address = _folded(name), _folded(address)
    if "@" not in address or name == address:  # an address of Exchange's own says nothing
        return name or address
    return f"{name} <{address}>" if name else address


def _keys(attachment: Storage) -> tuple[str, ...]:
    return tuple(filter(None, ((attachment.text(_CONTENT_ID) or "").strip("<>"), attachment.text(_LOCATION))))


def _body(message: Storage, builder: DocumentBuilder, options: ReadOptions, warnings: list[str]) -> list[Skipped]:
    rtf = b""
    try:
        rtf = unpacked(message.binary(_RTF) or b"") if message.binary(_RTF) else b""
    except ValueError as error:
        warnings.append(f"One form of its body can't be read: {error}.")
    text = message.text(_HTML)
    if text is None and message.binary(_HTML) is None:
        text = html_of(rtf)
    if text is not None:
        options = replace(options, format="html", encoding="utf-8")
        return add_member(builder, text.encode("utf-8", "replace"), "body.html", options, warnings, title=None)
    html = message.binary(_HTML)
    if html is not None:
        return add_member(builder, html, "body.html", _html_options(message, html, options), warnings, title=None)
    plain = message.text(_BODY)
    if plain is not None and plain.strip():
        options = replace(options, format="text", encoding="utf-8")
        return add_member(builder, plain.encode("utf-8", "replace"), "body.txt", options, warnings, title=None)
    return add_member(builder, rtf, "body.rtf", options, warnings, title=None) if rtf else []


def _html_options(message: Storage, html: bytes, options: ReadOptions) -> ReadOptions:
    codec = codec_of(message.codepage)
    try:
        html.decode(codec)
    except (LookupError, UnicodeDecodeError):
        codec = None  # type: ignore[assignment]
    return replace(options, format="html", encoding=codec if b"charset" not in html[:4096].lower() else None)


def _extension(mime: str, formats: Mapping[str, tuple[str, tuple[str, ...]]] = FORMATS) -> str:
    return next((f".{ends[0]}" for kind, ends in formats.values() if kind == mime and ends), "")

"""Subtitles: SubRip (``.srt``) and WebVTT (https://www.w3.org/TR/webvtt1/), a paragraph for each cue, with its time."""

from __future__ import annotations

import html
import re
import time

from polyport_gateway.knowledge.documents import (
    DocumentBuilder,
    Mark,
    Note,
    Paragraph,
    Parsed,
    Provenance,
    Receipt,
    Skipped,
    Span,
    TimeSpan,
    UnreadableDocumentError,
    source_of,
)

from .base import ReadOptions
from .detect import FORMATS, detect
from .text import decode

__all__ = ["SubtitleReader"]

_STAMP = r"(?:(\d{1,9}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
_TIMING = re.compile(rf"[ \t]*{_STAMP}[ \t]*-->[ \t]*{_STAMP}(?:[ \t]+(.*))?")
_GAP = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_TAG = re.compile(
    r"<(/?)(b|i|u|s|v|c|lang|ruby|rt|font|\d[\d:.]*)(?:\.[^\s<>]*)?(?:[ \t\n]+([^<>]*))?>|\{\\[^{}]*\}", re.IGNORECASE
)
_STYLES = {"b": "bold", "i": "italic", "u": "underline", "s": "strike"}
_NOTED = ("NOTE", "STYLE", "REGION")


class SubtitleReader:
    """The text of a cue is what is said, with who says it; when is in ``provenance.time``."""

    name = "subtitles"
    formats = frozenset({"srt", "vtt"})

    def read(self, data: bytes, name: str, options: ReadOptions) -> Parsed:
        """Read subtitles.

        Raises:
            UnreadableDocumentError: There is no cue in it.
        """
        started = time.perf_counter()
        format = options.format or detect(data, name).format  # noqa: A001
        decoded = decode(data, name, options.encoding)
        builder = DocumentBuilder(source_of(data, name, FORMATS[format][0]))
        builder.metadata["encoding"] = decoded.encoding
        skipped: list[Skipped] = []
        text, position, cues = decoded.text, 0, 0
        for gap in [*_GAP.finditer(text), None]:
            end = len(text) if gap is None else gap.start()
            cues += _block(builder, text, position, end, skipped)
            position = end if gap is None else gap.end()
        if not cues:
            raise UnreadableDocumentError(name, "it has no cue: no line such as 00:00:01,000 --> 00:00:02,000.")
        document = builder.build()
        receipt = Receipt.of(
            document,
            reader=self.name,
            format=format,
            skipped=skipped,
            warnings=decoded.warnings,
            seconds=time.perf_counter() - started,
        )
        return Parsed(document, receipt)


def _block(builder: DocumentBuilder, text: str, start: int, end: int, skipped: list[Skipped]) -> bool:
    """Add what stands between two empty lines; tell whether it is a cue."""
    piece = text[start:end].strip("\n")
    lines = piece.split("\n")
    at = next((number for number, line in enumerate(lines[:2]) if "-->" in line), None)
    timing = _TIMING.match(lines[at]) if at is not None else None
    if timing is None or at is None:
        _other(builder, piece, Span(start, end), skipped)
        return False
    when = TimeSpan(_seconds(timing.groups()[:4]), _seconds(timing.groups()[4:8]))
    # A number only counts the cues; any other line before the time is a name that somebody gave.
    given = lines[0].strip() if at and not lines[0].strip().isdigit() else None
    said, marks = _said("\n".join(lines[at + 1 :]))
    if said:
        where = Provenance(source_span=Span(start, end), part=given, time=when)
        builder.add(Paragraph(text=said, marks=marks, provenance=where))
    return True


def _other(builder: DocumentBuilder, piece: str, where: Span, skipped: list[Skipped]) -> None:
    first = piece.split(None, 1)[0] if piece.strip() else ""
    if first == "WEBVTT":
        title = piece.split("\n", 1)[0][len("WEBVTT") :].strip(" \t-")
        if title:
            builder.metadata["title"] = title
        for key, _, value in (line.partition(":") for line in piece.split("\n")[1:]):
            builder.metadata[key.strip().lower()] = value.strip()
    elif first == "NOTE":
        note = piece[len("NOTE") :].strip()
        if note:
            builder.add(Note(text=note, category="comment", provenance=Provenance(source_span=where)))
    elif first and first not in _NOTED:
        skipped.append(Skipped("cue", f"it has no time that can be read: {piece[:60]!r}."))


def _seconds(groups: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, fraction = groups
    return (
        int(hours or 0) * 3600
        + int(minutes or 0) * 60
        + int(seconds or 0)
        + int((fraction or "0").ljust(3, "0")) / 1000
    )


def _said(raw: str) -> tuple[str, tuple[Mark, ...]]:
    """Return a cue's text without its tags, and its marks; a voice stands before what it says."""
    parts: list[str] = []
    marks: list[Mark] = []
    begun: dict[str, int] = {}
    length = position = 0
    for tag in _TAG.finditer(raw):
        piece = html.unescape(raw[position : tag.start()])
        position = tag.end()
        closing, kind, note = tag.group(1), (tag.group(2) or "").lower(), tag.group(3)
        if kind == "v" and not closing and note:
            piece += f"{html.unescape(note.strip())}: "
        parts.append(piece)
        length += len(piece)
        if kind in _STYLES:
            if not closing:
                begun[kind] = length
            elif begun.get(kind, length) < length:
                marks.append(Mark(begun.pop(kind), length, _STYLES[kind]))
    text = "".join([*parts, html.unescape(raw[position:])])
    kept = text.strip()
    lead = len(text) - len(text.lstrip())
    moved = (Mark(max(mark.start - lead, 0), min(mark.end - lead, len(kept)), mark.kind) for mark in marks)
    return kept, tuple(sorted(mark for mark in moved if mark.start < mark.end))

"""Plain text: which encoding it is in, and its paragraphs."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from polyport.errors import MissingDependencyError
from polyport_gateway.knowledge.documents import (
    DocumentBuilder,
    PageBreak,
    Paragraph,
    Parsed,
    Provenance,
    Receipt,
    Span,
    UnreadableDocumentError,
    source_of,
)

from .base import ReadOptions
from .detect import FORMATS

__all__ = ["Decoded", "TextReader", "decode", "guessed_encoding"]

_BOMS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_SAMPLE = 64 * 1024
_OTHER_ASIAN = frozenset({"euc_kr", "cp949", "euc_jp", "euc_jis_2004", "euc_jisx0213", "shift_jis", "cp932"})
_ENOUGH = 0.8
_WESTERN = frozenset("àâçèéêëîïôùûüÿœæáíóúñäöåßÀÂÇÈÉÊËÎÏÔÙÛÜŒÆÁÍÓÚÑÄÖÅ€‘’“”–—…«»°¿¡".encode("cp1252"))


@dataclass(frozen=True, slots=True)
class Decoded:
    r"""A file's text, with every line break as ``\n``.

    Args:
        text: The whole.
        encoding: What it was read as.
        warnings: What could not be read.
    """

    text: str
    encoding: str
    warnings: tuple[str, ...] = ()


def decode(data: bytes, name: str, encoding: str | None = None) -> Decoded:
    """Read bytes as text; a byte that is none in its encoding becomes U+FFFD, with a warning.

    Args:
        data: The whole file.
        name: For an error.
        encoding: Use this one, instead of what the bytes look like.

    Raises:
        UnreadableDocumentError: There is no such encoding.
    """
    chosen = encoding or _encoding(data)
    warnings = []
    try:
        text = data.decode(chosen, "strict")
    except UnicodeDecodeError as error:
        text = data.decode(chosen, "replace")
        warnings.append(f"From byte {error.start} on, not all is {chosen}; what is not was replaced by U+FFFD.")
    except (LookupError, ValueError) as error:
        raise UnreadableDocumentError(name, f"it can't be read as {chosen!r}: {error}.") from None
    if "\x00" in text:
        warnings.append(f"{text.count(chr(0))} NUL characters were replaced by U+FFFD.")
        text = text.replace("\x00", "\ufffd")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return Decoded(text.removeprefix("\ufeff"), chosen, tuple(warnings))


def _encoding(data: bytes) -> str:
    for mark, name in _BOMS:
        if data.startswith(mark):
            return name
    wide = _wide(data[:_SAMPLE])
    if wide:
        return wide
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return _guessed(_sample(data, error.start), likely_utf8=_mostly_utf8(data))
    return "utf-8"


def _wide(sample: bytes) -> str | None:
    # UTF-16 without a mark: most Latin letters, blanks and line breaks have a NUL on one side.
    if len(sample) < 4 or 0 not in sample:
        return None
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    half = len(sample) // 2
    if sample[:4].count(0) == 3:
        return "utf-32-be" if sample[0] == 0 else "utf-32-le"
    if odd > 4 * even and odd > half // 20:
        return "utf-16-le"
    return "utf-16-be" if even > 4 * odd and even > half // 20 else None


def _sample(data: bytes, first: int) -> bytes:
    # Around the first byte that is not ASCII, from a line's start, for the rest says nothing.
    start = max(data.rfind(b"\n", 0, first) + 1, first - 1024)
    return data[start : start + _SAMPLE]


def _mostly_utf8(data: bytes) -> bool:
    text = data[:_SAMPLE].decode("utf-8", "replace")
    good = sum(character > "\x7f" and character != "\ufffd" for character in text)
    return good > 4 * text.count("\ufffd")


def _guessed(sample: bytes, *, likely_utf8: bool) -> str:
    return "utf-8" if likely_utf8 else guessed_encoding(sample)


def guessed_encoding(sample: bytes) -> str:
    """Return which encoding bytes that are no UTF-8 are most likely in."""
    try:
        from charset_normalizer import from_bytes
    except ImportError:
        raise MissingDependencyError("Detecting the encoding of a text", extra="documents") from None
    best = from_bytes(sample).best()
    name = best.encoding if best else ""
    # Hangul stands from B0 to C8; a short Chinese text is taken for Korean, but has characters beyond.
    korean = name not in ("euc_kr", "cp949") or _frequent(sample, 0xB0, 0xC8, 0xA1) >= _ENOUGH
    if name in _OTHER_ASIAN and korean:
        return name
    scores = {"gb18030": _frequent(sample, 0xB0, 0xD7, 0xA1), "big5": _frequent(sample, 0xA4, 0xC6, 0x40)}
    likely = max(scores, key=lambda key: scores[key])
    if scores[likely] >= _ENOUGH:
        # cp950 and HKSCS hold the characters that Taiwan's and Hong Kong's texts add to Big5.
        return "big5hkscs" if likely == "big5" else likely
    high = {byte for byte in sample if byte >= 0x80}
    # The neighbours of cp1252 differ in few letters, and short texts are taken for them.
    return "cp1252" if high <= _WESTERN or not name else name


def _frequent(sample: bytes, low: int, high: int, trail: int) -> float:
    """Return the share of two-byte characters that are among an encoding's frequent ones."""
    hits = total = position = 0
    while position < len(sample) - 1:
        if sample[position] < 0x80:
            position += 1
            continue
        first, second = sample[position], sample[position + 1]
        # Punctuation and full-width forms (A1–A3) are neither for nor against.
        if first > 0xA3:
            total += 1
            hits += low <= first <= high and second >= trail
        elif first < 0xA1:
            total += 1
        position += 2
    return hits / total if total else 0.0


_GAP = re.compile(r"\n(?:[^\S\n]*\n)+|\f")


class TextReader:
    """Paragraphs are what empty lines part; a form feed ends a page."""

    name = "text"
    formats = frozenset({"text"})

    def read(self, data: bytes, name: str, options: ReadOptions) -> Parsed:
        """Read plain text in any common encoding."""
        started = time.perf_counter()
        decoded = decode(data, name, options.encoding)
        builder = DocumentBuilder(source_of(data, name, FORMATS["text"][0]))
        builder.metadata["encoding"] = decoded.encoding
        page, position, text = 1, 0, decoded.text
        paged = "\f" in text
        for gap in _GAP.finditer(text):
            _add(builder, text, position, gap.start(), page if paged else None)
            position = gap.end()
            if gap.group().startswith("\f"):
                page += 1
                builder.add(PageBreak(page=page, provenance=Provenance(page=page)))
        _add(builder, text, position, len(text), page if paged else None)
        document = builder.build()
        seconds = time.perf_counter() - started
        return Parsed(
            document,
            Receipt.of(document, reader=self.name, format="text", warnings=decoded.warnings, seconds=seconds),
        )


def _add(builder: DocumentBuilder, text: str, start: int, end: int, page: int | None) -> None:
    piece = text[start:end].rstrip()
    if not piece:
        return
    # Blanks at a line's start may mean something; line breaks before the first line do not.
    lead = len(piece) - len(piece.lstrip("\n"))
    span = Span(start + lead, start + len(piece))
    builder.add(Paragraph(text=piece[lead:], provenance=Provenance(page=page, source_span=span)))

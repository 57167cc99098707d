"""A message body as RTF: compressed (MS-OXRTFCP), and with HTML inside it (MS-OXRTFEX)."""

from __future__ import annotations

import re
import struct

__all__ = ["codec_of", "html_of", "unpacked"]

_START = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans Serif"
    rb"SymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0" + b"\r\n" + rb"\par "
    rb"\pard\plain\f0\fs20\b\i\u\tab\tx"
)
_COMPRESSED, _PLAIN = 0x75465A4C, 0x414C454D
_WINDOW = 4096
_MOST_BYTES = 64 << 20

_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\(.)|([{}])|[\r\n]+|([^\\{}\r\n]+)", re.DOTALL
)
_CHARSETS = {0: 1252, 77: 10000, 128: 932, 129: 949, 134: 936, 136: 950, 161: 1253, 162: 1254, 163: 1258, 177: 1255,
             178: 1256, 186: 1257, 204: 1251, 222: 874, 238: 1250}  # fmt: skip
_CODECS = {
    936: "gb18030", 950: "big5hkscs", 10000: "mac_roman", 20127: "ascii", 20866: "koi8-r", 21866: "koi8-u",
    50220: "iso2022_jp", 50221: "iso2022_jp", 50222: "iso2022_jp", 51932: "euc_jp", 51936: "gb18030", 51949: "euc_kr",
    52936: "hz", 54936: "gb18030", 65000: "utf-7", 65001: "utf-8",
}  # fmt: skip
_SIGNS = {b"par": "\n", b"line": "\n", b"tab": "\t", b"lquote": "‘", b"rquote": "’", b"ldblquote": "“",
          b"rdblquote": "”", b"bullet": "•", b"endash": "–", b"emdash": "—"}  # fmt: skip
_LEFT_OUT = frozenset({b"fonttbl", b"colortbl", b"stylesheet", b"info", b"pict", b"object"})


def codec_of(codepage: int) -> str:
    """Return Python's name of a Windows codepage."""
    if 28590 < codepage < 28606:
        return f"iso8859-{codepage - 28590}"
    return _CODECS.get(codepage) or f"cp{codepage}"


def unpacked(data: bytes) -> bytes:
    """Return the RTF of a compressed body.

    Raises:
        ValueError: It is damaged.
    """
    if len(data) < 16:
        raise ValueError("a compressed body is cut off")
    _, size, kind, _ = struct.unpack_from("<4L", data)
    if kind == _PLAIN:
        return data[16 : 16 + size]
    if kind != _COMPRESSED or size > _MOST_BYTES:
        raise ValueError("a compressed body has a header that is none")
    window = bytearray(_WINDOW)
    window[: len(_START)] = _START
    at, found, position = len(_START), bytearray(), 16
    while position < len(data):
        flags = data[position]
        position += 1
        for bit in range(8):
            step = 2 if flags >> bit & 1 else 1
            if position + step > len(data) or len(found) >= size:
                return bytes(found[:size])
            if step == 1:
                piece = data[position : position + 1]
            else:
                pointer = int.from_bytes(data[position : position + 2], "big")
                offset, length = pointer >> 4, (pointer & 15) + 2
                if offset == at:
                    return bytes(found[:size])
                piece = _copied(window, offset, at, length)
            position += step
            for byte in piece:
                window[at] = byte
                at = (at + 1) % _WINDOW
            found += piece
    return bytes(found[:size])


def _copied(window: bytearray, offset: int, at: int, length: int) -> bytes:
    # What is copied may reach into what is written by it.
    distance = (at - offset) % _WINDOW or _WINDOW
    return bytes(window[(offset + number % distance) % _WINDOW] for number in range(length))


def html_of(rtf: bytes) -> str | None:
    """Return the HTML that was wrapped in RTF, or None where there is none."""
    return _Unwrapping(rtf).html() if b"\\fromhtml1" in rtf[:1000] else None


class _Unwrapping:
    def __init__(self, rtf: bytes) -> None:
        self._rtf = rtf
        self._parts: list[str] = []
        self._bytes = bytearray()
        self._fonts: dict[int, str] = {}
        self._font = 0
        self._codec = "cp1252"
        self._unicode_length = 1
        self._to_skip = 0
        # Of each open group: what it is ("" shown, "tag", "fonts", "off"), whether text is RTF's only, and its font.
        self._groups: list[tuple[str, bool, int]] = []
        self._kind, self._rtf_only = "", False
        self._starred = False

    def html(self) -> str:
        for token in _TOKEN.finditer(self._rtf):
            word, number, code, sign, brace, text = token.groups()
            if brace:
                self._brace(brace)
            elif word:
                self._word(word, int(number) if number else None)
            elif code:
                self._byte(bytes([int(code, 16)]))
            elif sign:
                self._sign(sign)
            elif text:
                self._byte(text)
        self._flush()
        # A character beyond the first plane comes as two halves.
        return "".join(self._parts).encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def _brace(self, brace: bytes) -> None:
        self._flush()
        if brace == b"{":
            self._groups.append((self._kind, self._rtf_only, self._font))
        elif self._groups:
            self._kind, self._rtf_only, self._font = self._groups.pop()
        self._starred = False
        self._to_skip = 0

    def _word(self, word: bytes, number: int | None) -> None:
        if word != b"u":
            self._to_skip = 0
        starred, self._starred = self._starred, False
        if word == b"htmltag":
            self._kind = "tag"
        elif starred or word in _LEFT_OUT:
            self._kind = "fonts" if word == b"fonttbl" else "off"
        elif word == b"htmlrtf":
            self._flush()
            self._rtf_only = number != 0
        elif word in (b"f", b"fcharset", b"ansicpg", b"uc"):
            self._set(word, number or 0)
        elif word == b"u" and number is not None:
            self._flush()
            self._add(chr(number % 65536))
            self._to_skip = self._unicode_length
        elif word in _SIGNS:
            self._flush()
            self._add(_SIGNS[word])

    def _set(self, word: bytes, number: int) -> None:
        self._flush()
        if word == b"f":
            self._font = number
        elif word == b"fcharset" and self._kind == "fonts":
            self._fonts[self._font] = codec_of(_CHARSETS.get(number, 1252)) if number > 1 else ""
        elif word == b"ansicpg":
            self._codec = codec_of(number)
        elif word == b"uc":
            self._unicode_length = number

    def _sign(self, sign: bytes) -> None:
        if sign == b"*":
            self._starred = True
        elif sign in b"{}\\":
            self._byte(sign)
        elif sign == b"~":
            self._flush()
            self._add("\u00a0")
        elif sign == b"_":
            self._byte(b"-")

    def _byte(self, piece: bytes) -> None:
        left = piece[self._to_skip :]
        self._to_skip = max(self._to_skip - len(piece), 0)
        self._bytes += left

    def _flush(self) -> None:
        if not self._bytes:
            return
        # A tag's bytes are in the body's codepage; text is in that of its font.
        codec = self._codec if self._kind == "tag" else self._fonts.get(self._font) or self._codec
        try:
            text = self._bytes.decode(codec, "replace")
        except LookupError:
            text = self._bytes.decode("cp1252", "replace")
        self._bytes.clear()
        self._add(text)

    def _add(self, text: str) -> None:
        if self._kind == "tag" or (not self._kind and not self._rtf_only):
            self._parts.append(text)

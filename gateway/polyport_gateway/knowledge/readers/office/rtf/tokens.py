"""RTF's tokens (Rich Text Format Specification 1.9.1), its characters decoded."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["CHARSETS", "Token", "codepage", "tokens"]

_TOKEN = re.compile(
    rb"\\([A-Za-z]{1,32})(-?[0-9]{1,10})? ?|\\'([0-9A-Fa-f]{2})|\\([^A-Za-z'])|([{}])|([\r\n]+)|([^\\{}\r\n]+)|\\"
)
CHARSETS = {
    0: 1252, 77: 10000, 128: 932, 129: 949, 130: 1361, 134: 936, 136: 950, 161: 1253, 162: 1254, 163: 1258, 177: 1255,
    178: 1256, 186: 1257, 204: 1251, 222: 874, 238: 1250, 254: 437,
}  # fmt: skip
"""The code page of each font's character set."""
_NAMES = {10000: "mac_roman", 1361: "johab", 65001: "utf-8", 936: "gb18030"}


class Token(NamedTuple):
    """A piece of the file.

    Args:
        kind: ``word`` (a control word), ``sign`` (a control symbol), ``byte``, ``text``, ``open``, ``close`` or
            ``binary``.
        text: The word, the sign or the text.
        number: A word's parameter.
        data: Of a byte, a text or what is binary.
    """

    kind: str
    text: str = ""
    number: int | None = None
    data: bytes = b""


def tokens(data: bytes) -> Iterator[Token]:
    """Cut a file into tokens; what makes no sense is passed over."""
    position = 0
    while position < len(data):
        match = _TOKEN.match(data, position)
        if match is None:
            position += 1
            continue
        position = match.end()
        word, number, byte, sign, brace, _, text = match.groups()
        if word is not None:
            parameter = None if number is None else int(number)
            if word == b"bin":
                size = min(max(parameter or 0, 0), len(data) - position)
                yield Token("binary", data=data[position : position + size])
                position += size
            else:
                yield Token("word", word.decode("ascii"), parameter)
        elif byte is not None:
            yield Token("byte", data=bytes([int(byte, 16)]))
        elif sign is not None:
            yield Token("sign", sign.decode("latin-1"))
        elif brace is not None:
            yield Token("open" if brace == b"{" else "close")
        elif text is not None:
            yield Token("text", data=text)


def codepage(number: int) -> str:
    """Return Python's name of a code page; Western European for one that it doesn't know."""
    name = _NAMES.get(number, f"cp{number}")
    try:
        return codecs.lookup(name).name
    except LookupError:
        return "cp1252"

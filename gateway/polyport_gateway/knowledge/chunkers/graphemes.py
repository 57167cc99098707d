"""Where a text can be cut without breaking what a reader sees as one character."""

from __future__ import annotations

import re
from functools import lru_cache
from unicodedata import category, combining

__all__ = ["is_safe_cut", "safe_cut"]

_PLAIN = re.compile(r"[\x00-\x0c\x0e-\u02ff\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\u3001\u3002\uff0c]")
"""Characters that join nothing on their left; a carriage return is none, nor is what may combine."""

_LOOK_BACK = 64


def safe_cut(text: str, position: int, floor: int) -> int:
    """Return the last position up to ``position`` and after ``floor`` that is inside no grapheme cluster.

    Follows Unicode's UAX #29 on the safe side: some places where it allows a cut are passed over. ``position`` itself
    comes back when there is none, or none within 64 characters.
    """
    for cut in range(position, max(floor, position - _LOOK_BACK), -1):
        if is_safe_cut(text, cut, floor):
            return cut
    return position


def is_safe_cut(text: str, cut: int, floor: int = 0) -> bool:
    """Tell whether no grapheme cluster is broken where a text is cut; at ``floor`` none is, as far as is known."""
    if cut <= 0 or cut >= len(text):
        return True
    after, before = text[cut], text[cut - 1]
    if before == "\r":
        return after != "\n"
    if before < "\u0300" and (after < "\u0300" or _PLAIN.match(after)):
        return True
    if before in "\n\t" or after in "\r\n\t":
        return True
    if _extends(after) or _binds(before):
        return False
    if "\U0001f1e6" <= after <= "\U0001f1ff":
        return _flags_before(text, cut, floor) % 2 == 0
    return not (_jamo(after) and (_jamo(before) or "\uac00" <= before <= "\ud7a3")) and not (
        "\uac00" <= after <= "\ud7a3" and _jamo(before)
    )


@lru_cache(maxsize=4096)
def _extends(character: str) -> bool:
    code = ord(character)
    return (
        category(character) in {"Mn", "Me", "Mc"}
        or code in (0x200C, 0x200D, 0x0E33, 0x0EB3)
        or 0xFF9E <= code <= 0xFF9F
        or 0x1F3FB <= code <= 0x1F3FF
        or 0xE0020 <= code <= 0xE007F
    )


@lru_cache(maxsize=4096)
def _binds(character: str) -> bool:
    # A joiner, a virama (Indic conjuncts), and the signs that stand before what they belong to.
    code = ord(character)
    return (
        code == 0x200D
        or combining(character) == 9
        or 0x0600 <= code <= 0x0605
        or code in (0x06DD, 0x070F, 0x0890, 0x0891, 0x08E2, 0x0D4E, 0x110BD, 0x110CD)
        or (code > 0x11000 and category(character) in {"Lo", "Cf", "Mn"} and code < 0x12000)
    )


def _jamo(character: str) -> bool:
    code = ord(character)
    return 0x1100 <= code <= 0x11FF or 0xA960 <= code <= 0xA97C or 0xD7B0 <= code <= 0xD7FB


def _flags_before(text: str, cut: int, floor: int) -> int:
    start = cut
    while start > floor and "\U0001f1e6" <= text[start - 1] <= "\U0001f1ff":
        start -= 1
    return cut - start

"""What a character's script asks of the setting of a text."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

__all__ = ["HAN", "HANGUL", "facing", "is_rtl", "rtl_share"]

_OPENING, _CLOSING = "([{«", ")]}»"

HAN = re.compile(r"[\u2e80-\u2fdf\u3000-\u30ff\u3100-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
                 r"\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff]")  # fmt: skip
"""Characters of Chinese and Japanese, their punctuation included: no blank stands between two."""
HANGUL = re.compile(r"[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]")


@lru_cache(maxsize=8192)
def is_rtl(character: str) -> bool | None:
    """Tell whether a character is written from right to left; None for one that takes its neighbours' direction."""
    direction = unicodedata.bidirectional(character)
    if direction in ("R", "AL"):
        return True
    return False if direction in ("L", "EN", "AN") else None


def rtl_share(text: str) -> float:
    """Return the share of letters written from right to left."""
    if text.isascii():
        return 0.0
    found = [way for character in text if (way := is_rtl(character)) is not None]
    return sum(found) / len(found) if found else 0.0


def facing(text: str) -> str:
    """Turn a bracket at the start or end of a word on a right-to-left line so that it opens or closes."""
    if text[0] in _CLOSING and not any(sign in text[1:] for sign in _CLOSING + _OPENING):
        text = _OPENING[_CLOSING.index(text[0])] + text[1:]
    elif text[-1] in _OPENING and not any(sign in text[:-1] for sign in _CLOSING + _OPENING):
        text = text[:-1] + _CLOSING[_OPENING.index(text[-1])]
    return text

"""What a character's script asks of the setting of a text."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

__all__ = ["HAN", "HANGUL", "is_rtl", "rtl_share"]

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

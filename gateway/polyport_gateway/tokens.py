"""A rule of thumb for tokens, where there is no tokenizer: a word, or one Chinese, Japanese or Korean character."""

from __future__ import annotations

import re

__all__ = ["count_tokens", "split_pieces"]

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_PIECE = re.compile(rf"\s*[{_CJK}]|\s*[^\s{_CJK}]+|\s+$")


def split_pieces(text: str) -> list[str]:
    """Cut a text into the pieces that are streamed and counted as tokens.

    A piece is a word with the white space before it, or one Chinese, Japanese or Korean character.

    >>> split_pieces("two words")
    ['two', ' words']
    """
    return _PIECE.findall(text)


def count_tokens(text: str) -> int:
    """Return how many pieces a text has."""
    return sum(1 for _ in _PIECE.finditer(text))

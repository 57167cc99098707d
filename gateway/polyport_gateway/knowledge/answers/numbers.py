"""The numbers that a text states, however they are written: ``1,000``, ``1.5 million``, ``two``, ``三百``, ``5月``.

What is compared is the value, so that an answer may write a number in another way than its source does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

__all__ = ["numbers_of"]

_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_SMALL = {word: value for value, word in enumerate(_WORDS.split())}
_TENS_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"
_TENS = {word: 10 * value for value, word in enumerate(_TENS_WORDS.split(), 2)}
_SCALES = {
    "hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12,
    "百": 10**2, "千": 10**3, "万": 10**4, "萬": 10**4, "百万": 10**6, "千万": 10**7, "亿": 10**8, "億": 10**8,
    "百亿": 10**10, "千亿": 10**11, "万亿": 10**12, "k": 10**3, "m": 10**6, "bn": 10**9,
}  # fmt: skip
_MONTH_WORDS = (
    "january february march april may june july august september october november december "
    "jan feb mar apr may jun jul aug sep oct nov dec"
)
_MONTHS = _MONTH_WORDS.split()
_MONTH = {word: place % 12 + 1 for place, word in enumerate(_MONTHS)} | {"sept": 9}
_ISO = re.compile(r"(?<!\d)(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)")
_DIGITS = re.compile(
    r"(?<![\d.,])(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?(?:(?:st|nd|rd|th)\b)?"
    r"(?:\s?((?i:hundred|thousand|million|billion|trillion|bn\b)|百万|千万|万亿|百亿|千亿|[百千万萬亿億]))?"
)
_SPELLED = re.compile(
    rf"\b((?:{'|'.join([*_SMALL, *_TENS])})(?:[\s\-](?:{'|'.join([*_SMALL, *_TENS])}))?)"
    r"(?:\s(hundred|thousand|million|billion|trillion))?\b",
    re.IGNORECASE,
)
_MONTHS_NEAR = re.compile(
    rf"\b({'|'.join(sorted(_MONTH, key=len, reverse=True))})\b\.?(?=\s+\d)|(?<=\d)\s+(?:of\s+)?"
    rf"({'|'.join(sorted(_MONTH, key=len, reverse=True))})\b",
    re.IGNORECASE,
)
_CHINESE_DIGITS = {character: value for value, character in enumerate("零一二三四五六七八九")} | {
    "〇": 0, "两": 2, "兩": 2,
}  # fmt: skip
_CHINESE_UNITS = {"十": 10, "百": 100, "千": 1000}
_CHINESE = re.compile(r"[零〇一二三四五六七八九十百千两兩]+(?:[万萬亿億][零〇一二三四五六七八九十百千两兩]*)*")
_COUNTED = re.compile(
    r"\s?[年月日号號岁歲个個人名位次场場届屆章条條家座种種部本集季元米里倍点點分天周岛島所支队隊层層度万萬亿億%％]"
)
_VAGUE = frozenset({"1"})
"""Chinese 一 and English "one" are articles and pronouns more often than numbers."""


def numbers_of(text: str) -> frozenset[str]:
    """Return the values of a text's numbers, in plain decimal form.

    >>> sorted(numbers_of("1,500 people, 2.50 million, twenty-one"))
    ['1500', '21', '2500000']
    """
    if not text.isascii():
        text = text.translate(_WIDE)
    return frozenset(_found(text))


_WIDE = {0xFF10 + digit: str(digit) for digit in range(10)} | {0xFF05: "%", 0xFF0E: ".", 0xFF0C: ","}


def _found(text: str) -> Iterator[str]:
    for match in _ISO.finditer(text):
        yield from (_plain(group, None) for group in match.groups())
    for match in _DIGITS.finditer(_ISO.sub(" ", text)):
        yield _plain(match.group(1).replace(",", "") + (match.group(2) or ""), match.group(3))
    for match in _MONTHS_NEAR.finditer(text):
        yield str(_MONTH[(match.group(1) or match.group(2)).lower()])
    for match in _SPELLED.finditer(text):
        words = re.split(r"[\s\-]", match.group(1).lower())
        value = sum(_SMALL.get(word, _TENS.get(word, 0)) for word in words)
        if match.group(2) or str(value) not in _VAGUE:
            yield _plain(str(value), match.group(2))
    for match in _CHINESE.finditer(text):
        if len(match.group()) > 1 or _COUNTED.match(text, match.end()):
            if text.startswith("十分", match.start()):
                continue  # 十分 is "very"
            counted = _chinese(match.group())
            if counted is not None and str(counted) not in _VAGUE:
                yield str(counted)


def _plain(digits: str, scale: str | None) -> str:
    try:
        value = Decimal(digits) * _SCALES.get((scale or "").lower(), 1)
    except InvalidOperation:
        return digits
    return format(value.normalize(), "f") if len(digits) <= 24 else digits


def _chinese(text: str) -> int | None:
    """Return the value of a number in Chinese characters; None for a row of units alone, such as 千百."""
    if not any(character in _CHINESE_DIGITS or character == "十" for character in text):
        return None
    if all(character in _CHINESE_DIGITS for character in text):  # a year: 二〇二四
        return int("".join(str(_CHINESE_DIGITS[character]) for character in text))
    total = section = digit = 0
    for character in text:
        if character in _CHINESE_DIGITS:
            digit = _CHINESE_DIGITS[character]
        elif character in _CHINESE_UNITS:
            section += (digit or 1) * _CHINESE_UNITS[character]
            digit = 0
        else:
            total += (section + digit) * _SCALES[character]
            section = digit = 0
    return total + section + digit

"""The numbers and signs before the items of a list, as they are shown."""

from __future__ import annotations

__all__ = ["counted", "shown_bullet"]

_CHINESE = "〇一二三四五六七八九"
_STEMS = "甲乙丙丁戊己庚辛壬癸"
_BRANCHES = "子丑寅卯辰巳午未申酉戌亥"


def shown_bullet(text: str) -> str:
    """Return the sign before an item of an unnumbered list, whatever its font."""
    # Symbol fonts put their signs into the private use area, where only that font shows them.
    if not text or not text.strip() or any(0xE000 <= ord(letter) <= 0xF8FF for letter in text) or text == "o":
        return "•"
    return text.strip()


def counted(count: int, form: str) -> str:
    """Write a list number in one of Word's formats (section 17.18.59); one not known is written in digits."""
    if form in {"upperRoman", "lowerRoman"}:
        roman = _roman(count)
        return roman if form == "upperRoman" else roman.lower()
    if form in {"upperLetter", "lowerLetter"} and count > 0:
        letters = chr(ord("A") + (count - 1) % 26) * min((count - 1) // 26 + 1, 100)
        return letters if form == "upperLetter" else letters.lower()
    if form == "decimalZero":
        return f"{count:02d}"
    if form == "ordinal":
        suffix = "th" if count % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(count % 10, "th")
        return f"{count}{suffix}"
    if form == "decimalEnclosedCircle" and 1 <= count <= 20:
        return chr(0x2460 + count - 1)
    if form in {"chineseCounting", "chineseCountingThousand", "japaneseCounting", "taiwaneseCountingThousand"}:
        return _chinese(count)
    if form == "ideographTraditional" and 1 <= count <= 10:
        return _STEMS[count - 1]
    if form == "ideographZodiac" and 1 <= count <= 12:
        return _BRANCHES[count - 1]
    return str(count)


def _roman(count: int) -> str:
    if not 0 < count < 4000:
        return str(count)
    written = ""
    for worth, sign in zip(
        (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1),
        ("M", "CM", "D", "CD", "C", "XC", "L", "XL", "X", "IX", "V", "IV", "I"),
        strict=True,
    ):
        written += sign * (count // worth)
        count %= worth
    return written


def _chinese(count: int) -> str:
    if not 0 < count < 10_000:
        return str(count)
    written = ""
    for worth, unit in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit, count = divmod(count, worth)
        if digit:
            written += _CHINESE[digit] + unit
        elif written and count and not written.endswith("〇"):
            written += "〇"
    return written[1:] if written.startswith("一十") else written

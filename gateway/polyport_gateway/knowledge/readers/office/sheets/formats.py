"""A stored value as text, by its number format (ECMA-376 part 1, section 18.8.31).

A number is written with the signs of its format (currency, percent, thousands) but never with fewer digits than are
stored: what the format hides stays readable, and the format itself is kept beside it. Dates are written as ISO 8601 has
them.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache

__all__ = ["BUILT_IN", "NumberFormat", "number_format"]

BUILT_IN = {
    0: "General", 1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%", 11: "0.00E+00", 12: "# ?/?",
    13: "# ??/??", 14: "mm-dd-yy", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM", 19: "h:mm:ss AM/PM",
    20: "h:mm", 21: "h:mm:ss", 22: "m/d/yy h:mm", 37: "#,##0 ;(#,##0)", 38: "#,##0 ;[Red](#,##0)",
    39: "#,##0.00;(#,##0.00)", 40: "#,##0.00;[Red](#,##0.00)", 45: "mm:ss", 46: "[h]:mm:ss", 47: "mmss.0",
    48: "##0.0E+0", 49: "@",
    **dict.fromkeys((27, 28, 29, 30, 31, 36, 50, 51, 52, 53, 54, 57, 58), "yyyy-mm-dd"),  # by the reader's country
    **dict.fromkeys((32, 33, 34, 35, 55, 56), "h:mm:ss"),
}  # fmt: skip

_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|_(?P<blank>.)|\*(?P<fill>.)|\[\$(?P<currency>[^\]-]*)[^\]]*\]'
    r"|\[(?P<elapsed>h+|m+|s+)\]|\[(?P<bracket>[^\]]*)\]|(?P<noon>AM/PM|A/P)|(?P<general>General)"
    r"|(?P<exponent>E[+-]0+)|(?P<date>[ymdhsge]+)|(?P<digits>[0#?]+)|(?P<other>.)",
    re.IGNORECASE | re.DOTALL,
)
_SECTION = re.compile(r'((?:"[^"]*"|\\.|\[[^\]]*\]|[^;])*)(?:;|$)', re.DOTALL)
_CONDITION = re.compile(r"\[(<=|>=|<>|<|>|=)(-?\d+(?:\.\d+)?)\]")
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """A format's sections, understood.

    Args:
        code: As the file has it.
        date: It shows a date.
        time: It shows a time of day.
        elapsed: It shows a duration.
    """

    code: str
    sections: tuple[_Section, ...]
    date: bool = False
    time: bool = False
    elapsed: bool = False

    def text(self, stored: str, *, epoch_1904: bool = False) -> str:
        """Write a number as it is stored, such as ``0.256``."""
        if self.code == "General" and len(stored) < 15 and stored.isascii() and stored.isdecimal():
            return stored  # most cells of a large sheet
        try:
            value = Decimal(stored)
        except InvalidOperation:
            return stored
        if not value.is_finite():
            return stored
        if self.date or self.time or self.elapsed:
            return self._moment(value, epoch_1904=epoch_1904)
        return self._section(value).write(value, signed=len(self.sections) < 2 or bool(self.sections[0].condition))

    def _section(self, value: Decimal) -> _Section:
        for section in self.sections:
            if section.condition is not None:
                if _holds(value, *section.condition):
                    return section
            elif section is self.sections[-1] and self.sections[0].condition:
                return section
        if self.sections[0].condition or len(self.sections) == 1:
            return self.sections[0]
        if value == 0 and len(self.sections) > 2:
            return self.sections[2]
        return self.sections[1] if value < 0 else self.sections[0]

    def _moment(self, value: Decimal, *, epoch_1904: bool) -> str:
        seconds = round(value * _DAY, 3)
        if self.elapsed:
            return _duration(seconds)
        if seconds < 0:
            return _plain(value)
        days, rest = divmod(seconds, _DAY)
        clock = _clock(rest)
        if not self.date and days == 0:
            return clock
        if days == 60 and not epoch_1904:
            day = "1900-02-29"  # the day that never was, which Excel counts
        else:
            start = datetime(1904, 1, 1) if epoch_1904 else datetime(1899, 12, 31 if days < 60 else 30)  # noqa: DTZ001
            try:
                day = (start + timedelta(days=int(days))).strftime("%Y-%m-%d")
            except OverflowError:
                return _plain(value)
            day = day.rjust(10, "0")
        return f"{day} {clock}" if self.time or rest else day


@dataclass(frozen=True, slots=True)
class _Section:
    before: str
    after: str
    decimals: int
    thousands: bool
    percent: int
    general: bool
    shows: bool
    width: int
    condition: tuple[str, Decimal] | None

    def write(self, value: Decimal, *, signed: bool) -> str:
        if not self.shows:
            # No place for a digit: the section is all literal, such as "-" for zero. The number itself must not go.
            literal = (self.before + self.after).strip()
            return literal if value == 0 and literal else _plain(value)
        sign = "-" if value < 0 and signed else ""
        number = abs(value).scaleb(2 * self.percent)
        digits = _plain(number)
        if "E" not in digits and not self.general:
            whole, _, fraction = digits.partition(".")
            fraction = fraction.ljust(self.decimals, "0")
            whole = whole.rjust(self.width, "0")
            whole = f"{int(whole):,}".rjust(len(whole), "0") if self.thousands else whole
            digits = f"{whole}.{fraction}" if fraction else whole
        return f"{sign}{self.before}{digits}{self.after}".strip()


def _plain(value: Decimal) -> str:
    """Write a number with the 15 digits that a spreadsheet keeps."""
    number = float(value)
    if not math.isfinite(number):
        return str(value)
    if number == int(number) and abs(number) < 1e15:
        return str(int(number))
    text = format(number, ".15g")
    if "e" in text and 1e-10 < abs(number) < 1:
        text = format(Decimal(text), "f")
    return text.upper()


def _holds(value: Decimal, sign: str, bound: Decimal) -> bool:
    compared = {
        "<": value < bound, "<=": value <= bound, ">": value > bound, ">=": value >= bound, "=": value == bound,
        "<>": value != bound,
    }  # fmt: skip
    return compared[sign]


def _clock(seconds: Decimal) -> str:
    whole = int(seconds)
    text = f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
    part = seconds - whole
    return f"{text}.{int(part * 1000):03d}" if part else text


def _duration(seconds: Decimal) -> str:
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    whole = int(seconds)
    return f"{sign}{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


@lru_cache(maxsize=1024)
def number_format(code: str) -> NumberFormat:
    """Understand a format code."""
    parts = [match[1] for match in _SECTION.finditer(code)]
    if len(parts) > 1 and not parts[-1]:
        parts.pop()  # what the pattern finds behind the last character
    sections = tuple(_section(part) for part in parts[:3]) or (_section("General"),)
    kinds = [match for part in parts[:1] for match in _TOKEN.finditer(part)]
    letters = "".join(match["date"] or "" for match in kinds).lower()
    time = any(letter in letters for letter in "hs") or any(match["noon"] for match in kinds)
    # An "m" alone beside hours or seconds is minutes, else months.
    date = any(letter in letters for letter in "ydg") or ("m" in letters and not time) or "mmm" in letters
    return NumberFormat(code, sections, date, time, any(match["elapsed"] for match in kinds))


def _section(code: str) -> _Section:
    condition = _CONDITION.search(code)
    before, after, digits, general = "", "", "", False
    percent = 0
    exponent = False
    for match in _TOKEN.finditer(code):
        literal = match["quoted"] or match["escaped"] or match["currency"] or ""
        other = match["other"] or ""
        if match["digits"] or (other in {".", ","} and digits) or other == ".":
            digits += match["digits"] or other
        elif match["general"]:
            general = True
        elif match["exponent"]:
            exponent = True
        else:
            percent += other == "%"
            literal += other if other not in {"@", ",", ""} else ""
            literal += " " if match["blank"] else ""
        if digits or general:
            after += literal
        else:
            before += literal
    whole, _, fraction = digits.partition(".")
    fraction_form = "/" in after and not exponent
    return _Section(
        before=before.lstrip(),
        after="" if fraction_form else after.rstrip(),
        decimals=fraction.count("0"),
        thousands="," in whole.rstrip(","),
        percent=percent,
        general=general or exponent or fraction_form,
        shows=bool(digits) or general,
        width=whole.count("0"),
        condition=(condition[1], Decimal(condition[2])) if condition else None,
    )

"""Stretches of time as they are written in English and Chinese."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

__all__ = ["PERIOD", "Period", "period_of"]

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_MONTH = {name[:3]: number for number, name in enumerate(_MONTHS, 1)}
_MONTH_NAME = rf"(?:{'|'.join(rf'{name[:3]}(?:{name[3:]})?' for name in _MONTHS)}|sept)\.?"
_YEAR = r"(?:1[5-9]|20)\d\d"
_FORMS = {
    "iso": rf"(?<![\d.\-/]){_YEAR}[-/]\d{{1,2}}[-/]\d{{1,2}}(?![\d\-/])",
    "chinese": rf"(?<!\d){_YEAR}\s?年(?:第?[一二三四1-4]季度|\d{{1,2}}\s?月(?:\d{{1,2}}\s?[日号號])?)?",
    "day_first": rf"\b\d{{1,2}}(?:st|nd|rd|th)?\s(?:of\s)?{_MONTH_NAME},?\s{_YEAR}\b",
    "month_first": rf"\b{_MONTH_NAME}\s(?:\d{{1,2}}(?:st|nd|rd|th)?,?\s)?{_YEAR}\b",
    "quarter": rf"\bq[1-4]\s(?:of\s)?{_YEAR}\b",
    "relative": r"\b(?:(?:this|last)\s(?:year|month|week)|today|yesterday)\b"
    r"|今年|去年|前年|本月|这个月|上个月|上月|今天|昨天",
    "year": rf"(?<![\w.,:/\-$€£¥]){_YEAR}s?(?![\w%]|[.,:]\d)",
}
PERIOD = "|".join(f"(?:{form})" for form in _FORMS.values())
"""Matches any of them; case is to be ignored."""
_EACH = {name: re.compile(form, re.IGNORECASE) for name, form in _FORMS.items()}
_QUARTERS = dict(zip("一二三四1234", [1, 2, 3, 4] * 2, strict=True))


@dataclass(frozen=True, slots=True)
class Period:
    """Some days.

    Args:
        first: The first.
        after: The first that is no longer in it.
    """

    first: date
    after: date

    @property
    def years(self) -> tuple[int, int]:
        """The first and the last year that it touches."""
        return self.first.year, (self.after - timedelta(days=1)).year


def period_of(text: str, today: date) -> Period | None:
    """Return what a match of `PERIOD` means; None where there is no such day."""
    try:
        return next(_read(text.strip().lower(), today), None)
    except ValueError:
        return None


def _read(text: str, today: date) -> Iterator[Period]:
    if _EACH["relative"].fullmatch(text):
        yield _relative(text, today)
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    if not numbers:
        return
    if _EACH["iso"].fullmatch(text):
        yield _day(*numbers)
    if _EACH["chinese"].fullmatch(text):
        if "季度" in text:
            yield _quarter(numbers[0], _QUARTERS[text[text.index("季") - 1]])
        yield (_day, _month, _year)[3 - len(numbers)](*numbers)
    if _EACH["quarter"].fullmatch(text):
        yield _quarter(numbers[1], numbers[0])
    named = re.search(_MONTH_NAME, text)
    if named is not None and len(numbers) == 1:
        yield _month(numbers[0], _MONTH[named.group()[:3]])
    if named is not None and len(numbers) == 2:
        yield _day(numbers[1], _MONTH[named.group()[:3]], numbers[0])
    if text.endswith("s"):  # the 1990s
        yield Period(date(numbers[0], 1, 1), date(numbers[0] + 10, 1, 1))
    yield _year(numbers[0])


def _relative(text: str, today: date) -> Period:
    if "week" in text:
        start = today - timedelta(days=today.weekday() + (7 if "last" in text else 0))
        return Period(start, start + timedelta(days=7))
    if "月" in text or "month" in text:
        this = today.replace(day=1)
        if "上" in text or "last" in text:
            this = (this - timedelta(days=1)).replace(day=1)
        return _month(this.year, this.month)
    if "年" in text or "year" in text:
        back = 2 if text == "前年" else int(text == "去年" or "last" in text)
        return _year(today.year - back)
    day = today - timedelta(days=int(text in ("昨天", "yesterday")))
    return Period(day, day + timedelta(days=1))


def _day(year: int, month: int, day: int) -> Period:
    first = date(year, month, day)
    return Period(first, first + timedelta(days=1))


def _month(year: int, month: int, months: int = 1) -> Period:
    last = month + months - 1
    return Period(date(year, month, 1), date(year + last // 12, last % 12 + 1, 1))


def _quarter(year: int, quarter: int) -> Period:
    return _month(year, 3 * quarter - 2, 3)


def _year(year: int) -> Period:
    return Period(date(year, 1, 1), date(year + 1, 1, 1))

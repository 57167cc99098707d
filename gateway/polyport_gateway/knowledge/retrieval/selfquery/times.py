"""What a question says of when: in, after, before or between periods."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from .periods import PERIOD, period_of

__all__ = ["Stretch", "stretches"]

_DOCUMENTS = (
    r"(?:reports?|documents?|papers?|files?|articles?|editions?|versions?|issues?|minutes|memos?|policy|policies)"
)
_VERB = r"(?P<verb>published|written|created|dated|released|issued|updated|modified|posted|added)"
_DATED = rf"(?:(?:that (?:was|were) )?{_VERB}\s)?"
_DONE = r"(?P<verb>发布|发表|出版|创建|更新|修改|写)"
_PATTERNS = [
    (kind, re.compile(form.replace("PERIOD", f"(?:{PERIOD})"), re.IGNORECASE))
    for kind, form in (
        ("between", rf"\b{_DATED}(?:between|from)\s(?P<a>PERIOD)\s(?:and|to|until|till|through)\s(?P<b>PERIOD)"),
        ("between", r"(?:在|从|自)?(?P<a>PERIOD)\s?(?:到|至|和|与|-|—|~|–)\s?(?P<b>PERIOD)(?:之间|期间|间)?(?:的)?"),
        ("after", rf"\b{_DATED}(?:after|later than)\s(?P<a>PERIOD)"),
        ("since", rf"\b{_DATED}since\s(?P<a>PERIOD)"),
        ("since", rf"\b{_DATED}from\s(?P<a>PERIOD)\s(?:on|onwards?)\b"),
        ("before", rf"\b{_DATED}(?:before|prior to|earlier than)\s(?P<a>PERIOD)"),
        ("until", rf"\b{_DATED}(?:until|till|up to|by the end of)\s(?P<a>PERIOD)"),
        ("after", rf"(?:在)?(?P<a>PERIOD)(?:之后|以后|后){_DONE}?(?:的)?"),
        ("since", rf"(?:自|从)?(?P<a>PERIOD)(?:以来|起|至今|开始){_DONE}?(?:的)?"),
        ("before", rf"(?:在)?(?P<a>PERIOD)(?:之前|以前|前){_DONE}?(?:的)?"),
        ("until", r"截[至止](?:到)?(?P<a>PERIOD)"),
        ("until", r"(?P<a>PERIOD)为止(?:的)?"),
        ("in", rf"\b{_DATED}(?:in|during|on|from|of|within)\s(?:the\s)?(?P<a>PERIOD)"),
        ("in", rf"\b{_VERB}\s(?P<a>PERIOD)"),
        ("in", rf"(?<!\w)(?P<a>PERIOD)(?=\s{_DOCUMENTS}\b)"),
        ("in", rf"(?:在)?(?P<a>PERIOD)(?:度)?{_DONE}(?:的)?"),
        ("in", r"\b(?P<a>(?:this|last)\s(?:year|month|week))\b"),
    )
]
_CHINESE_YEAR = re.compile(rf"(?:在)?(?P<a>{PERIOD})(?:度)?(?:期间|间|里|中|的|，|,)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A condition of time.

    Args:
        start: Where it begins in the question.
        end: Where it ends.
        first: The first day, where there is one.
        after: The first day that is too late, where there is one.
        verb: What was done then, "published", where that is said.
    """

    start: int
    end: int
    first: date | None
    after: date | None
    verb: str


def stretches(question: str, today: date) -> Iterator[Stretch]:
    """Yield what a question says of when; of those that overlap, the one whose form says most."""
    taken: list[tuple[int, int]] = []
    for kind, pattern in (*_PATTERNS, ("in", _CHINESE_YEAR)):
        for match in pattern.finditer(question):
            start, end = match.span()
            if any(start < other_end and other_start < end for other_start, other_end in taken):
                continue
            if pattern is _CHINESE_YEAR and not _is_chinese(match.group("a")):
                continue
            found = _stretch(kind, match, today)
            if found is not None:
                taken.append((start, end))
                yield found


def _is_chinese(text: str) -> bool:
    return any(character >= "\u4e00" for character in text)


def _stretch(kind: str, match: re.Match[str], today: date) -> Stretch | None:
    groups = match.groupdict()
    period = period_of(groups["a"], today)
    if period is None:
        return None
    first: date | None = None
    after: date | None = None
    if kind == "between":
        until = period_of(groups["b"], today)
        if until is None or until.after <= period.first:
            return None
        first, after = period.first, until.after
    elif kind == "after":
        first = period.after
    elif kind == "since":
        first = period.first
    elif kind == "before":
        after = period.first
    elif kind == "until":
        after = period.after
    else:
        first, after = period.first, period.after
    return Stretch(match.start(), match.end(), first, after, (groups.get("verb") or "").lower())

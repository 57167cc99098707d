"""A question's conditions as one filter, and what is left to search for.

Only what is said of a field that is there, with a value that is known, becomes a condition: "by Ann Lee" where Ann
Lee is an author, "in 2023" where there is a year or a date, "tagged legal" where there is that tag. What is quoted is
searched for and never read. Nothing is guessed: of two dates that may be meant, the one is taken that the verb names
("updated after March"), or the one that says when a document is from; if there is none, the words stay in the question.

A condition may be wrong all the same: "Who won the election in 2023?" asks when the election was, not the document. So
each says why it is there, and `SelfQuery.sure` tells those that speak of documents; a caller does well to ask again
without the others where they leave too little.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from .times import Stretch, stretches
from .values import Mentioned, mentioned_numbers, mentioned_values

__all__ = ["Condition", "KnownField", "SelfQuery", "read_conditions"]

_YEARS = ("year", "年份", "年度", "年")
_DATES = (
    ("date", "published", "publish", "issued", "发布", "发表", "日期"),
    ("created", "creation", "创建"),
    ("updated", "modified", "更新", "修改"),
)
_VERBS: Mapping[str, tuple[str, ...]] = {
    "published": _DATES[0], "released": _DATES[0], "issued": _DATES[0], "posted": _DATES[0], "dated": _DATES[0],
    "发布": _DATES[0], "发表": _DATES[0], "出版": _DATES[0],
    "written": _DATES[1] + _DATES[0], "created": _DATES[1], "added": _DATES[1], "写": _DATES[1] + _DATES[0],
    "创建": _DATES[1],
    "updated": _DATES[2], "modified": _DATES[2], "更新": _DATES[2], "修改": _DATES[2],
}  # fmt: skip
_QUOTED = re.compile(r"\"[^\"\n]{1,200}\"|“[^”\n]{1,200}”|「[^」\n]{1,200}」")
_LONGEST = 2000
_STRANDED = re.compile(r"\s+(?=[?.!,;:，。？！])|^[\s,;，、]+|(?<=\s)\s+|[\s,;，、]+$")


@dataclass(frozen=True, slots=True)
class KnownField:
    """A field of a knowledge base's metadata.

    Args:
        name: As a filter has it.
        type: Of its values.
        values: Those it often has; of words, only these are recognised.
    """

    name: str
    type: Literal["keyword", "integer", "float", "bool", "datetime"]
    values: Sequence[str | int | float] = ()


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition.

    Args:
        field: What it is on.
        text: The words that say it.
        start: Where they begin in the question.
        where: It alone, as a filter.
        sure: Whether it speaks of documents; or it might be of what they are about.
    """

    field: str
    text: str
    start: int
    where: Mapping[str, Any]
    sure: bool


@dataclass(frozen=True, slots=True)
class SelfQuery:
    """A question, read.

    Args:
        question: Without the words of its conditions; as it was where nothing else would be left.
        where: All of them as a filter; None where there is none.
        conditions: In the order they are said.
    """

    question: str
    where: Mapping[str, Any] | None
    conditions: tuple[Condition, ...] = ()

    @property
    def sure(self) -> bool:
        """Whether all conditions speak of documents."""
        return all(condition.sure for condition in self.conditions)

    @property
    def why(self) -> tuple[str, ...]:
        """A line for each condition: the words, and what they were taken for."""
        return tuple(f"{condition.text!r} → {condition.where}" for condition in self.conditions)


def read_conditions(question: str, fields: Iterable[KnownField], *, today: date | None = None) -> SelfQuery:
    """Read the conditions that a question states; no model is asked.

    Args:
        question: In English or Chinese; a very long one is searched for as it is.
        fields: Of the knowledge base.
        today: For "last year"; today in UTC where it is not given.

    Example::

        read_conditions("leave rules by Ann Lee", [KnownField("author", "keyword", ["Ann Lee"])]).where
    """
    if len(question) > _LONGEST:
        return SelfQuery(question, None)
    known = list(fields)
    # What is quoted is hidden at its place, but for its quotes, so that a quoted value is not.
    hidden = _QUOTED.sub(lambda match: _hidden(match.group(), known), question)
    found = [*_of_values(hidden, known), *_of_numbers(hidden, known)]
    found += _of_times(hidden, known, today or datetime.now(UTC).date())
    chosen: list[tuple[int, int, Condition]] = []
    for start, end, condition in sorted(found, key=lambda item: (item[0] - item[1], item[0])):
        if all(end <= other_start or other_end <= start for other_start, other_end, _ in chosen):
            chosen.append((start, end, condition))
    chosen.sort(key=lambda item: item[0])
    conditions = tuple(
        Condition(one.field, question[start:end].strip(), start, one.where, one.sure) for start, end, one in chosen
    )
    if not conditions:
        return SelfQuery(question, None)
    parts = [dict(condition.where) for condition in conditions]
    return SelfQuery(
        _rest(question, [(start, end) for start, end, _ in chosen]),
        parts[0] if len(parts) == 1 else {"and": parts},
        conditions,
    )


_Read = tuple[int, int, Condition]


def _hidden(quoted: str, known: Sequence[KnownField]) -> str:
    inner = quoted[1:-1].casefold()
    if any(isinstance(value, str) and value.casefold() == inner for field in known for value in field.values):
        return quoted
    return "\0" * len(quoted)


def _of_values(question: str, known: Sequence[KnownField]) -> Iterator[_Read]:
    for field in known:
        if field.type == "keyword":
            for found in mentioned_values(question, field.name, [str(value) for value in field.values]):
                yield _read(found)


def _of_numbers(question: str, known: Sequence[KnownField]) -> Iterator[_Read]:
    for field in known:
        if field.type in ("integer", "float") and not _is_year(field):
            for found in mentioned_numbers(question, field.name):
                yield _read(found)


def _read(found: Mentioned) -> _Read:
    where = {found.field: found.value if found.operator == "eq" else {found.operator: found.value}}
    return found.start, found.end, Condition(found.field, "", found.start, where, sure=True)


def _of_times(question: str, known: Sequence[KnownField], today: date) -> Iterator[_Read]:
    for stretch in stretches(question, today):
        field = _time_field(known, stretch.verb)
        where = None if field is None else _time_condition(field, stretch)
        if field is not None and where is not None:
            sure = bool(stretch.verb) or _speaks_of_documents(question[stretch.end :])
            yield stretch.start, stretch.end, Condition(field.name, "", stretch.start, where, sure=sure)


def _speaks_of_documents(rest: str) -> bool:
    return bool(
        re.match(
            r"\s?(?:reports?|documents?|papers?|files?|articles?|editions?|versions?|minutes|memos?)\b",
            rest,
            re.IGNORECASE,
        )
        or re.match(r"(?:报告|文件|文档|论文|文章|版本|年报|会议纪要|通知)", rest)
    )


def _is_year(field: KnownField) -> bool:
    return field.type == "integer" and _named(field, _YEARS)


def _named(field: KnownField, names: Sequence[str]) -> bool:
    words = re.split(r"[_\-.\s]", field.name.lower())
    return any(word.startswith(name) or (not name.isascii() and name in word) for word in words for name in names)


def _time_field(known: Sequence[KnownField], verb: str) -> KnownField | None:
    dates = [field for field in known if field.type == "datetime"]
    for names in ([_VERBS[verb]] if verb in _VERBS else []) + [_DATES[0]]:
        named = [field for field in dates if _named(field, names)]
        if named:
            return named[0]
    years = [field for field in known if _is_year(field)]
    if years:
        return years[0]
    return dates[0] if len(dates) == 1 else None


def _time_condition(field: KnownField, stretch: Stretch) -> Mapping[str, Any] | None:
    if field.type == "datetime":
        bounds: dict[str, Any] = {}
        if stretch.first is not None:
            bounds["gte"] = stretch.first.isoformat()
        if stretch.after is not None:
            bounds["lt"] = stretch.after.isoformat()
        return {field.name: bounds}
    first = None if stretch.first is None else stretch.first.year
    last = None if stretch.after is None else (stretch.after - timedelta(days=1)).year
    if first is not None and first == last:
        known = [value for value in field.values if not isinstance(value, str)]
        return None if known and first not in known else {field.name: first}
    years = {name: year for name, year in (("gte", first), ("lte", last)) if year is not None}
    return {field.name: years}


def _rest(question: str, spans: Sequence[tuple[int, int]]) -> str:
    kept: list[str] = []
    place = 0
    for start, end in spans:
        kept.append(question[place:start])
        place = end
    kept.append(question[place:])
    rest = _STRANDED.sub("", " ".join(part.strip() if _spaced(part) else part for part in kept if part))
    return rest if re.search(r"\w", rest) else question


def _spaced(text: str) -> bool:
    return text.isascii()

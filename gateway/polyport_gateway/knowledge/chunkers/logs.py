"""Logs by entry: a traceback stays with the line that it belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from polyport_gateway.knowledge.documents.values import JSON, Span
from polyport_gateway.knowledge.tokenizers import Tokenizer

from .base import Cut, Step, Work, check_limit
from .units import gather

__all__ = ["LogEntries", "looks_like_log"]

_CLOCK = r"\d{1,2}:\d{2}:\d{2}(?:[.,]\d{1,9})?"
_ZONE = r"(?:\s?(?:Z\b|UTC\b|[+-]\d{2}:?\d{2}\b))?"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
# ISO 8601 and its relatives; Chinese; Apache's logs; syslog and its like; Android; glog; a clock; seconds.
_TIME = re.compile(
    rf"\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}[T ]\s?{_CLOCK}{_ZONE}"
    rf"|\d{{4}}年\d{{1,2}}月\d{{1,2}}日\s*(?:上午|下午)?\s*(?:\d{{1,2}}时\d{{1,2}}分(?:\d{{1,2}}秒)?|{_CLOCK})"
    rf"|\d{{1,2}}/{_MONTH}/\d{{4}}:{_CLOCK}{_ZONE}"
    rf"|(?:{_DAY},? )?{_MONTH} {{1,2}}\d{{1,2}} {_CLOCK}(?: \d{{4}})?"
    rf"|\d{{1,2}}[-/]\d{{1,2}}(?:[-/]\d{{2,4}})?,? {_CLOCK}"
    rf"|(?<=[IWEF])\d{{4}} {_CLOCK}"
    rf"|{_CLOCK}"
    r"|\d{10}(?:\d{3})?(?:\.\d{1,9})?(?=[\s\]])"
    r"|\d+\.\d{6}(?=\])"
)
_WORDS = {
    "FATAL": "fatal", "CRITICAL": "fatal", "CRIT": "fatal", "EMERG": "fatal", "ALERT": "fatal", "PANIC": "fatal",
    "严重": "fatal", "致命": "fatal", "ERROR": "error", "ERR": "error", "SEVERE": "error", "错误": "error",
    "异常": "error", "WARNING": "warning", "WARN": "warning", "警告": "warning", "告警": "warning", "NOTICE": "info",
    "INFO": "info", "信息": "info", "提示": "info", "CONFIG": "info", "DEBUG": "debug", "FINE": "debug",
    "VERBOSE": "debug", "调试": "debug", "TRACE": "trace", "FINEST": "trace", "跟踪": "trace",
}  # fmt: skip
_ENGLISH = "|".join(word for word in _WORDS if word.isascii())
_CHINESE = "|".join(word for word in _WORDS if not word.isascii())
# A level in small letters could be a word of the message, unless it stands in brackets or right after the time.
_LEVEL = re.compile(
    rf"\b(?:{_ENGLISH})\b|(?:{_CHINESE})(?=[】\])）:：\s])|(?<=[\[<(])(?i:{_ENGLISH})(?=[\]>)])|(?<=level=)(?i:{_ENGLISH})\b"
)
_NEXT_LEVEL = re.compile(rf"[\s\]|:-]*({_ENGLISH})\b", re.IGNORECASE)
_FIRST_LEVEL = re.compile(rf"(?:\[|<|【|\()?\s*(?:{'|'.join(_WORDS)})\s*(?:\]|>|】|\)|:|：|\s-\s|\s\s|\s\[|\t)")
_LETTER = re.compile(r"([IWEF])\d{4} \d|\S+ \S+\s+\d+\s+\d+ ([VDIWEF]) ")  # glog; Android
_LETTERS = {"V": "trace", "D": "debug", "I": "info", "W": "warning", "E": "error", "F": "fatal"}
# What may stand before the time: brackets, a syslog priority, an address and a user, a thread.
_BEFORE = re.compile(r"(?:<\d{1,3}>(?:\d )?|[\w.:-]+ \S+ \S+ (?=\[)|[\[(【{\"]|[IWEF](?=\d{4} \d)|[A-Z]+ )*\s{0,8}")
_JSON_TIME = re.compile(r"\"(?:@?timestamp|time|ts|t|date)\"\s*:\s*\"?([^\",}]{4,40})")
_JSON_LEVEL = re.compile(r"\"(?:level|severity|lvl|log\.level|levelname)\"\s*:\s*\"?(\w+)")
_HEAD = 240
_LEVEL_WITHIN = 48
_SEVERITY = ("trace", "debug", "info", "warning", "error", "fatal")


class _Entry(NamedTuple):
    start: int
    time: str | None
    level: str | None


@dataclass(frozen=True)
class LogEntries(Step):
    """Cuts a log between entries, never between a line and the traceback or the wrapped lines that follow it.

    An entry begins at a line with a time or, in logs without times, with a level. Formats that are known: ISO 8601 and
    its relatives, syslog, Apache and nginx, log4j, logging, glog, Android, dmesg, JSON lines; levels in English and
    Chinese. ``metadata`` has ``entries`` (how many), ``first_time`` and ``last_time`` as they are written, ``levels``
    (``trace`` to ``fatal``, ascending) and ``part``, where one entry takes several chunks. A text without such lines
    is cut between lines, and indented lines stay with the one before them.

    Args:
        max_tokens: Of a chunk; an entry that is longer by itself is cut between its lines.
        tokenizer: What counts, or its name.
    """

    max_tokens: int = 512
    tokenizer: str | Tokenizer = "auto"

    def __post_init__(self) -> None:
        check_limit("max_tokens", self.max_tokens)

    def split(self, work: Work, cut: Cut) -> Iterator[Cut]:
        """Put the entries of each part together."""
        entries = _entries(work.text, cut.span)
        bounds = [cut.span.start, *(entry.start for entry in entries[1:]), cut.span.end]
        for found in gather(work.measure(self.counter()), work.text, bounds, self.max_tokens):
            inside = entries[found.first : found.after]
            times = [entry.time for entry in inside if entry.time]
            levels = {entry.level for entry in inside}
            metadata: dict[str, JSON] = {
                "entries": len(inside), "levels": [level for level in _SEVERITY if level in levels],
            }  # fmt: skip
            if times:
                metadata |= {"first_time": times[0], "last_time": times[-1]}
            if found.part is not None:
                metadata["part"] = found.part
            yield cut.part(Span(found.start, found.end), found.size, **metadata)


def looks_like_log(text: str, lines: int = 60) -> bool:
    """Tell whether a text is a log: half of its first lines that are not indented begin entries, and three at least."""
    seen = [line for line in text[: 200 * lines].split("\n")[:lines] if line.strip() and not line[0].isspace()]
    heads = sum(_is_stamped(line[:_HEAD]) for line in seen)
    return heads >= 3 and 2 * heads >= len(seen)


def _entries(text: str, span: Span) -> list[_Entry]:
    lines: list[tuple[int, str | None, str | None]] = []
    for match in re.compile(r"[^\n]+").finditer(text, *span):
        if not match.group().isspace():
            head = text[match.start() : min(match.end(), match.start() + _HEAD)]
            lines.append((match.start(), *_header(head)))
    if not lines:
        return [_Entry(span.start, None, None)]
    timed = sum(time is not None for _, time, _ in lines)
    levelled = sum(level is not None for _, _, level in lines)
    entries: list[_Entry] = []
    for start, time, level in lines:
        begins = time if timed else level if levelled else not text[start].isspace() or None
        if begins is not None or not entries:
            entries.append(_Entry(start, time, level))
    return entries


def _is_stamped(head: str) -> bool:
    time, level = _header(head)
    return time is not None or (level is not None and _FIRST_LEVEL.match(head) is not None)


def _header(head: str) -> tuple[str | None, str | None]:
    """Return the time and the level that a line begins with."""
    if head.startswith("{"):
        time, level = _JSON_TIME.search(head), _JSON_LEVEL.search(head)
        return time.group(1) if time else None, _WORDS.get(level.group(1).upper()) if level else None
    before = _BEFORE.match(head)
    stamp = _TIME.match(head, before.end() if before else 0) if not head[0].isspace() else None
    if stamp is None:
        return None, _level(head, 0) if _FIRST_LEVEL.match(head) else None
    letter = _LETTER.match(head)
    return stamp.group().strip(), _LETTERS[letter[1] or letter[2]] if letter else _level(head, stamp.end())


def _level(head: str, after: int) -> str | None:
    found = _LEVEL.search(head, 0, after + _LEVEL_WITHIN)
    if found is not None:
        return _WORDS[found.group().upper()]
    following = _NEXT_LEVEL.match(head, after)
    return _WORDS[following.group(1).upper()] if following else None

"""Citation markers in a text: ``[1]``, ``[1][2]``, ``[1, 2]``, ``[1-3]``, 【1】, （1）, ［1］, ``[^1]``.

What looks like one and is none: an index in code (``a[1]``, ``rows[0]``), a link (``[1](https://…)``), a definition
(``[1]: …``), an interval (``[0, 1]``), a year (``[2024]``), an enumeration （1）首先. Everything here works on a
text that is still being written: what can't be told yet is said to need more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

__all__ = ["OPENERS", "Group", "Reading", "read_group"]

OPENERS = "[【［（"
_WORDS = (
    r"(?:来源|來源|文档|文檔|文献|段落|资料|資料|参考|source|sources|passage|passages|doc|docs|document|ref|note)s?"
)
_JOINT = r"\s*(?:[,，、;；&]|and|和)\s*"
_NUMBER = r"\^?[ ]?#?[ ]?\d{1,3}(?:\s*[-–—~至]\s*\d{1,3})?"
_INSIDE = (
    rf"\s*(?:{_WORDS}\s*[:：#]?\s*)?{_NUMBER}(?:{_JOINT}(?:{_WORDS}\s*[:：#]?\s*)?{_NUMBER})*(?:†[^\]】\n]{{0,40}})?\s*"
)
_MARKER = re.compile(rf"(?:\[({_INSIDE})\]|【({_INSIDE})】|［({_INSIDE})］|（({_INSIDE})）)", re.IGNORECASE)
_KNOWN = (
    "来源 來源 文档 文檔 文献 段落 资料 資料 参考 source sources passage passages doc docs document documents ref refs "
    "note notes and 和"
)
_KNOWN_WORDS = _KNOWN.split()
_PIECES = re.compile(
    r"[\s\d,，、;；&\-–—~至#^:：]+|(?P<word>[a-z\u4e00-\u9fff]+)|(?P<rest>†[^\]】\n]{0,40})", re.IGNORECASE
)
_BETWEEN = re.compile(r"[ \t\u00a0]{0,2}(?:[,，、;；][ \t\u00a0]{0,2})?")
_ENDS_CLAUSE = "，。；：！？、,.;:!?)）」』”\"'\n \t"
_SPAN = re.compile(r"(\d{1,3})(?:\s*[-–—~至]\s*(\d{1,3}))?")
_CODE_WORD = re.compile(
    r"(?:^|[^\w.])(?:[A-Za-z_]|\w*_\w*|[a-z]+\d+|[a-z]+[A-Z]\w*|[a-z]\w*(?:\.[a-z]\w*)+|arr|lst|vec|args?|argv|cols?|vals?|buf|"
    r"str|dict|xs|ys|nums?|idx|params|self|this|ptr|tmp|mat|elem)$"
)
_INTERVAL = re.compile(r"(?:interval|range|between|∈|区间|區間|範圍|范围|介于|取值)\s*$", re.IGNORECASE)
_LONGEST_SPAN = 50
_LONGEST = 200
"""Characters of a marker; more in brackets is something else."""
_MOST_TOGETHER = 20


class Reading(Enum):
    """What stands at a bracket."""

    MARKERS = auto()
    TEXT = auto()
    MORE = auto()
    """Can't be told before more is written."""


@dataclass(frozen=True, slots=True)
class Group:
    """Markers that stand together.

    Args:
        reading: What they are; where they are not markers, the rest is empty.
        end: One past the last character of the group.
        numbers: Which they name, each once, in order.
        joined: Whether a word stands right before them, which makes them look like an index too.
    """

    reading: Reading
    end: int = 0
    numbers: tuple[int, ...] = ()
    joined: bool = False


_TEXT = Group(Reading.TEXT)
_MORE = Group(Reading.MORE)


def read_group(text: str, start: int, *, final: bool = False) -> Group:
    """Read the markers that begin at a bracket.

    Args:
        text: What has been written so far.
        start: Of the bracket.
        final: Whether no more will be written.
    """
    match = _MARKER.match(text, start, start + _LONGEST)
    if match is None:
        return _MORE if not final and _may_go_on(text, start) else _TEXT
    none = _not_a_marker(text, match, final=final)
    if none is not None:
        return none
    numbers = dict.fromkeys(_numbers(match))
    end = match.end()
    for _ in range(_MOST_TOGETHER):  # those that follow
        place = _BETWEEN.match(text, end).end()  # type: ignore[union-attr]  # it matches nothing too
        following = _MARKER.match(text, place, place + _LONGEST)
        if following is None:
            if not final and (place == len(text) or (text[place] in OPENERS and _may_go_on(text, place))):
                return _MORE
            break
        none = _not_a_marker(text, following, final=final)
        if none is not None:
            if none.reading is Reading.MORE:
                return none
            break
        numbers.update(dict.fromkeys(_numbers(following)))
        end = following.end()
    joined = start > 0 and text[start - 1].isascii() and (text[start - 1].isalnum() or text[start - 1] in "_)]")
    return Group(Reading.MARKERS, end, tuple(numbers), joined)


def _may_go_on(text: str, start: int) -> bool:
    """Tell whether what follows a bracket, up to the end of the text, can be the beginning of a marker."""
    if len(text) - start >= _LONGEST:
        return False
    place = start + 1
    while place < len(text):
        piece = _PIECES.match(text, place)
        if piece is None:
            return False
        word = piece.group("word")
        if word is not None:
            whole = piece.end() < len(text)
            folded = word.lower()
            if not any(known == folded or (not whole and known.startswith(folded)) for known in _KNOWN_WORDS):
                return False
        place = piece.end()
    return "\n" not in text[start:]


def _not_a_marker(text: str, match: re.Match[str], *, final: bool) -> Group | None:
    """Return what it is instead, or None where it is a marker."""
    start, end = match.span()
    opener = text[start]
    if opener == "[":
        if end == len(text) and not final:
            return _MORE  # a link, or a definition
        after = text[end : end + 1]
        if after in {"(", ":"} and not (after == ":" and not _begins_line(text, start)):
            return _TEXT
        if _is_index(text, start, end) or _is_interval(text, match):
            return _TEXT
    if opener == "（":
        if _enumerates(text, start):
            return _TEXT
        if end == len(text):
            return None if final else _MORE
        if text[end] not in _ENDS_CLAUSE and text[end] not in OPENERS:
            return _TEXT  # 三（2）班
    return None


def _begins_line(text: str, start: int) -> bool:
    return text[text.rfind("\n", 0, start) + 1 : start].strip() == ""


def _is_index(text: str, start: int, end: int) -> bool:
    """Tell whether it is an index of code: right after a name that is no word of prose."""
    before = text[max(0, start - 40) : start]
    if not before or not (before[-1].isascii() and (before[-1].isalnum() or before[-1] in "_)")):
        return False
    if before[-1] == ")":
        return re.search(r"\w\([^()]*\)$", before) is not None  # f(x)[1]
    if re.match(r"\s?(?:[+*/%]?=|\.\w|\[\w+\]\s?=|\()", text[end : end + 12]):
        return True
    return _CODE_WORD.search(before) is not None


def _is_interval(text: str, match: re.Match[str]) -> bool:
    inside = match.group(1)
    numbers = [int(number) for number in re.findall(r"\d+", inside)]
    if 0 in numbers and len(numbers) > 1:
        return True
    return len(numbers) == 2 and _INTERVAL.search(text[max(0, match.start() - 12) : match.start()]) is not None


def _enumerates(text: str, start: int) -> bool:
    """Tell whether （1） begins a clause, where it counts and does not cite."""
    before = text[:start].rstrip(" \t")
    return not before or before[-1] in "\n:：;；,，、"


def _numbers(match: re.Match[str]) -> list[int]:
    inside = next(group for group in match.groups() if group is not None).split("†")[0]
    found: list[int] = []
    for span in _SPAN.finditer(inside):
        first = int(span.group(1))
        last = int(span.group(2)) if span.group(2) else first
        found.extend(range(first, min(last, first + _LONGEST_SPAN) + 1) if last >= first else (first, last))
    return found

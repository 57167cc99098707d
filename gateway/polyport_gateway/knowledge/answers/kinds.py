"""What kind of thing a question asks for, and whether a sentence has one that the question does not have itself.

After the answer types of Li and Roth, "Learning question classifiers" (COLING 2002), in the few that can be told by
form: a person, a time, a place, a quantity, a reason, a definition. Question words decide, in English and Chinese.
"""

from __future__ import annotations

import re
from enum import StrEnum

from .facts import Facts
from .numbers import numbers_of

__all__ = ["AnswerKind", "asked_for", "has_kind"]


class AnswerKind(StrEnum):
    """What is asked for."""

    PERSON = "person"
    TIME = "time"
    PLACE = "place"
    QUANTITY = "quantity"
    REASON = "reason"
    DEFINITION = "definition"
    OTHER = "other"


_ASKS: tuple[tuple[AnswerKind, re.Pattern[str]], ...] = (
    (
        AnswerKind.QUANTITY,
        re.compile(
            r"(?i)\bhow (?:many|much|long|old|tall|high|far|large|big|deep|wide|fast|heavy|often)\b|"
            r"\bwhat (?:percent|percentage|number|amount|price|age|population|size|distance|rank(?:ing)?)\b|"
            r"多少|几(?:个|名|位|次|种|岁|人|家|天|座|支|场|项|条|层)|多大|多长|多高|多久|多远|多重|幾|百分之几"
        ),
    ),
    (
        AnswerKind.TIME,
        re.compile(
            r"(?i)\bwhen\b|\b(?:what|which) (?:year|date|day|month|century|decade|time|era|season)\b|"
            r"何时|何時|什么时候|什麼時候|什么时间|哪(?:一)?(?:年|天|月|日|个月|个世纪|个年代)|几年|几月|几号|几点|何年|时间是"
        ),
    ),
    (
        AnswerKind.PLACE,
        re.compile(
            r"(?i)\bwhere\b|\b(?:what|which)\s+(?:\w+\s){0,2}?(?:city|country|state|county|province|town|region|place|"
            r"continent|district|area|village|island|river|location)\b|"
            r"哪里|哪裡|哪儿|何处|何地|什么地方|哪(?:一)?(?:个|座)?(?:国家|城市|省|市|县|区|地区|地方|洲|国|村|镇|岛)|位于|坐落"
        ),
    ),
    (
        AnswerKind.PERSON,
        re.compile(
            r"(?i)\bwho(?:m|se|'s)?\b|\bwhat (?:actor|actress|author|singer|person)\b|"
            r"谁|誰|何人|哪(?:一)?(?:位|个人)|什么人"
        ),
    ),
    (
        AnswerKind.REASON,
        re.compile(r"(?i)\bwhy\b|\bwhat (?:caused|causes|reason)\b|为什么|為什麼|为何|為何|原因|怎么会"),
    ),
    (
        AnswerKind.DEFINITION,
        re.compile(
            r"(?i)^\s*(?:what|who)(?:'s| is| are| was| were) (?!the\b)[^?]{1,60}\?*$|"
            r"是什么[？?]*$|什么是|何谓|的定义|是指"
        ),
    ),
)
_MONTH = "January|February|March|April|May|June|July|August|September|October|November|December"
_TIME = re.compile(
    rf"\b1\d{{3}}s?\b|\b20\d\d\b|\b(?:{_MONTH})\b|\bcentur(?:y|ies)\b|\b\d{{1,2}}:\d\d\b|\b\d{{1,2}} ?[ap]\.?m\b|"
    r"\d{1,4}\s?年|\d{1,2}\s?月|[一二三四五六七八九十]+月|世纪|年代|公元|时期|朝"
)
_PLACE = re.compile(
    r"\b(?:in|at|near|from|to|of|around|located|located in|based in)\s(?:the\s)?(?:city of\s|state of\s)?[A-Z]\w+|"
    r"[\u4e00-\u9fff](?:省|市|县|縣|区|區|镇|鎮|村|州|国|國|岛|島|路|街|洲|湾|港|山|河|江|湖|乡|府|郡|站)|位于|坐落"
)
_REASON = re.compile(
    r"(?i)\bbecause\b|\bdue to\b|\bowing to\b|\bsince\b|\bas a result\b|\btherefore\b|\bso that\b|\bin order to\b|"
    r"\bcaused?\b|\bled to\b|\breasons?\b|因为|因為|由于|由於|因此|所以|导致|導致|原因|为了|為了|以便|从而|因|故"
)
_DEFINITION = re.compile(
    r"(?i)\b(?:is|are|was|were)\s(?:a|an|the|one)\b|\brefers to\b|\bmeans\b|"
    r"是(?:一|指|由|以)|是[^。]{0,12}的|指的是|即|称为|又称"
)
_NAME_CHINESE = re.compile(
    r"[\u4e00-\u9fff]{1,6}·[\u4e00-\u9fff]{1,6}|(?:由|是|为|与|和|被|者|员|演|长|王|帝|家|师|、)[\u4e00-\u9fff]{2,4}"
)


def asked_for(question: str) -> AnswerKind:
    """Return what a question asks for."""
    return next((kind for kind, pattern in _ASKS if pattern.search(question)), AnswerKind.OTHER)


def has_kind(kind: AnswerKind, text: str, facts: Facts, question: Facts) -> bool:
    """Tell whether a sentence has such a thing, other than those of the question.

    Args:
        kind: What is asked for.
        text: Of the sentence.
        facts: Of the sentence.
        question: Of the question.
    """
    match kind:
        case AnswerKind.QUANTITY:
            return bool(facts.numbers - question.numbers)
        case AnswerKind.TIME:
            return any(not numbers_of(found.group()) <= question.numbers for found in _TIME.finditer(text))
        case AnswerKind.PLACE:
            return any(found.group().lower() not in question.text for found in _PLACE.finditer(text))
        case AnswerKind.PERSON:
            strange = any(not any(part in question.words for part in name) for name in facts.names)
            return strange or (bool(facts.runs) and _NAME_CHINESE.search(text) is not None)
        case AnswerKind.REASON:
            return _REASON.search(text) is not None
        case AnswerKind.DEFINITION:
            return _DEFINITION.search(text) is not None
        case AnswerKind.OTHER:
            return False

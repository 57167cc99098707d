"""Follow-up questions in Chinese, by rules."""

from __future__ import annotations

import re

from .words import ASKED_CHINESE

__all__ = ["rewrite_chinese", "subject_of"]

_LEADING = re.compile(
    r"^(?:那么|那麼|那|还有|還有|另外|以及|然后|然後|接着|好的|好|谢谢|謝謝|所以|但是|不过)[，,、\s]*"
)
_ABOUT = re.compile(r"^(.{1,30}?)(?:呢|如何|怎么样|怎麼樣|又如何|又怎么样|的话|的呢|的话呢)[？?。]*$")
_PRONOUN = re.compile(
    r"它们的|他们的|她们的|它们|他们|她们|它的|他的|她的|它|(?<!其)他(?!国|人|们)|她|"
    r"(?:这|那|该|此|這|該)(?:个|家|位|部|本|座|种|项|款|个人|件|首|支|所|條|条)?(?:公司|人|产品|机构|组织|电影|书|小说|城市|国家|地方|学校|大学|"
    r"球队|乐队|项目|合同|政策|文件|条款|模型|系统|方法|车站|铁路|游戏|专辑|歌曲|动物|植物|作品|战争|企业|作者|地区)?"
    r"(?=的|是|有|在|何|什|为|由|多|哪|怎|属|位|成|共|与|和|还|能|会|被|于|，|,|？|\?|$|[\u4e00-\u9fff])|"
    r"其(?!他|它|中|余|实|次)"
)
_NAMED = re.compile(r"《[^》]{1,40}》|「[^」]{1,40}」|“[^”]{1,40}”|[A-Za-z][A-Za-z0-9.+#\- ]{1,40}[A-Za-z0-9+#]")
_YEAR = re.compile(r"(?:1\d{3}|20\d{2})\s*年?|[一二〇零九八七六五四三]{4}年|去年|今年|前年|明年")
_CUT = re.compile(
    "的|是|在|有|由|于|於|什么|什麼|谁|誰|何|哪|多少|几|幾|怎|为什么|為什麼|为|為|能|会|會|可以|可|被|和|与|與|属于|位于|成立|"
    "发明|創|创|建|出生|提出|担任|，|,|？|\\?"
)
_PLACE = re.compile(r"^(?:在|于)(.{2,20})$")
_POINTING = re.compile("该|这|這|本|我们|你们|我|你|贵|公司")
_BARE = re.compile(
    r"^(?:为什么|為什麼|为何|怎么|怎么做|如何|什么时候|何时|在哪里|哪里|谁|是谁|多少|多久|有哪些|具体呢|然后呢|还有吗|还有呢)[呢吗？?。]*$"
)


def rewrite_chinese(asked: str, topic: str, answer: str) -> str:
    """Return a question in the light of the one before it and of its answer.

    Args:
        asked: It.
        topic: The question before, standing by itself.
        answer: To that one.
    """
    bare = asked.strip()
    rest = _LEADING.sub("", bare)
    if _BARE.match(rest):
        return f"{topic.strip().rstrip('？?。')}，{rest.rstrip('呢？?。')}？"
    about = _ABOUT.match(rest)
    piece = about.group(1) if about and not _asks(about.group(1)) else rest if _is_piece(rest) else None
    if piece is not None:
        return _with_piece(piece.strip("，,？?。 "), topic)
    found = next((match for match in _PRONOUN.finditer(bare) if _refers(bare, match)), None)
    if found is not None:
        entity = _entity(found.group(), topic, answer)
        if entity and entity not in bare:
            owner = (
                "的"
                if found.group().endswith("的") or (found.group() == "其" and not bare[found.end() :].startswith("的"))
                else ""
            )
            return bare[: found.start()] + entity + owner + bare[found.end() :]
        return bare
    if bare != rest and subject_of(rest) is None:
        subject = subject_of(topic)
        return f"{subject}{rest}" if subject else rest
    if len(rest) <= 12 and not _NAMED.search(rest) and _subjectless(rest):
        subject = subject_of(topic)
        if subject and subject not in rest:
            return f"{subject}{rest}"
    return asked


def subject_of(question: str) -> str | None:
    """Return what a question is about: a name in it, or what stands before its verb."""
    named = _NAMED.search(question)
    start = _LEADING.sub("", question.strip())
    start = re.sub(r"^(?:请问|請問|请|告诉我|介绍一下|关于|谁是|什么是|哪个是|在)", "", start)
    cut = _CUT.search(start)
    before = start[: cut.start()] if cut else start
    if named is not None and (named.group() in before or not 2 <= len(before) <= 20):
        return named.group().strip()
    if question.strip().startswith(("谁是", "什么是", "何谓")):
        return start.rstrip("？?。呢") or None
    return before if 2 <= len(before) <= 20 else named.group().strip() if named else None


def _asks(text: str) -> bool:
    return ASKED_CHINESE.search(text) is not None


def _is_piece(text: str) -> bool:
    """Tell whether a text only names something: no question word, and few characters."""
    bare = text.strip("？?。 ")
    return (
        0 < len(bare) <= 16
        and not _asks(bare)
        and re.search(r"是|有没有|吗|能|会|可以", bare) is None
        and not _PRONOUN.match(bare)
    )


def _with_piece(piece: str, topic: str) -> str:
    """Return the question before with a piece in the place of what is of its kind."""
    if _YEAR.fullmatch(piece):
        year = _YEAR.search(topic)
        if year:
            return topic[: year.start()] + piece + topic[year.end() :]
        subject = subject_of(topic)
        return topic.replace(subject, f"{subject}{piece}", 1) if subject else f"{piece}{topic}"
    place = _PLACE.match(piece)
    if place:
        old = re.search(r"(?:在|于)([\u4e00-\u9fff]{2,8}?)(?=的|有|是|，|,|多|几|什|何|哪|？|\?|$)", topic)
        if old:
            return topic[: old.start(1)] + place.group(1) + topic[old.end(1) :]
        return f"{piece}，{topic}"
    subject = subject_of(topic)
    if piece.startswith("它") or subject is None:
        return f"{topic.rstrip('？?。')}（{piece}）？"
    tail = _attribute(topic, subject)
    if tail and (_POINTING.match(subject) or _same_kind(piece, tail, subject)):
        return topic.replace(tail, piece, 1)
    return topic.replace(subject, piece, 1)


def _attribute(topic: str, subject: str) -> str | None:
    """Return what is asked of the subject: 保修期 in 该产品的保修期是多久."""
    match = re.search(
        rf"{re.escape(subject)}的([\u4e00-\u9fff]{{1,8}}?)(?=是|在|有|为|多|几|什|哪|何|怎|如|？|\?|$)", topic
    )
    return match.group(1) if match else None


def _same_kind(piece: str, attribute: str, subject: str) -> bool:
    """Tell whether a piece replaces the attribute rather than the subject: it ends as that does."""
    return piece[-1] == attribute[-1] and piece[-1] != subject[-1]


def _refers(question: str, match: re.Match[str]) -> bool:
    """Tell whether a pronoun means something said before: not one that a name stands before."""
    before = question[: match.start()]
    return not _NAMED.search(before) and len(before) <= 12


def _entity(pronoun: str, topic: str, answer: str) -> str | None:
    """Return what a pronoun most likely means."""
    if (
        pronoun[0] in "他她"
        and re.search(r"谁|誰|哪位|何人", topic)
        and not re.match(r"(?:谁是|[^的]{2,12}是谁)", topic)
    ):
        named = _person(answer)
        if named:
            return named
    return subject_of(topic)


def _person(answer: str) -> str | None:
    """Return the person that an answer names: what follows 是 or 由, or begins it."""
    bare = re.sub(r"[\[【（][\d,，\s]+[\]】）]", "", answer.strip())[:80]
    match = re.search(r"(?:是|由|为|叫|：)([\u4e00-\u9fff·]{2,12}?)(?=[，。,、；创建发担提于在和与及]|$|的)", bare)
    if match:
        return match.group(1)
    match = re.match(
        r"([\u4e00-\u9fff]{1,6}(?:·[\u4e00-\u9fff]{1,8})+|[\u4e00-\u9fff]{2,4}|[A-Z][\w.]*(?: [A-Z][\w.]*){0,3})"
        r"(?=[，。,.]|$)",
        bare,
    )
    return match.group(1) if match else None


def _subjectless(question: str) -> bool:
    """Tell whether a question begins with its verb or its question word, so that its subject was left out."""
    return (
        re.match(r"(?:是|在|有|由|为|什么|谁|哪|多少|几|怎|何|总共|一共|成立|位于|属于|能|可以|会|主要|还)", question)
        is not None
    )

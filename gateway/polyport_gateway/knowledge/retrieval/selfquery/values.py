"""What a question says of a field: by the field's name, or by a word that stands for it, and a value that is known."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from polyport_gateway.knowledge.links.titles import fold_evenly

__all__ = ["Mentioned", "mentioned_numbers", "mentioned_values"]

_PERSON = ("author", "authors", "creator", "writer", "owner", "by", "作者", "撰写人", "负责人")
_TAG = ("tags", "tag", "labels", "label", "标签")
_FORMAT = ("format", "type", "filetype", "file_type", "extension", "格式", "类型")
_LANGUAGE = ("language", "lang", "语言")
_TITLE = ("title", "document", "标题")
_PLACED = ("source", "category", "department", "topic", "project", "来源", "类别", "部门", "项目", "keywords")

_BEFORE: Mapping[tuple[str, ...], str] = {
    _PERSON: r"(?:(?:written|authored|drafted|published|created|prepared|signed|posted|sent)\s)?by|from|author(?:ed)?|"
    r"作者(?:是|为)?|由",
    _TAG: r"(?:tagged|labell?ed|marked)(?:\s(?:as|with))?|with\s(?:the\s)?(?:tag|label)|标签(?:是|为)?|标记为|标为",
    _FORMAT: r"(?:in|from|of|as|only)(?:\s(?:the|a|an|our|all))?|在",
    _LANGUAGE: r"in|written\sin",
    _TITLE: r"(?:in|from|of|according\sto)(?:\sthe|\sour)?|根据|按照|在",
    _PLACED: r"(?:in|from|of)(?:\sthe|\sour)?|来自",
}
_AFTER: Mapping[tuple[str, ...], str] = {
    _PERSON: r"'s\s(?=(?:reports?|papers?|documents?|notes?|articles?|memos?)\b)"
    r"|(?:所)?(?:写|撰写|编写|起草|发表)的?|的(?=文章|报告|论文|文件|邮件)",
    _TAG: r"\s?(?:标签|类)的?",
    _FORMAT: r"s?\s?(?:files?|documents?|attachments?|文件|文档|格式)?(?:里面|里|中|内|上)?(?:的)?",
    _LANGUAGE: r"\s(?:documents?|files?|reports?|texts?|version)|(?:文档|文件|资料|版本|版)(?:里面|里|中)?(?:的)?",
    _TITLE: r"(?:里面|里|中|内|上)?(?:的)?",
    _PLACED: r"\s(?:department|category|project|team)|部门?的?|类别?的?|项目的?",
}  # fmt: skip
_ALONE = {_PERSON: True, _TAG: True, _FORMAT: False, _LANGUAGE: False, _TITLE: False, _PLACED: False}
_OTHER_NAMES: Mapping[str, tuple[str, ...]] = {
    "pdf": ("pdfs", "pdf文件"),
    "docx": ("word", "word document", "word file", "doc"),
    "xlsx": ("excel", "excel file", "spreadsheet", "spreadsheets", "电子表格", "表格"),
    "pptx": ("powerpoint", "slides", "slide deck", "presentation", "幻灯片", "演示文稿"),
    "md": ("markdown",),
    "markdown": ("md",),
    "html": ("web page", "web pages", "网页"),
    "eml": ("email", "emails", "e-mail", "mail", "邮件"),
    "en": ("english", "英文", "英语"),
    "zh": ("chinese", "中文", "汉语"),
    "de": ("german", "德文", "德语"),
    "fr": ("french", "法文", "法语"),
    "ja": ("japanese", "日文", "日语"),
    "es": ("spanish", "西班牙文"),
}
_NOT = r"(?P<no>(?:\b(?:not|except(?:\sfor)?|excluding|without|other\sthan|but\snot)\s|不是|不在|除了|除|非)\s?)?"
_COMPARED = (
    ("gt", r"(?:above|over|more\sthan|greater\sthan|higher\sthan|exceeding|longer\sthan)|(?:大于|高于|超过|多于|>)"),
    ("gte", r"(?:at\sleast|no\sless\sthan)|(?:不少于|不低于|至少|>=|≥)"),
    ("lt", r"(?:below|under|less\sthan|fewer\sthan|lower\sthan|shorter\sthan)|(?:小于|低于|少于|不到|不足|<)"),
    ("lte", r"(?:at\smost|no\smore\sthan|up\sto)|(?:不超过|不多于|至多|最多|<=|≤)"),
    ("eq", r"(?:equal\sto|exactly|of|is|=)|(?:等于|为|是)"),
)


@dataclass(frozen=True, slots=True)
class Mentioned:
    """A condition on a field.

    Args:
        start: Where it begins in the question.
        end: Where it ends.
        field: Its name.
        operator: As the filters have it.
        value: As it is known.
    """

    start: int
    end: int
    field: str
    operator: str
    value: str | float


def _words(name: str) -> str:
    return r"[\s_\-.]?".join(map(re.escape, re.split(r"[_\-.\s]+", name)))


def _role(name: str) -> tuple[str, ...]:
    last = name.lower().split(".")[-1]
    parents = name.lower().split(".")
    return next((names for names in _BEFORE if last in names or parents[0] in names), ())


def mentioned_values(question: str, name: str, values: Iterable[str]) -> Iterator[Mentioned]:
    """Yield what a question says of a field of words; the longest of the values that fit a place.

    Args:
        question: The question.
        name: The field's.
        values: That it has.
    """
    folded = fold_evenly(question)
    spoken: dict[str, str] = {}
    role = _role(name)
    for value in values:
        forms = (value, *(_OTHER_NAMES.get(value.lower(), ()) if role in (_FORMAT, _LANGUAGE) else ()))
        for form in forms:
            key = " ".join(fold_evenly(form).split())
            if len(key) > 1 and key in folded:  # or no pattern needs to be tried
                spoken.setdefault(key, value)
    if not spoken:
        return
    any_value = "|".join(re.escape(key) for key in sorted(spoken, key=len, reverse=True))
    edged = rf"(?:(?<![a-z0-9_])|(?<=[^\x00-\u2e7f]))[\"'“‘「《]?(?P<value>{any_value})[\"'”’」》]?"
    for pattern in _forms(name, role, edged):
        for match in re.finditer(pattern, folded):
            if _ends_inside_word(folded, match.end("value")):
                continue
            operator = "ne" if match.groupdict().get("no") else "eq"
            yield Mentioned(match.start(), match.end(), name, operator, spoken[match.group("value")])


def _forms(name: str, role: tuple[str, ...], value: str) -> Sequence[str]:
    own = _words(fold_evenly(name.split(".")[-1])) if role is not _TITLE else _words(fold_evenly(name))
    found = [
        rf"{_NOT}(?<![a-z0-9_]){own}\s?(?:is|=|:|named|called|是|为|：)?\s?{value}",
        rf"{_NOT}{value}\s{own}(?![a-z0-9_])",
    ]
    if not role:
        return found
    before, after = _BEFORE[role], _AFTER[role]
    cue = (
        rf"(?:(?<![a-z])(?:{before})\s|(?:{_chinese(before)})\s?)" if _chinese(before) else rf"(?<![a-z])(?:{before})\s"
    )
    if _ALONE[role]:
        return [*found, rf"{_NOT}{cue}{value}", rf"{_NOT}{value}(?:{after})"]
    if role in (_FORMAT, _TITLE, _PLACED):
        return [*found, rf"{_NOT}{cue}{value}(?:{after})?", *_chinese_places(value, role)]
    return [*found, rf"{_NOT}{cue}{value}(?:{after})?", rf"{_NOT}{value}(?:{after})"]


def _chinese(pattern: str) -> str:
    return "|".join(part for part in pattern.split("|") if re.match("[\u4e00-\u9fff]", part))


def _chinese_places(value: str, role: tuple[str, ...]) -> list[str]:
    if role is _PLACED:
        return [rf"{_NOT}{value}(?:部门的?|部的|类别的?|类的|项目的?)"]
    return [rf"{_NOT}{value}(?:文件|文档|格式)?(?:里面|里|中|内|上|文件的|文档的|格式的)的?"]


def _ends_inside_word(text: str, end: int) -> bool:
    return end < len(text) and text[end - 1].isascii() and text[end - 1].isalnum() and bool(
        re.match(r"(?!s\b)[a-z0-9_]", text[end:])
    )  # fmt: skip


def mentioned_numbers(question: str, name: str) -> Iterator[Mentioned]:
    """Yield what a question says of a field of numbers: "price under 100", "over 20 pages", 价格低于100."""
    folded = fold_evenly(question)
    own = _words(fold_evenly(name.split(".")[-1]))
    number = r"[$€£¥]?\s?(?P<number>\d[\d,]*(?:\.\d+)?)(?![\d%])"
    for operator, words in _COMPARED:
        forms = [rf"(?<![a-z0-9_]){own}\s?(?:is\s|of\s)?(?:{words})\s?{number}"]
        if operator != "eq":
            forms.append(rf"(?<![a-z0-9_])(?:{words})\s?{number}\s?{own}(?![a-z0-9_])")
        for form in forms:
            for match in re.finditer(form, folded):
                value = float(match.group("number").replace(",", ""))
                yield Mentioned(match.start(), match.end(), name, operator, int(value) if value.is_integer() else value)

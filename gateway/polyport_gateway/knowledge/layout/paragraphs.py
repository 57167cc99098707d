"""Lines of one column to paragraphs, headings, list items, code and footnotes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .content import union
from .lines import Line
from .regions import RegionKind, TextRegion

__all__ = ["text_regions"]

_BULLET = re.compile(
    r"[•◦▪▫■□●○◆◇▶►‣⁃∙·✓✔☐☑☒\uf0b7\uf0a7\uf0a8\uf06f\uf0fc–—*-](?=\s|$)|[•☐☑☒\uf0b7\uf0a7\uf0a8\uf06f]"
)
_NUMBER = re.compile(
    r"(?:\(?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,5})[.)](?=\s)|\(\d{1,3}\)|[①-⑳]|[一二三四五六七八九十]{1,3}、|\d{1,3}、)"
)
_NOTE = re.compile(r"(?:\[?\d{1,3}[\])]?|[*†‡§])(?=\s|\w|$)")
_SECTION = re.compile(r"(?:\d+(?:\.\d+)+\.?|\d+\.?|[IVX]+\.|[A-Z]\.|第[一二三四五六七八九十百\d]+[章节條条部篇])\s*\S")
_CAPTION = re.compile(
    r"(?:(?:table|tab\.|figure|fig\.|listing|algorithm|chart|scheme|plate|exhibit|tabelle|abbildung|abb\.|tableau|"
    r"tabla|figura|tabela)\s*[\dIVXA-Z]+(?:[.\-]\d+)*\s*(?:[.:|–—-]|$|\s)|[图圖表]\s*\d+(?:[.\-]\d+)*|"
    r"\[?[그표](?:림)?\s*\d+(?:[.\-]\d+)*[\]\s.:])",
    re.IGNORECASE,
)
_END = re.compile(r"[.!?。！？…:;：；]['\"”’)\]]*$")


def text_regions(lines: Sequence[Line], *, body_size: float, foot: float | None = None) -> list[TextRegion]:
    """Group the lines of one column.

    Args:
        lines: In reading order.
        body_size: Of the running text.
        foot: Lines that begin below this are footnotes: there is a short rule above them.
    """
    if not lines:
        return []
    left, right = min(line.box.left for line in lines), max(line.box.right for line in lines)
    groups: list[list[Line]] = []
    for line in lines:
        if groups and not _starts(groups[-1], line, left, right, body_size, foot):
            groups[-1].append(line)
        else:
            groups.append([line])
    return [_region(group, left, body_size, foot) for group in groups]


def is_caption(line: Line) -> bool:
    """Tell whether a line names a table or figure."""
    return bool(_CAPTION.match(line.text.lstrip("[<（(【 ")))


def _starts(group: list[Line], line: Line, left: float, right: float, body_size: float, foot: float | None) -> bool:
    """Tell whether a line begins something new."""
    last, size = group[-1], max(group[-1].size, 1.0)
    beside = min(last.box.bottom, line.box.bottom) - max(last.box.top, line.box.top)
    if beside > 0.5 * min(last.box.bottom - last.box.top, line.box.bottom - line.box.top):
        return bool(_marker(line))
    if _is_code(line) != _is_code(last):
        return True
    step = line.box.top - last.box.top
    if _is_code(line):
        return step > 3.0 * size
    if foot is not None and (line.box.top >= foot) != (last.box.top >= foot):
        return True
    if abs(line.size - last.size) > 0.12 * size or step <= 0:
        return True
    usual = group[-1].box.top - group[-2].box.top if len(group) > 1 and group[-2].box.top < group[-1].box.top else None
    if step > (1.3 * usual if usual else 1.75 * size):
        return True
    if _marker(line) and (len(group) == 1 or line.box.left < right - 0.25 * (right - left)):
        return True
    if is_caption(line) and last.box.right < right - 2 * size:
        return True
    return _styled_apart(last, line) or _indented(group, line, left, right, body_size)


def _styled_apart(last: Line, line: Line) -> bool:
    """Tell whether one is all bold and the other has nothing bold: a run-in title is neither."""
    bold = last.share("bold"), line.share("bold")
    return (bold[0] > 0.9 and bold[1] < 0.1) or (bold[0] < 0.1 and bold[1] > 0.9 and bool(_END.search(last.text)))


def _indented(group: list[Line], line: Line, left: float, right: float, body_size: float) -> bool:
    """Tell whether a line begins a paragraph by its indent, or by the last one's end far from the margin."""
    last = group[-1]
    size = max(line.size, 1.0)
    if line.rtl:
        begin, before, short = right - line.box.right, right - last.box.right, last.box.left - left
    else:
        begin, before, short = line.box.left - left, last.box.left - left, right - last.box.right
    if _marker(group[0]):
        # A list item's lines hang under its text; what returns to the margin is no longer it.
        return begin < (group[0].box.left - left if not line.rtl else right - group[0].box.right) - 0.5 * size
    ended = bool(_END.search(last.text))
    if begin > before + 0.7 * size and begin < before + 5 * size and (ended or short > 2 * size):
        return True
    return ended and short > 0.3 * (right - left) and len(group) > 1 and begin <= before + 0.3 * size


def _marker(line: Line) -> re.Match[str] | None:
    text = line.text
    return _BULLET.match(text) or _NUMBER.match(text)


def _is_code(line: Line) -> bool:
    return line.share("mono") > 0.85


def _region(group: list[Line], left: float, body_size: float, foot: float | None) -> TextRegion:
    box = union(*(line.box for line in group))
    letters = sum(line.letters for line in group) or 1
    size = sum(line.size * line.letters for line in group) / letters
    bold = sum(line.share("bold") * line.letters for line in group) / letters > 0.8
    kind, marker = _kind(group, size, bold, body_size, foot)
    level = 1
    if kind == "list_item":
        # From the left edge of the column, two em a level.
        level = 1 + max(0, min(5, round((box.left - left) / (2.0 * max(size, 4.0)) - 0.3)))
    return TextRegion(kind, box, tuple(group), level, marker, round(size, 1), bold)


def _kind(group: list[Line], size: float, bold: bool, body_size: float, foot: float | None) -> tuple[RegionKind, str]:
    text = group[0].text
    if all(_is_code(line) for line in group) and (len(group) > 1 or re.search(r"[;{}()=<>#]|^\s*\w+ -", text)):
        return "code", ""
    if foot is not None and group[0].box.top >= foot:
        found = _NOTE.match(text)
        return "footnote", found.group() if found else ""
    if is_caption(group[0]):
        return "caption", ""
    if _is_heading(group, size, bold, body_size):
        return "heading", ""
    found = _marker(group[0])
    if found and len(text) > found.end():
        return "list_item", found.group()
    return "paragraph", ""


def _is_heading(group: list[Line], size: float, bold: bool, body_size: float) -> bool:
    text = " ".join(line.text for line in group)
    if not any(character.isalpha() for character in text) or len(text) > 250 or len(group) > 4:
        return False
    if size >= 1.15 * body_size:
        return len(text) <= 200 and not (_marker(group[0]) and _BULLET.match(text))
    if not bold or size < 0.95 * body_size or len(group) > 2 or len(text) > 120:
        return False
    if _marker(group[0]) and not _SECTION.match(text):
        return False
    return not re.search(r"[.,;。，；:：]$", text) and sum(c.isalpha() for c in text) > 0.5 * len(text.replace(" ", ""))

"""Lines of one column to paragraphs, headings, list items, code and footnotes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .breaks import same_size, with_breaks
from .content import Word, union
from .lines import Line
from .regions import RegionKind, TextRegion

__all__ = ["is_caption", "is_code", "is_marker", "text_regions"]

_BULLET = re.compile(
    r"[•◦▪▫■□●○◆◇▶►‣⁃∙·✓✔☐☑☒\uf0b7\uf0a7\uf0a8\uf06f\uf0fc–—*-](?=\s|$)|[•☐☑☒\x80-\x9f\uf020-\uf0ff](?!\w)"
)
_NUMBER = re.compile(
    r"(?:\(?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,5})[.)](?=\s|$)|\(\d{1,3}\)|[①-⑳]|[一二三四五六七八九十]{1,3}、|\d{1,3}、)"
)
_NOTE = re.compile(r"(?:\[?\d{1,3}[\])]?|[*†‡§])(?=\s|\w|$)")
_SECTION = re.compile(r"(?:\d+(?:\.\d+)+\.?|\d+\.?|[IVX]+\.|[A-Z]\.|第[一二三四五六七八九十百\d]+[章节條条部篇])\s*\S")
_CAPTION = re.compile(
    r"(?:(?:table|tab\.|figure|fig\.|listing|algorithm|chart|scheme|plate|exhibit|tabelle|abbildung|abb\.|tableau|"
    r"tabla|figura|tabela)\s*[\dIVXA-Z]+(?:[.\-]\d+)*\s*(?:[.:|–—-]|$|\s)|[图圖表]\s*\d+(?:[.\-]\d+)*|"
    r"\[?[그표](?:림)?\s*\d+(?:[.\-]\d+)*[\]\s.:])",
    re.IGNORECASE,
)
_DOTS = re.compile(r"\.+|…")
_LEADERS = re.compile(r"\.{4,}")
_ENTRY = re.compile(r"…\s*[\divxlc]{1,6}$", re.IGNORECASE)  # of a table of contents
_CLOSED = re.compile(r"[.,;。，；:：]$")
_END = re.compile(r"[.!?。！？…:;：；]['\"”’)\]]*$")


@dataclass(frozen=True, slots=True)
class _Column:
    """What the lines of a column are measured against.

    Args:
        left: Of the whole column.
        right: Likewise.
        body_size: Of the document's running text.
        foot: Below this are footnotes.
    """

    left: float
    right: float
    body_size: float
    foot: float | None

    def is_note(self, line: Line) -> bool:
        """Tell whether a line stands below the rule over the footnotes."""
        return self.foot is not None and line.box.top >= self.foot


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
    column = _Column(left, right, body_size, foot)
    groups: list[list[Line]] = []
    for line in map(_without_leaders, with_breaks(lines)):
        if groups and not _starts(groups[-1], line, column):
            groups[-1].append(line)
        else:
            groups.append([line])
    return _levelled([_region(group, column) for group in groups])


def _levelled(regions: list[TextRegion]) -> list[TextRegion]:
    """Give the items of each list their levels: those that begin farther in are of a deeper one."""
    result = list(regions)
    start = 0
    for end in range(len(regions) + 1):
        if end < len(regions) and regions[end].kind in ("list_item", "paragraph"):
            continue
        indents = [
            -regions[index].box.right if regions[index].lines[0].rtl else regions[index].box.left
            for index in range(start, end)
            if regions[index].kind == "list_item"
        ]
        for index in range(start, end):
            region = regions[index]
            if region.kind == "list_item":
                indent = -region.box.right if region.lines[0].rtl else region.box.left
                result[index] = replace(region, level=_rank(indent, indents, 0.6 * max(region.size, 4.0)))
        start = end + 1
    return result


def _rank(indent: float, indents: Sequence[float], tolerance: float) -> int:
    """Return how many different indents there are up to this one; 6 at most."""
    steps = 1
    last = min(indents)
    for other in sorted(indents):
        if other > indent + tolerance / 2:
            break
        if other - last > tolerance:
            steps, last = steps + 1, other
    return min(steps, 6)


def is_caption(line: Line) -> bool:
    """Tell whether a line names a table or figure."""
    return bool(_CAPTION.match(line.text.lstrip("[<（(【 ")))


def _starts(group: list[Line], line: Line, column: _Column) -> bool:
    """Tell whether a line begins something new."""
    last, size = group[-1], max(group[-1].size, 1.0)
    beside = min(last.box.bottom, line.box.bottom) - max(last.box.top, line.box.top)
    if beside > 0.5 * min(last.box.bottom - last.box.top, line.box.bottom - line.box.top):
        return bool(_marker(line)) or not same_size(last, line) or last.share("bold") + line.share("bold") == 1.0
    if is_code(line) != is_code(last):
        return True
    step = line.box.top - last.box.top
    if is_code(line):
        return step > 3.0 * size
    if column.is_note(line) or column.is_note(last):
        return column.is_note(line) != column.is_note(last) or bool(_NOTE.match(line.text))
    if not same_size(last, line) or step <= 0:
        return True
    usual = last.box.top - group[-2].box.top if len(group) > 1 else 0.0
    if step > (1.3 * usual if usual > 0.5 * size else 1.75 * size):
        return True
    if _marker(line) and (len(group) == 1 or line.box.left < column.right - 0.25 * (column.right - column.left)):
        return True
    if is_caption(line) and last.box.right < column.right - 2 * size:
        return True
    if (last.broken and _END.search(last.text)) or _ENTRY.search(last.text):
        return True
    return _styled_apart(last, line) or _indented(group, line, column)


def _styled_apart(last: Line, line: Line) -> bool:
    """Tell whether one is all bold and the other has nothing bold: a run-in title is neither."""
    bold = last.share("bold"), line.share("bold")
    return (bold[0] > 0.9 and bold[1] < 0.1) or (bold[0] < 0.1 and bold[1] > 0.9 and bool(_END.search(last.text)))


def _indented(group: list[Line], line: Line, column: _Column) -> bool:
    """Tell whether a line begins a paragraph by its indent, or by the last one's end far from the margin."""
    last = group[-1]
    size = max(line.size, 1.0)
    begin, before = _begin(line, column), _begin(last, column)
    short = last.box.left - column.left if line.rtl else column.right - last.box.right
    if _marker(group[0]):
        return not _hangs(group, begin, column)
    ended = bool(_END.search(last.text))
    if begin > before + 0.7 * size and begin < before + 5 * size and (ended or short > 2 * size):
        return True
    wide = column.right - column.left
    return ended and short > 0.3 * wide and len(group) > 1 and begin <= before + 0.3 * size


def _hangs(group: list[Line], begin: float, column: _Column) -> bool:
    """Tell whether a line that begins there goes on with a list item: under its text, or where its lines do."""
    first = group[0]
    size = max(first.size, 1.0)
    if len(group) > 1:
        return abs(begin - _begin(group[1], column)) < 0.7 * size
    if first.broken:
        return False
    start = _begin(first, column)
    text = start
    if len(first.words) > 1:
        word = first.words[1].box
        text = column.right - word.right if first.rtl else word.left - column.left
    return start - 0.5 * size <= begin <= max(text, start) + 0.7 * size


def _begin(line: Line, column: _Column) -> float:
    return column.right - line.box.right if line.rtl else line.box.left - column.left


def is_marker(text: str) -> bool:
    """Tell whether a text is a bullet or a number of a list, and nothing else."""
    found = _BULLET.match(text) or _NUMBER.match(text + " ")
    return found is not None and found.end() >= len(text.rstrip())


def _marker(line: Line) -> re.Match[str] | None:
    text = line.text
    return _BULLET.match(text) or _NUMBER.match(text)


def is_code(line: Line) -> bool:
    """Tell whether a line is set like code; an item of a list is not, although all it says may be code."""
    return line.share("mono") > 0.85 and (line.words[0].mono or not _BULLET.match(line.text))


def _without_leaders(line: Line) -> Line:
    """Make the dots between a title and its page one sign, as in a table of contents."""
    if ". ." not in line.text and "...." not in line.text:
        return line
    words: list[Word] = []
    for word in line.words:
        if _DOTS.fullmatch(word.text):
            if words and words[-1].text == "…":
                last = words.pop()
                word = last._replace(box=union(last.box, word.box))
            words.append(word._replace(text="…", bold=False, italic=False))
        else:
            words.append(word._replace(text=_LEADERS.sub(" … ", word.text)))
    return replace(line, words=tuple(words))


def _region(group: list[Line], column: _Column) -> TextRegion:
    box = union(*(line.box for line in group))
    letters = sum(line.letters for line in group) or 1
    size = sum(line.size * line.letters for line in group) / letters
    bold = sum(line.share("bold") * line.letters for line in group) / letters > 0.8
    kind, marker = _kind(group, size, bold, column)
    if kind == "heading" or not group[-1].broken:
        end = replace(group[-1], broken=False)
        group = [*(replace(line, broken=False) if kind == "heading" else line for line in group[:-1]), end]
    return TextRegion(kind, box, tuple(group), 1, marker, round(size, 1), bold)


def _kind(group: list[Line], size: float, bold: bool, column: _Column) -> tuple[RegionKind, str]:
    text = group[0].text
    if all(is_code(line) for line in group) and (len(group) > 1 or re.search(r"[;{}()=<>#]|^\s*\w+ -", text)):
        return "code", ""
    if column.is_note(group[0]):
        found = _NOTE.match(text)
        return "footnote", found.group() if found else ""
    if is_caption(group[0]):
        return "caption", ""
    if _is_heading(group, size, bold, column.body_size):
        return "heading", ""
    found = _marker(group[0])
    if found and (len(text) > found.end() or len(group) > 1):
        return "list_item", found.group()
    return "paragraph", ""


def _is_heading(group: list[Line], size: float, bold: bool, body_size: float) -> bool:
    text = " ".join(line.text for line in group)
    if (
        _ENTRY.search(text)
        or len(text) > 250
        or len(group) > 4
        or sum(map(str.isalpha, text)) < 0.5 * len(text.replace(" ", ""))
    ):
        return False
    if size >= 1.15 * body_size:
        return len(text) <= 200 and not (_marker(group[0]) and _BULLET.match(text))
    if size < 0.95 * body_size or len(group) > 2 or len(text) > 120 or _CLOSED.search(text):
        return False
    numbered = _marker(group[0])
    if numbered and not (_SECTION.match(text) or text.startswith("(")):
        return False
    recognised = group[0].words[0].confidence is not None
    return bold or (
        size >= 1.035 * body_size
        and not recognised
        and len(group) == 1
        and not text[0].islower()
        and group[0].share("mono") + group[0].share("italic") < 0.5
    )

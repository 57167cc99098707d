"""References inside a document and between documents: "see Table 3", 见表3, ``[12]``, hyperlinks.

What is referred to has a label: a caption or heading begins with it ("Table 3: Revenue", "Appendix B", 第三章), an
entry of a reference list is ``[12] …``. A label is known within its document only; an address, everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from posixpath import basename
from urllib.parse import unquote, urlsplit

from .titles import fold_evenly

__all__ = ["address_key", "addresses", "is_label", "labels", "own_labels"]

_KINDS = {
    "table": "table", "tab": "table", "figure": "figure", "fig": "figure", "figures": "figure", "tables": "table",
    "section": "section", "sec": "section", "chapter": "chapter", "appendix": "appendix", "annex": "appendix",
    "equation": "equation", "eq": "equation", "exhibit": "exhibit", "article": "article", "clause": "clause",
    "表": "table", "图": "figure", "圖": "figure", "附录": "appendix", "附錄": "appendix", "附件": "annex",
    "公式": "equation",
}  # fmt: skip
_ORDINALS = {"章": "chapter", "节": "section", "節": "section", "条": "article", "條": "article", "款": "clause"}
_NUMBER = r"\d{1,4}(?:[.\-]\d{1,3}){0,4}|[A-Z](?:\.\d{1,3})*(?![A-Za-z0-9_])|[IVX]{1,6}(?![A-Za-z0-9_])"
_LATIN = re.compile(
    r"\b(?i:(tables?|tab|figures?|fig|section|sec|chapter|appendix|annex|equation|eq|exhibit|article|clause))"
    rf"\.?[ \u00a0]?\(?({_NUMBER})"
)
_CHINESE = re.compile(rf"(表|图|圖|附录|附錄|附件|公式)\s?({_NUMBER}|[一二三四五六七八九十]{{1,3}})")
_ORDINAL = re.compile(r"第\s?([\d一二三四五六七八九十百]{1,5})\s?([章节節条條款])")
_CITED = re.compile(r"\[(\d{1,3}(?:\s?[,–-]\s?\d{1,3}){0,9})\]")
_NUMBERED_HEADING = re.compile(r"(?:#+\s*)?(\d{1,3}(?:\.\d{1,3}){0,4})\.?\s+\S")
_ADDRESS = re.compile(r"\]\(\s*<?([^)\s>]{1,500})|\bhttps?://[^\s<>()\[\]\"'，。；]{1,500}")
_DIGITS = {character: value for value, character in enumerate("一二三四五六七八九", 1)}


def labels(text: str) -> Iterator[tuple[str, str]]:
    """Yield what a text refers to within its document: the label, and how it is written."""
    for match in _LATIN.finditer(text):
        yield f"{_KINDS[match.group(1).lower()]} {match.group(2).rstrip('.').lower()}", match.group().replace("(", "")
    for match in _CHINESE.finditer(text):
        yield f"{_KINDS[match.group(1)]} {_number(match.group(2)).lower()}", match.group()
    for match in _ORDINAL.finditer(text):
        yield f"{_ORDINALS[match.group(2)]} {_number(match.group(1))}", match.group()
    for match in _CITED.finditer(text):
        for number in _cited(match.group(1)):
            yield f"citation {number}", f"[{number}]"


def is_label(name: str) -> bool:
    """Tell whether what looks like a name is a label, such as "Table 3"."""
    return _LATIN.fullmatch(name) is not None


def own_labels(text: str, headings: tuple[str, ...] = ()) -> set[str]:
    """Return the labels that a passage bears: those that its lines or its last heading begin with."""
    found: set[str] = set()
    for line in (*headings[-1:], *text.splitlines()):
        start = line.lstrip(" \t#*_>|")[:80]
        first = next(((label, raw) for label, raw in labels(start) if start.startswith(raw[:2])), None)
        if first is not None and start.startswith(first[1][:1]):
            found.add(first[0])
        numbered = _NUMBERED_HEADING.match(line.lstrip()) if line in headings or line.startswith("#") else None
        if numbered is not None:
            found.add(f"section {numbered.group(1)}")
            found.add(f"chapter {numbered.group(1)}")
    return found


def addresses(text: str) -> Iterator[str]:
    """Yield where a text's hyperlinks lead, in the form of `address_key`."""
    for match in _ADDRESS.finditer(text):
        address = match.group(1) or match.group()
        if "." in address or "/" in address:  # or it is a bracket of the text
            yield address_key(address)


def address_key(address: str) -> str:
    """Return an address in a form to compare: no scheme, query, fragment or last slash; a file by its name alone."""
    parts = urlsplit(address.rstrip(".,;:!?"))
    path = unquote(parts.path).rstrip("/")
    return fold_evenly(f"{parts.netloc}{path}" if parts.netloc else basename(path))


def _cited(group: str) -> Iterator[int]:
    for part in re.split(r"\s?,\s?", group):
        ends = [int(number) for number in re.findall(r"\d+", part)]
        if len(ends) == 2 and 0 < ends[1] - ends[0] <= 20:
            yield from range(ends[0], ends[1] + 1)
        else:
            yield from ends


def _number(text: str) -> str:
    if "百" in text or not set(text) & {*_DIGITS, "十"}:
        return text
    tens, mark, ones = text.partition("十")
    if not mark:
        return "".join(str(_DIGITS.get(character, character)) for character in text)
    return str(_DIGITS.get(tens, 1) * 10 + _DIGITS.get(ones, 0))

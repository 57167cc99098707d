"""A block's text with its inline styles, as GitHub's Markdown."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

from .blocks import Block
from .values import Mark

__all__ = ["escape", "inline", "one_line", "target"]

_PUNCTUATION = r"[!-/:-@\[-`{-~]"
_SPECIAL = re.compile(
    rf"""
    \\(?={_PUNCTUATION}|\s|\Z)                # a backslash that would guard what follows it
    | `
    | (?<!\s)\*|\*(?!\s)                      # a star with blanks on both sides is a star
    | <(?=[A-Za-z/!?]|\Z)
    | &(?=\#?\w+;)
    | \](?=[(\[:])                            # a bracket begins a link only before one of these
    | \[(?=\^)
    """,
    re.VERBOSE,
)
_UNDERSCORES = re.compile("_+")
_BRACKET = re.compile(r"\\.|[\[\]]", re.DOTALL)
_TILDE = re.compile(r"(?<!\s)~|~(?!\s)")
_TASK = re.compile(r"\[(?=[ xX]\](?:\s|$))")
_AT_START = re.compile(
    r"^([ \t]*)(#{1,6}(?=\s|$)|>|\||~(?=~~)|[+*-](?=\s|$)|-(?=[-\s]*$)|=(?==*[ \t]*$)|\d{1,9}(?=[.)](?:\s|$)))",
    re.MULTILINE,
)
_REFERENCE = re.compile(r"\[\^[^\]]+\]")
_FENCES = {"bold": "**", "italic": "*", "strike": "~~"}
_TAGS = {"bold": "strong", "italic": "em", "strike": "s", "superscript": "sup", "subscript": "sub"}


def escape(text: str) -> str:
    """Write text so that Markdown shows it as it is."""
    return _AT_START.sub(_guard, _TASK.sub(r"\\[", _escaped(text), count=1))


def one_line(text: str) -> str:
    """Write text for inside brackets: on one line, without a bracket that ends it."""
    return _BRACKET.sub(_bracket, _escaped(" ".join(text.split())))


def inline(block: Block, references: Mapping[int, str] | None = None) -> str:
    """Return a block's text, escaped, with its marks.

    Args:
        block: One with text.
        references: The labels of the footnotes that its marks refer to, by where these begin.
    """
    marks = sorted(set(block.marks), key=lambda mark: (mark.start, -mark.end, mark.kind != "link", mark.kind))
    return _Inline(block.text, references or {}, struck=any(mark.kind == "strike" for mark in marks)).marked(
        0, len(block.text), marks, frozenset()
    )


class _Inline:
    def __init__(self, text: str, references: Mapping[int, str], *, struck: bool) -> None:
        self._text = text
        self._references = references
        self._tildes = text.count("~") > 1 or struck

    def marked(self, start: int, end: int, marks: Sequence[Mark], around: frozenset[str]) -> str:
        parts: list[str] = []
        position, place = start, 0
        while place < len(marks):
            mark, first = marks[place], place + 1
            place = first
            # One that crosses another has no form in Markdown, and what is bold already can't become bolder.
            if not (position <= mark.start < mark.end <= end) or mark.kind in around:
                continue
            place = _until(marks, place, mark.end)
            while mark.kind in _FENCES and place < len(marks) and _continues(mark, marks[place], end):
                # Between two runs of the same signs nothing could be told.
                mark = mark._replace(end=marks[place].end)
                place = _until(marks, place, mark.end)
            parts.append(self._piece(position, mark.start, around))
            touches = parts[-1] == "" and len(parts) > 1 and parts[-2].endswith(("*", "~"))
            crowded = touches or self._is_crowded(mark, start, end, around)
            parts.append(self._one(mark, marks[first:place], around, crowded=crowded))
            position = mark.end
        return "".join([*parts, self._piece(position, end, around)])

    def _is_crowded(self, mark: Mark, start: int, end: int, around: frozenset[str]) -> bool:
        """Tell whether signs inside other signs would touch words at both sides, and might be taken for the others'."""
        if not around & {"bold", "italic"}:
            return False
        before, after = self._text[start : mark.start][-1:], self._text[mark.end : end][:1]
        return bool(before.strip() or after.strip())

    def _piece(self, start: int, end: int, around: frozenset[str]) -> str:
        """Escape a part of a text; what only means something at a line's start does so only there."""
        more = end < len(self._text)
        line, newline, rest = self._text[start:end].partition("\n")
        shown = _escaped(line, more=more and not newline, tildes=self._tildes)
        if start == 0:
            shown = _TASK.sub(r"\\[", shown, count=1)
        if start == 0 or self._text[start - 1] == "\n":
            shown = _AT_START.sub(_guard, shown)
        if newline:
            shown += newline + _AT_START.sub(_guard, _escaped(rest, more=more, tildes=self._tildes))
        return _BRACKET.sub(_bracket, shown) if "link" in around else shown

    def _one(self, mark: Mark, inside: Sequence[Mark], around: frozenset[str], *, crowded: bool) -> str:
        raw = self._text[mark.start : mark.end]
        if mark.kind == "code":
            return _code(raw)
        if mark.kind == "formula":
            return f"${raw}$"
        if mark.start in self._references and mark.kind == "superscript":
            return f"[^{self._references[mark.start]}]"
        shown = self.marked(mark.start, mark.end, inside, around | {mark.kind})
        if mark.kind == "link":
            return f"[{shown}]({target(mark.value)})"
        if mark.kind not in _TAGS or not raw.strip() or _is_citation(mark, inside, around):
            return shown
        if _REFERENCE.fullmatch(shown.strip()):
            return shown
        # Markdown takes no blank inside the signs.
        left, right = shown[: len(shown) - len(shown.lstrip())], shown[len(shown.rstrip()) :]
        before = "" if left else self._text[max(mark.start - 1, 0) : mark.start]
        after = "" if right else self._text[mark.end : mark.end + 1]
        return f"{left}{_fenced(mark.kind, shown.strip(), before, after, crowded=crowded)}{right}"


def _fenced(kind: str, shown: str, before: str, after: str, *, crowded: bool) -> str:
    """Write styled text, given the signs that stand at both sides of it."""
    fence, tag = _FENCES.get(kind, ""), _TAGS[kind]
    # Signs between a word and punctuation (**(a)**b, **注意：**请) open or close nothing.
    unclear = (_is_word(before) and _is_sign(shown[0])) or (_is_word(after) and _is_sign(shown[-1]))
    if fence and not unclear and not crowded:
        return f"{fence}{shown}{fence}"
    return f"<{tag}>{shown}</{tag}>"


def target(link: str) -> str:
    """Write where a link leads, in angle brackets where it has blanks or parentheses."""
    if re.search(r"[\s()<>]", link):
        return "<" + re.sub(r"[\r\n]+", "%0A", link.replace("<", "%3C").replace(">", "%3E")) + ">"
    return link


def _until(marks: Sequence[Mark], place: int, end: int) -> int:
    while place < len(marks) and marks[place].start < end:
        place += 1
    return place


def _continues(mark: Mark, other: Mark, end: int) -> bool:
    return other.kind == mark.kind and other.start == mark.end < other.end <= end


def _escaped(text: str, *, more: bool = False, tildes: bool = True) -> str:
    """Escape what means something anywhere.

    Args:
        text: A part of a block's text.
        more: Whether another part follows.
        tildes: Whether there are tildes enough to strike words out.
    """
    shown = _SPECIAL.sub(r"\\\g<0>", text)
    if "_" in shown:
        shown = _UNDERSCORES.sub(lambda run: _run(run, more=more), shown)
    if tildes and "~" in shown:
        shown = _TILDE.sub(r"\\~", shown)
    if more and text[-1:] in ("!", "]"):
        shown = shown if shown.endswith("\\" + text[-1]) else f"{shown[:-1]}\\{text[-1]}"
    return shown


def _run(run: re.Match[str], *, more: bool) -> str:
    """Escape underscores: none inside a word, and one where a run of them stands alone."""
    text, signs = run.string, run.group()
    before, after = text[run.start() - 1 : run.start()], text[run.end() : run.end() + 1]
    if before.isalnum() and after.isalnum():
        return signs
    alone = (not before or before.isspace()) and (after.isspace() if after else not more)
    return f"\\{signs}" if alone else "\\_" * len(signs)


def _is_citation(mark: Mark, inside: Sequence[Mark], around: frozenset[str]) -> bool:
    """Tell whether a superscript is a link, which shows well enough that it is not part of the word before it."""
    return mark.kind == "superscript" and ("link" in around or any(other.kind == "link" for other in inside))


def _code(raw: str) -> str:
    fence = "`" * (1 + max(map(len, re.findall("`+", raw)), default=0))
    pad = " " if raw.startswith("`") or raw.endswith("`") else ""
    return f"{fence}{pad}{raw}{pad}{fence}"


def _guard(match: re.Match[str]) -> str:
    blank, sign = match.groups()
    return f"{blank}{sign}\\" if sign.isdigit() else f"{blank}\\{sign}"


def _bracket(match: re.Match[str]) -> str:
    found = match.group()
    return found if found.startswith("\\") else f"\\{found}"


def _is_word(sign: str) -> bool:
    return bool(sign) and not sign.isspace() and not _is_sign(sign)


def _is_sign(sign: str) -> bool:
    return unicodedata.category(sign)[0] in "PS"

"""Where sentences, paragraphs, lines, clauses and words end."""

from __future__ import annotations

import re

__all__ = ["CLAUSES", "LINES", "PARAGRAPHS", "SENTENCES", "WORDS", "ends_of", "last_break"]

_ABBREVIATIONS = (
    "Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|Gen|Col|Sgt|Capt|Lt|Rev|Hon|Pres|Gov|Sen|Rep|Mt|Ave|"
    "Blvd|Rd|Inc|Ltd|Co|Corp|Dept|Univ|Assn|vs|etc|cf|al|e.g|i.e|approx|No|vol|Vol|pp|"
    "fig|Fig|figs|Figs|eq|Eq|sec|Sec|ch|Ch|ed|Ed|eds|Eds|est|Jan|Feb|Mar|Apr|Jun|Jul|"
    "Aug|Sep|Sept|Oct|Nov|Dec|U.S|U.K|U.N|Ph.D|a.m|p.m|z.B|d.h|bzw|Nr|Abb"
)


def _none_before(words: list[str]) -> str:
    # One look back for all words of a length: a pattern can look back by fixed lengths only.
    lengths = sorted({len(word) for word in words})
    groups = ["|".join(re.escape(word) for word in words if len(word) == length) for length in lengths]
    return "".join(rf"(?<!\b(?:{group})\.)" for group in groups)


_FULL_STOP = r"(?<!\b[A-Za-z]\.)" + _none_before(_ABBREVIATIONS.split("|"))
_CLOSING = r"[\"'”’)\]»」』）》】]*"
_LATIN, _CHINESE = ".!?؟۔।", "。！？；｡…"

# A Latin sentence ends at a mark that blanks and no small letter follow, so that a decimal or a file name does not end
# one; a run of marks is looked at from its first one only. A Chinese one ends right after its mark and the quotes that
# close there. All begin with one set of characters, which
# the engine looks for quickly.
SENTENCES = re.compile(
    rf"[{_LATIN}{_CHINESE}\n](?:(?<=\n)\s*"
    rf"|(?<=[{_LATIN}])(?<![{_LATIN}][{_LATIN}])[{_LATIN}]*+{_FULL_STOP}{_CLOSING}(?=\s+[^\sa-z]|\s*\Z)\s*"
    rf"|(?<=[{_CHINESE}])[{_CHINESE}]*{_CLOSING}\s*)"
)
PARAGRAPHS = re.compile(r"\n[^\S\n]*\n\s*")
LINES = re.compile(r"\n\s*")
CLAUSES = re.compile(r"[,;:—，、：；،؛](?:(?=\s)|(?<![,;:—]))\s*")
WORDS = re.compile(r"\s+|(?<=[\u3041-\u9fff])(?=[\u3041-\u9fff])")

_WINDOW = 64


def ends_of(pattern: re.Pattern[str], text: str, start: int, end: int) -> list[int]:
    """Return where the units of a part of a text end; blanks after one belong to it. The last is ``end``."""
    ends = [match.end() for match in pattern.finditer(text, start, end) if match.end() > start]
    if not ends or ends[-1] != end:
        ends.append(end)
    return ends


def last_break(pattern: re.Pattern[str], text: str, start: int, end: int) -> int:
    """Return the last place after ``start`` and up to ``end`` where a unit ends, or −1.

    Looks near the end first, for there it mostly is.
    """
    width = _WINDOW
    while True:
        low = max(start, end - width)
        found = -1
        # A little more is seen, for a mark only ends a sentence when a blank follows.
        for match in pattern.finditer(text, low, min(len(text), end + 3)):
            if match.start() >= end:
                break
            if match.end() <= end or text[end : match.end()].isspace():
                position = min(match.end(), end)
                found = position if position > start else found
        if found >= 0 or low == start:
            return found
        width *= 8

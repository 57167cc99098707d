"""Proper names in a text, by their form alone.

In scripts that have capitals, a name is a run of capitalised words, with small ones such as "of" inside; one word that
only begins a sentence is none. In Chinese and Japanese, what 《》, 〈〉, 「」 or 『』 enclose is a name. Other Chinese
names are found where a title bears them (`titles`): telling a name from words by form alone is not possible there.

A passage that shares a rare name with another is a step towards it, whether or not a title says so: on MuSiQue 33 of 41
passages that plain retrieval missed share one with a passage that it found, while titles reach 13.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["LONGEST", "names"]

LONGEST = 80
_SMALL = "of|the|de|la|le|du|des|von|van|der|den|and|al|el|bin|ibn|da|di|do|for|in|at|on|to"
_HEAD = r"(?:[^\W\d_a-z][\w’'&\-]*\w|[^\W\d_a-z]\.?)"
_RUN = re.compile(rf"(?<![\w’']){_HEAD}(?:(?:\s{{1,2}}(?:{_SMALL})){{0,2}}\s{{1,2}}(?:{_HEAD}|\d{{1,4}}\b))*")
_QUOTED = re.compile(r"《([^《》\n]{1,60})》|〈([^〈〉\n]{1,60})〉|「([^「」\n]{2,30})」|『([^『』\n]{2,60})』")
_JOINT = re.compile(r"\s(?:and|in|at|on|to|for)(?:\sthe)?\s")
_BEGIN_WORDS = (
    "the a an in on at of and but or he she it they his her its their this that these those as by for from with to "
    "is was were be are after before during when while since until although however there then also who what which "
    "where why how i we you not no if so than"
)
_BEGIN = frozenset(_BEGIN_WORDS.split())
_ENDS_SENTENCE = ".!?。！？\n:"


def names(text: str) -> Iterator[str]:
    """Yield the names in a text as they are written, one that occurs again included."""
    for match in _RUN.finditer(text):
        if match.group()[0].isupper():
            yield from _parts(text, match)
    for match in _QUOTED.finditer(text):
        yield next(group for group in match.groups() if group is not None).strip()


def _parts(text: str, match: re.Match[str]) -> Iterator[str]:
    words = match.group().split()
    first = next((place for place, word in enumerate(words) if word.lower() not in _BEGIN), len(words))
    name = " ".join(words[first:]).removesuffix("'s").removesuffix("’s")
    if len(name) < 3 or len(name) > LONGEST:
        return
    if first == 0 and len(words) == 1:
        before = text[max(0, match.start() - 8) : match.start()].rstrip(" \t\"'“‘(")
        if not before or before[-1] in _ENDS_SENTENCE:
            return  # capitalised for its place
    yield name
    for part in _JOINT.split(name) if len(words) > 2 else ():
        if 3 < len(part) < len(name):
            yield part

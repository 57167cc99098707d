"""Follow-up questions of languages with blanks, by rules made for English."""

from __future__ import annotations

import re

from polyport_gateway.knowledge.retrieval.terms import fold

from .words import BINDING, COMMON

__all__ = ["names_in", "rewrite_english"]

_NAME = re.compile(
    r"(?<![\w'’])(?:[A-Z0-9][\w.'’&\-]*)(?:\s(?:(?:of|the|de|la|van|von|der|and|for)\s){0,2}[A-Z0-9][\w.'’&\-]*)*"
)
_QUOTED = re.compile(r"[\"“]([^\"”]{2,80})[\"”]|'([A-Z][^']{2,80})'")
_YEAR = re.compile(r"\b(?:1[0-9]{3}|20[0-9]{2})\b")
_LEADING = re.compile(
    r"(?i)^\s*(?:(?:and|but|or|so|ok(?:ay)?|then|also|now|well|thanks?|thank you)[\s,.!]+)*"
    r"(?P<about>(?:what|how)\s+about\s+|and\s+what\s+of\s+|what\s+of\s+|same\s+(?:question\s+)?for\s+)?"
)
_JOINED = re.compile(r"(?i)^\s*(?:and|but|or|also|then|what about|how about|what of|same for)\b")
_PREPOSITION = re.compile(r"(?i)^(in|at|on|for|by|to|from|of|with|during|since|before|after|under)\s+(.+?)\s*\??\s*$")
_PERSON = re.compile(r"(?i)\b(?:he|she|him|her|his|hers|himself|herself)\b")
_PERSON_ASKED = re.compile(r"(?i)\bwho(?:m|se)?\b|\b(?:author|director|president|founder|actor|actress|singer|ceo)\b")
_PRONOUN = re.compile(
    r"(?i)\b(?:he|she|him|his|hers|her|it|its|they|them|theirs|their|"
    r"(?:this|that|these|those|the same|the said)\s+(?:one|ones|company|man|woman|film|movie|book|song|album|city|"
    r"country|person|town|place|product|team|band|university|school|document|contract|policy|year|event|war|organi[sz]ation|state)|"
    r"this|that|these|those)\b(?!\s+(?:is|was)\s+said)"
)
_NOT_REFERRING = re.compile(
    r"(?i)\b(?:is|was|does|did|can|could|would|will|if)\s+it\s+(?:take|rain|mean|possible|true|safe|legal|cost)\b"
)
_THERE = re.compile(r"(?i)\b(?:there|here)\b(?!\s+(?:is|are|was|were|any|a|an|be|been)\b)")
_ARE_THERE = re.compile(r"(?i)\b(?:is|are|was|were)\s+there\b")
_WHY = re.compile(
    r"(?i)^\s*(?:why|how|when|where|who|how so|how come|which one|how many|how much|since when|why not)\s*\??\s*$"
)
_AUXILIARY = re.compile(r"(?i)(?:is|are|was|were|do|does|did|has|have|can|could|will|would|should|may|must)\b")
_PLACE_ASKED = re.compile(
    r"(?i)\bwhere\b|\b(?:city|country|person|town|place|capital|headquarters|location|state|region)\b"
)
_ANSWER_LOOKED_AT = 400


def rewrite_english(asked: str, topic: str, answer: str) -> str:
    """Return a question in the light of the one before it and of its answer.

    Args:
        asked: It.
        topic: The question before, standing by itself.
        answer: To that one.
    """
    if _WHY.match(asked):
        return _asked_of(asked.strip().rstrip("? "), topic.strip())
    rest = asked[_LEADING.match(asked).end() :].strip()  # type: ignore[union-attr]  # it matches nothing too
    joined = _JOINED.match(asked) is not None
    if joined and _is_piece(rest):
        return _with_piece(rest, topic)
    found = _without_pronouns(asked, topic, answer)
    if found is not None:
        return found
    if _is_piece(asked.strip()) and not (names_in(asked) and len(_content(asked)) > 2):
        return _with_piece(asked.strip(), topic)
    return asked


def names_in(text: str) -> list[str]:
    """Return the names in a text, in order; a capital that only begins a sentence is none."""
    found: list[str] = [next(group for group in match.groups() if group) for match in _QUOTED.finditer(text)]
    for match in _NAME.finditer(text):
        words = match.group().split()
        before = text[: match.start()].rstrip()
        if not before or before[-1] in ".!?:\n":
            while words and fold(words[0]) in BINDING | COMMON | {
                "is",
                "which",
                "name",
                "tell",
                "yes",
                "no",
                "according",
            }:
                words = words[1:]
            if len(words) == 1 and not before and match.end() < len(text) and not _is_cased(words[0], text):
                continue
        name = " ".join(words).removesuffix("'s").removesuffix("’s").strip(".,")
        if name and not name.isdigit() and fold(name) not in BINDING and name != "I":
            found.append(name)
    return list(dict.fromkeys(found))


def _is_cased(word: str, text: str) -> bool:
    """Tell whether a word that begins a text may be a name: it is no word of the language that we know."""
    return fold(word) not in BINDING | COMMON and not text.lower().startswith(
        ("please", "give", "list", "describe", "explain")
    )


def _content(text: str) -> list[str]:
    return [word for word in re.findall(r"[\w'’\-]+", fold(text)) if word not in BINDING]


def _is_piece(text: str) -> bool:
    """Tell whether a text is a piece of a question: few words, and no verb that asks."""
    bare = text.strip(" ?.!")
    if not bare or len(bare.split()) > 7:
        return False
    return (
        re.match(
            r"(?i)(?:who|what|when|where|why|which|how|is|are|was|were|do|does|did|can|could|will|would|has|have|tell|give|list|show|explain|describe)\b",
            bare,
        )
        is None
    )


def _with_piece(piece: str, topic: str) -> str:
    """Return the question before with a piece in the place of what is of its kind, or after it."""
    bare = piece.strip(" ?.!")
    if not bare:
        return topic
    match = _PREPOSITION.match(bare)
    word, value = (match.group(1), match.group(2)) if match else ("", bare)
    if _YEAR.fullmatch(value) and (year := _YEAR.search(topic)):
        return topic[: year.start()] + value + topic[year.end() :]
    if word:
        same = re.search(rf"(?i)\b{word}\s+(?:the\s+)?({_NAME.pattern})", topic)
        if same and not _YEAR.fullmatch(value) and not _YEAR.fullmatch(same.group(1)):
            return topic[: same.start()] + f"{word.lower()} {value}" + topic[same.end() :]
        return f"{topic.rstrip(' ?.!')} {word.lower()} {value}?"
    before = names_in(topic)
    named = names_in(f"x {value}")
    if named and (not value.startswith(named[0]) or _known_rest(value, named[0], topic)):
        value = named[0]
    possessive = bare.endswith(("'s", "’s"))
    if before and value[:1].isupper():
        old = before[-1] if len(before) == 1 else _nearest(before, value)
        new = value.removesuffix("'s").removesuffix("’s") if possessive else value
        return _substituted(topic, old, new)
    return f"{topic.rstrip(' ?.!')}: {bare}?"


def _known_rest(value: str, name: str, topic: str) -> bool:
    """Tell whether what follows the name of a piece is in the question before: the Silver *plan*."""
    rest = value.replace(name, "", 1).strip(" ?.")
    return bool(rest) and fold(rest) in fold(topic)


def _nearest(names: list[str], value: str) -> str:
    """Return the name that another most likely stands for: the one with as many words, else the last."""
    same = [name for name in names if len(name.split()) == len(value.split())]
    return (same or names)[-1]


def _substituted(text: str, old: str, new: str) -> str:
    place = text.find(old)
    return text[:place] + new + text[place + len(old) :] if place >= 0 else f"{text.rstrip(' ?.!')} {new}?"


def _without_pronouns(asked: str, topic: str, answer: str) -> str | None:
    """Return the question with what its pronouns mean; None where it has none, or nothing is known."""
    if (match := _THERE.search(asked)) and not _ARE_THERE.search(asked):
        place = _place_of(topic, answer)
        return asked[: match.start()] + f"in {place}" + asked[match.end() :] if place else _appended(asked, topic)
    match = next((found for found in _PRONOUN.finditer(asked) if not _is_other(asked, found)), None)
    if match is None:
        return None
    if any(asked.find(name) < match.start() for name in names_in(asked)):
        return _appended(asked, topic) if not names_in(asked) else None  # it means a name of the question itself
    entity = _entity(match.group(), topic, answer)
    if entity is None:
        return _appended(asked, topic)
    written = match.group().lower()
    owner = written in {"his", "its", "their", "hers", "theirs"} or (
        written == "her" and re.match(r"\s+[a-z]", asked[match.end() :]) is not None
    )
    shown = f"{entity}'s" if owner else entity
    return asked[: match.start()] + shown + asked[match.end() :]


def _is_other(asked: str, match: re.Match[str]) -> bool:
    """Tell whether what looks like a pronoun refers to nothing before: "does it take", "films that won"."""
    word = match.group().lower()
    if word == "it" and any(found.start() <= match.start() < found.end() for found in _NOT_REFERRING.finditer(asked)):
        return True
    if word in {"that", "this", "these", "those"}:
        after = asked[match.end() :].strip(" ?.!")
        before = asked[: match.start()].strip()
        if (
            word == "that"
            and before
            and after
            and before.split()[-1].lower()
            not in {
                "is",
                "was",
                "did",
                "does",
                "of",
                "about",
                "for",
                "in",
                "to",
                "with",
                "by",
                "why",
                "how",
                "when",
                "like",
                "than",
            }
        ):
            return True
    return False


def _entity(pronoun: str, topic: str, answer: str) -> str | None:
    """Return what a pronoun most likely means: of the question before, or of its answer."""
    asked = names_in(topic)
    answered = [name for name in names_in(_plain(answer[:_ANSWER_LOOKED_AT])) if fold(name) not in fold(topic)]
    if _PERSON.fullmatch(pronoun):
        people = [name for name in answered if len(name.split()) >= 2 and not _YEAR.search(name)]
        if _PERSON_ASKED.search(topic) and people:
            return people[0]
        return next(iter([name for name in asked if len(name.split()) >= 2] or asked or people), None)
    if asked:
        return asked[0] if len(asked) == 1 else max(asked, key=len)
    if re.match(r"(?i)\s*(?:what|which)\b", topic) and answered:
        return answered[0]
    return _noun(topic)


def _noun(topic: str) -> str | None:
    """Return what a question without names is about: the words after its verb."""
    match = re.search(
        r"(?i)\b(?:is|are|was|were|does|do|did|of|about|for)\s+((?:the|an?|our|my)\s+[\w\- ]{3,60}?)\s*"
        r"(?:\?|$|\b(?:in|at|on|for|work|cost|take|have|begin|start|end)\b)",
        topic,
    )
    return match.group(1).strip() if match else None


def _place_of(topic: str, answer: str) -> str | None:
    said = re.search(rf"\b(?:in|at|near|from|to)\s+(?:the\s+)?({_NAME.pattern})", _plain(answer[:_ANSWER_LOOKED_AT]))
    asked = re.search(rf"\b(?:in|at|near|from|to)\s+(?:the\s+)?({_NAME.pattern})", topic)
    if _PLACE_ASKED.search(topic):
        if said:
            return said.group(1).strip(".,")
        answered = [name for name in names_in(_plain(answer[:_ANSWER_LOOKED_AT])) if fold(name) not in fold(topic)]
        if answered:
            return answered[0]
    if asked and not _YEAR.fullmatch(asked.group(1)):
        return asked.group(1).strip(".,?")
    return said.group(1).strip(".,") if said else next(iter(names_in(topic)), None)


def _plain(answer: str) -> str:
    return re.sub(r"[\[【（][\d,\s]+[\]】）]|[*_#`]", "", answer)


def _appended(asked: str, topic: str) -> str:
    """Return a question with what the one before is about after it: words to find by, though no good English."""
    about = names_in(topic) or [" ".join(_content(topic)[:6])]
    return f"{asked.rstrip(' ?.!')} ({', '.join(about)})?"


def _asked_of(word: str, topic: str) -> str:
    """Return what a bare "Why?" asks: it takes the place of the question word before, or stands after it all."""
    bare = re.sub(
        r"(?i)^(?:who|what|when|where|which|how(?: many| much| long)?)\s+"
        r"(?=(?:is|are|was|were|do|does|did|has|have|can)\b)",
        "",
        topic,
    )
    if _AUXILIARY.match(bare):
        return f"{word} {bare[0].lower()}{bare[1:]}"
    return f"{topic} {word}?"

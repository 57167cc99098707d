"""A hundred knowledge bases of real text, with questions whose base is known: what Debian says of its packages.

A base is what one packaging team looks after (Perl, Astro, Fonts, Hamradio …): a label that Debian gave, not one made
for this benchmark. The rule, fixed before anything was measured:

* A team is a maintainer that calls itself one ("… Team", "… Group", "… Maintainers"), whatever its addresses; not
  "QA", which keeps what nobody else does. The teams with the most documents are taken.
* A document is a package: its name as the title, its long description as the text. Left out are descriptions of fewer
  than eight words, those that another package has word by word, and transitional packages.
* A question is a package's synopsis, the line that stands above a description and is not indexed; where several
  packages have the same, it is no question.

A team has as many documents as it has. `filled` brings each base to the same number with documents made of sentences of
its own, for measuring time; what it added is never the document of a question.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Question", "Text", "Topic", "fetch", "fetch_or_exit", "filled", "questions", "topics"]

_HELPER = Path("/usr/lib/apt/apt-helper")
_TEAM = re.compile(r"\b(team|group|maintainers|packagers|developers|project|task force|strike force)\b", re.IGNORECASE)
_NOISE = re.compile(
    r"\b(the|debian|ubuntu|team|group|maintainers?|maintenance|packag\w+|developers|project|task force|strike force"
    r"|extras|tracker|of|related|libraries|install system)\b|[+()]",
    re.IGNORECASE,
)
_SAME = {"astronomy": "astro", "mono": "cli"}
_NO_TOPIC = {"", "qa"}
_FEWEST_WORDS = 8


@dataclass(frozen=True)
class Text:
    """A document: a package's name and long description. ``made``: to fill a base up, not Debian's."""

    title: str
    text: str
    made: bool = False


@dataclass(frozen=True)
class Topic:
    """A knowledge base to be."""

    name: str
    texts: tuple[Text, ...]
    synopses: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    """A synopsis, the base that it is of, and the document."""

    text: str
    topic: int
    title: str


def fetch(folder: Path) -> None:
    """Have apt write Debian's lists, with descriptions in English, into a folder of their own.

    Raises:
        RuntimeError: There is no apt here, or it could not.
    """
    if not _HELPER.exists():
        raise RuntimeError("The labelled questions are of Debian's package lists, and there is no apt on this machine.")
    if any(folder.glob("*Translation-en*")):
        return
    (folder / "partial").mkdir(parents=True, exist_ok=True)
    cache = folder / "cache"
    (cache / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    options = [f"Dir::State::lists={folder}", f"Dir::Cache={cache}", "Acquire::Languages=en"]
    command = ["apt-get", "update", *(word for option in options for word in ("-o", option))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not any(folder.glob("*Translation-en*")):
        raise RuntimeError(f"apt-get update could not fetch the lists: {done.stderr.strip() or done.stdout.strip()}")


def fetch_or_exit(folder: Path) -> None:
    """Fetch the lists, or end the benchmark with the reason: without them there are no labelled questions."""
    try:
        fetch(folder)
    except RuntimeError as error:
        print(f"There are no labelled questions: {error}", file=sys.stderr)
        raise SystemExit(2) from error


def topics(folder: Path, count: int, most: int) -> list[Topic]:
    """Read the lists, and return the largest teams' packages.

    Args:
        folder: Where `fetch` wrote them.
        count: How many teams.
        most: How many documents of each at most, chosen by chance, the same each time.
    """
    texts: dict[str, list[tuple[Text, str]]] = defaultdict(list)
    seen: set[str] = set()
    for name, maintainer, description in sorted(_packages(folder)):
        synopsis, _, body = description.partition("\n")
        body = re.sub(r"\n\s*\.\n", "\n\n", body).strip()
        unwanted = "ransitional" in synopsis or "ummy" in synopsis or len(body.split()) < _FEWEST_WORDS or body in seen
        team = _team(maintainer)
        if team and not unwanted:
            seen.add(body)
            texts[team].append((Text(name, body), synopsis.strip()))
    largest = sorted(texts, key=lambda team: (-len(texts[team]), team))[:count]
    found = []
    for team in sorted(largest):
        kept = texts[team]
        if len(kept) > most:
            kept = random.Random(team).sample(kept, most)
        found.append(Topic(team, tuple(text for text, _ in kept), tuple(synopsis for _, synopsis in kept)))
    return found


def questions(found: Sequence[Topic], each: int, *, skip: int = 0) -> list[Question]:
    """Return up to so many questions of each base, the same each time.

    Args:
        found: The bases.
        each: How many of each.
        skip: How many are left out before: the first twenty were looked at when the router's constants were chosen.
    """
    times = Counter(synopsis for topic in found for synopsis in topic.synopses)
    asked = []
    for number, topic in enumerate(found):
        own = [
            Question(synopsis, number, text.title)
            for text, synopsis in zip(topic.texts, topic.synopses, strict=True)
            if times[synopsis] == 1
        ]
        random.Random(topic.name).shuffle(own)
        asked += own[skip : skip + each]
    return asked


def filled(topic: Topic, count: int) -> list[tuple[Text, tuple[int, int]]]:
    """Return a base's documents, and as many made of its own sentences as are missing.

    With each, the numbers of the two documents that its sentences are of: for Debian's own, its own number twice.
    """
    chance = random.Random(topic.name)
    found = [(text, (number, number)) for number, text in enumerate(topic.texts[:count])]
    while len(found) < count:
        one, other = chance.sample(range(len(topic.texts)), 2)
        pair = topic.texts[one], topic.texts[other]
        sentences = [part.strip() for text in pair for part in re.split(r"(?<=[.:])\s+|\n\n", text.text) if part]
        words = " ".join(chance.sample(sentences, max(1, len(sentences) // 2)))
        found.append((Text(f"{pair[0].title}-{pair[1].title}-{len(found)}", words, made=True), (one, other)))
    return found


def _team(maintainer: str) -> str:
    name = maintainer.partition("<")[0]
    if not _TEAM.search(name):
        return ""
    plain = " ".join(_NOISE.sub(" ", name).lower().replace("-", " ").split())
    plain = _SAME.get(plain, plain)
    return "" if plain in _NO_TOPIC else plain


def _packages(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Return each package's name, maintainer and description."""
    descriptions = {
        stanza["Description-md5"]: stanza["Description-en"]
        for file in sorted(folder.glob("*Translation-en*"))
        for stanza in _stanzas(file)
    }
    found: dict[str, tuple[str, str]] = {}
    for file in sorted(folder.glob("*_Packages*")):
        for stanza in _stanzas(file):
            description = descriptions.get(stanza.get("Description-md5", ""))
            if description is not None:
                found[stanza["Package"]] = stanza.get("Maintainer", ""), description
    for name, (maintainer, description) in found.items():
        yield name, maintainer, description


def _stanzas(file: Path) -> Iterator[dict[str, str]]:
    plain = subprocess.run([str(_HELPER), "cat-file", str(file)], capture_output=True, check=True).stdout.decode()
    for block in plain.split("\n\n"):
        fields: dict[str, str] = {}
        key = ""
        for line in block.split("\n"):
            if line.startswith((" ", "\t")):
                fields[key] = f"{fields.get(key, '')}\n{line[1:]}"
            elif ":" in line:
                key, _, value = line.partition(":")
                fields[key] = value.strip()
        if fields:
            yield fields

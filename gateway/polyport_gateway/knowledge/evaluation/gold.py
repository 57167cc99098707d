"""What is right for a question, and whether a passage that was found is it.

A gold passage is given by its document, by its words, by its span of characters, or by several of these, all of which
must then fit. Chunks cut documents otherwise than whoever wrote the questions did, so that

* words are found where a chunk holds them, or where the chunks of a document that were found so far hold at least half
  of their shingles of characters (Broder, "On the resemblance and containment of documents", 1997);
* a span is found where the chunks found so far cover at least half of it.

Both hold for texts without spaces between words as they do for others.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["Gold", "Place", "normalized", "ranks", "supports"]

_ENOUGH = 0.5
"""Of a passage's characters, so that it counts as found. One that is cut in two equal halves is found with either."""
_SHINGLE = 8
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Gold:
    """A document or passage that is right.

    Args:
        names: What its document may be called: its id, key, title, path or the last part of that.
        text: Words of the passage, exactly, but for white space, case and width of letters.
        span: First character of the passage in the document's text, and one past the last.
    """

    names: tuple[str, ...] = ()
    text: str | None = None
    span: tuple[int, int] | None = None

    def label(self) -> str:
        """Return how to call it in a table."""
        name = self.names[0] if self.names else ""
        place = f"[{self.span[0]}:{self.span[1]}]" if self.span else ""
        text = "" if self.text is None or (self.names and self.span) else repr(_shortened(self.text))
        return " ".join(part for part in (name + place, text) if part)


@dataclass(frozen=True, slots=True)
class Place:
    """A passage that was found, or quoted.

    Args:
        names: What its document is called: id, title.
        text: Its words.
        span: Its characters in the document's text, where they are known.
        document: What tells its document from all others.
        source: Where the document is from, a path or an address; its last parts are names, too.
    """

    names: tuple[str, ...]
    text: str
    span: tuple[int, int] | None = None
    document: str = ""
    source: str = ""


def _shortened(text: str, most: int = 48) -> str:
    flat = _SPACE.sub(" ", text).strip()
    return flat if len(flat) <= most else flat[: most - 1] + "…"


@lru_cache(maxsize=4096)
def normalized(text: str) -> str:
    """Return a text without what differs between makers of texts: white space, case, the width of letters."""
    return _SPACE.sub(" ", unicodedata.normalize("NFKC", text)).strip().casefold()


@lru_cache(maxsize=4096)
def _shingles(text: str) -> frozenset[str]:
    dense = text.replace(" ", "")
    return frozenset(dense[start : start + _SHINGLE] for start in range(max(1, len(dense) - _SHINGLE + 1)))


def _named(gold: Gold, place: Place) -> bool:
    if not gold.names:
        return True
    wanted = {normalized(name) for name in gold.names}
    if any(normalized(name) in wanted for name in place.names):
        return True
    source = normalized(place.source)
    stem = source.rpartition(".")[0]
    return bool(source) and any(_ends(source, name) or _ends(stem, name) for name in wanted)


def _ends(path: str, name: str) -> bool:
    return bool(name) and f"/{path}".endswith(f"/{name}")


def _covered(span: tuple[int, int], parts: Iterable[tuple[int, int]]) -> float:
    """Return the share of a span that parts cover, together."""
    reached, covered = span[0], 0
    for start, end in sorted(parts):
        start, end = max(start, reached), min(end, span[1])
        if end > start:
            covered += end - start
            reached = end
    return covered / max(1, span[1] - span[0])


class _Hunt:
    """Looks for one gold passage in what is found, one after another."""

    def __init__(self, gold: Gold) -> None:
        self._gold = gold
        self._spans: dict[str, list[tuple[int, int]]] = {}
        self._left: dict[str, set[str]] = {}

    def meets(self, place: Place) -> bool:
        """Tell whether the passage is found with this one."""
        gold = self._gold
        if not _named(gold, place):
            return False
        if gold.span is not None and place.span is not None:
            spans = self._spans.setdefault(place.document, [])
            spans.append(place.span)
            return _covered(gold.span, spans) >= _ENOUGH
        if gold.text is not None:
            return self._has(normalized(gold.text), place)
        return gold.span is None

    def _has(self, wanted: str, place: Place) -> bool:
        text = normalized(place.text)
        if wanted in text:
            return True
        shingles = _shingles(wanted)
        left = self._left.setdefault(place.document, set(shingles))
        left -= _shingles(text)
        return len(wanted) > _SHINGLE and 1 - len(left) / len(shingles) >= _ENOUGH


def ranks(gold: Sequence[Gold], found: Sequence[Place]) -> list[int | None]:
    """Return, for each gold passage, the rank from 1 at which it is found."""
    answer: list[int | None] = []
    for one in gold:
        hunt = _Hunt(one)
        answer.append(next((rank for rank, place in enumerate(found, 1) if hunt.meets(place)), None))
    return answer


def supports(gold: Gold, quote: Place) -> bool:
    """Tell whether a quote is from a gold passage: any part of it, for a citation is shorter than a passage."""
    if not _named(gold, quote):
        return False
    if gold.span is not None and quote.span is not None:
        return quote.span[0] < gold.span[1] and gold.span[0] < quote.span[1]
    if gold.text is not None:
        wanted, text = normalized(gold.text), normalized(quote.text)
        return bool(text) and (text in wanted or wanted in text)
    return gold.span is None

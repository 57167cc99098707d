"""An answer's text while it is being written, with only those citations in it that hold.

Words are passed on at once, but for those after a marker that has none before it ("According to [2], …"): it is checked
with the words that follow, and they wait for it. Markers are checked at their place, and a sentence without any at its
end. So none is ever shown that was not checked, and none by half.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from polyport.events import CitationAdded, TextDelta
from polyport.types.knowledge import KnowledgeCitation

from .citations import CitationChecker, Verdict, citation_of, wire_citation
from .facts import facts_of
from .scanner import BLANKS, DECIDES, Code, End, Markers, MarkerScanner, Token, Words
from .support import Support

__all__ = ["CitationStream", "cited", "claims_of"]

_LONGEST_CLAIM = 600
_AGAIN = 8
_ANY = 999
_FEW = 2.0
"""The weight below which words before a marker are not what it cites, unless the sentence ends there."""
_JOINING = " \t\u00a0\n,，;；、:：-–—*•>"
_NO_CLAIM = ("#", "?", "？", ":", "：")


@dataclass(slots=True)
class _Claim:
    """What is said since the sentence, or the last marker, began.

    Args:
        text: It.
        start: Of its first word in the answer.
    """

    text: str = ""
    start: int = 0

    def add(self, text: str, place: int) -> None:
        """Say more, at a place of the answer; what only joins it to what was said before is none of it."""
        if not self.text:
            bare = text.lstrip(_JOINING)
            self.start = place + len(text) - len(bare)
            text = bare
        if len(self.text) < _LONGEST_CLAIM:
            self.text += text

    @property
    def end(self) -> int:
        """One past its last word in the answer."""
        return self.start + len(self.text.rstrip())


class CitationStream:
    """Takes a model's text piece by piece, and gives the text and the citations that hold.

    Args:
        checker: Holds claims against passages.
        find: Whether a sentence without a marker gets one where a passage clearly supports it.

    Example::

        stream = CitationStream(CitationChecker(hits, question=question))
        for delta in deltas:
            show(stream.feed(delta))
        show(stream.finish())
        stream.citations, stream.dropped
    """

    def __init__(self, checker: CitationChecker, *, find: bool = True) -> None:
        self._checker, self._find = checker, find
        self._scanner = MarkerScanner(len(checker.hits))
        self.citations: list[KnowledgeCitation] = []
        self.dropped = 0
        self._pieces: list[str] = []
        self._length = 0
        self._events: list[TextDelta | CitationAdded] = []
        self._numbers: dict[int, int] = {}
        self._claim = _Claim()
        self._last = _Claim()
        self._marked = False
        self._deferred: Markers | None = None
        self._waiting: list[str] = []
        self._swallow = False

    @property
    def text(self) -> str:
        """What was given so far."""
        return "".join(self._pieces)

    def is_quick(self, delta: str) -> bool:
        """Tell whether a piece only brings words, so that feeding it checks nothing and takes no time."""
        return not self._scanner.waits and self._deferred is None and DECIDES.search(delta) is None

    def feed(self, delta: str) -> list[TextDelta | CitationAdded]:
        """Take a piece, and return what can be shown."""
        return self._take(self._scanner.feed(delta))

    def finish(self) -> list[TextDelta | CitationAdded]:
        """Return the rest."""
        found = self._take(self._scanner.feed("", final=True))
        self._end(End("", None, ""))
        return [*found, *self._flush()]

    def _take(self, tokens: Iterable[Token]) -> list[TextDelta | CitationAdded]:
        for token in tokens:
            match token:
                case Words():
                    self._say(token.text)
                case Markers():
                    self._mark(token)
                case End():
                    self._end(token)
                case Code():
                    self._end(End("", None, ""))
                    self._put(token.text)
        return self._flush()

    def _flush(self) -> list[TextDelta | CitationAdded]:
        merged: list[TextDelta | CitationAdded] = []
        for event in self._events:
            last = merged[-1] if merged else None
            if isinstance(event, TextDelta) and isinstance(last, TextDelta):
                merged[-1] = TextDelta(last.text + event.text)
            else:
                merged.append(event)
        self._events = []
        return merged

    def _say(self, text: str) -> None:
        if self._swallow:  # the blank after a marker that was dropped where a line begins
            text = text.lstrip(BLANKS)
            if not text:
                return
            self._swallow = False
        if self._deferred is not None:
            self._waiting.append(text)
            return
        self._claim.add(text, self._length)
        self._put(text)

    def _put(self, text: str) -> None:
        if text:
            self._pieces.append(text)
            self._length += len(text)
            self._events.append(TextDelta(text))

    def _mark(self, markers: Markers) -> None:
        """Decide on markers by the words before them, or put it off."""
        if self._deferred is not None:
            self._decide_deferred()
        weight = facts_of(self._claim.text).weight
        if not markers.last and weight < _FEW:
            self._deferred = markers
            return
        if self._decide(markers, self._claim) or not markers.last:
            self._claim = _Claim()

    def _decide_deferred(self) -> None:
        """Decide on markers by the words around them, and show those after."""
        markers, waiting = self._deferred, "".join(self._waiting)
        self._deferred, self._waiting = None, []
        if markers is None:
            return
        before = self._claim
        spoken = f"{before.text} {waiting}".strip(_JOINING)
        verdict = self._verdict(spoken or self._last.text, markers)
        self.dropped += verdict.dropped
        self._marked = self._marked or bool(verdict.kept)
        shown = self._shown(verdict)
        marked = markers.lead + shown if shown else ""
        self._put(marked)
        if not marked and not markers.lead:
            waiting = waiting.lstrip(BLANKS)
        after = _Claim()
        after.add(waiting, self._length)
        self._put(waiting)
        if not spoken:
            self._cite(verdict, self._last)
            return
        claim = _Claim(before.text, before.start) if before.text else after
        if before.text:
            claim.add(marked + waiting, self._length)
        self._cite(verdict, claim)
        self._claim = claim

    def _decide(self, markers: Markers, claim: _Claim) -> bool:
        """Decide on markers by a claim, and tell whether any stands."""
        claim = claim if claim.text.strip() else self._last
        verdict = self._verdict(claim.text, markers)
        self.dropped += verdict.dropped
        self._marked = self._marked or bool(verdict.kept)
        shown = self._shown(verdict)
        if shown:
            self._put(markers.lead + shown)
        self._swallow = not shown and not self._length
        self._cite(verdict, claim)
        self._last = claim
        return bool(verdict.kept)

    def _verdict(self, claim: str, markers: Markers) -> Verdict:
        if not claim.strip():  # nothing was said that they could be for
            return Verdict((), len(set(markers.numbers)))
        return self._checker.check(claim, markers.numbers)

    def _shown(self, verdict: Verdict) -> str:
        return "".join(f"[{self._number(passage)}]" for passage, _ in verdict.kept)

    def _number(self, passage: int) -> int:
        return self._numbers.setdefault(passage, len(self._numbers) + 1)

    def _cite(self, verdict: Verdict, claim: _Claim) -> None:
        for passage, support in verdict.kept:
            self._add(passage, support, claim)

    def _add(self, passage: int, support: Support, claim: _Claim) -> None:
        hit = self._checker.hits[passage - 1]
        number = self._number(passage)
        if any((one.number, one.start) == (number, claim.start) for one in self.citations[-_AGAIN:]):
            return  # the same was said to the same words
        citation = citation_of(hit, support, start=claim.start, end=claim.end, number=number)
        self.citations.append(citation)
        self._events.append(CitationAdded(wire_citation(citation)))

    def _end(self, end: End) -> None:
        """Decide at the end of a sentence."""
        if self._deferred is not None:
            self._decide_deferred()
        claim = self._claim
        find = self._find and is_claim(claim.text, end.mark)
        if find and end.markers is None and not self._marked:
            self._find_one(claim)
        self._put(end.mark)
        if end.markers is not None and not self._decide(end.markers, claim) and find and not self._marked:
            self._find_one(claim)
        if claim.text.strip():
            self._last = claim
        self._put(end.blanks)
        self._claim, self._marked = _Claim(), False

    def _find_one(self, claim: _Claim) -> None:
        found = self._checker.find(claim.text)
        if found is None:
            return
        passage, support = found
        latin = claim.text.rstrip()[-1:].isascii()
        self._put(f"{' ' if latin else ''}[{self._number(passage)}]")
        self._add(passage, support, claim)


def cited(text: str, checker: CitationChecker, *, find: bool = True) -> CitationStream:
    """Return a whole text with the citations in it that hold, as a stream that has ended."""
    stream = CitationStream(checker, find=find)
    stream.feed(text)
    stream.finish()
    return stream


def claims_of(text: str) -> list[tuple[int, int]]:
    """Return where the sentences of an answer stand, without markers, code, headings and questions."""
    found: list[tuple[int, int]] = []
    place = 0
    start = end = -1

    def close(mark: str) -> None:
        nonlocal start, end
        if start >= 0 and is_claim(text[start:end], mark):
            found.append((start, end))
        start = end = -1

    for token in MarkerScanner(_ANY).feed(text, final=True):
        match token:
            case Words():
                bare = token.text.strip(_JOINING if start < 0 else None)
                if bare:
                    at = place + token.text.index(bare)
                    start = at if start < 0 else start
                    end = at + len(bare)
                place += len(token.text)
            case Markers():
                place += len(token.lead) + len(token.raw)
            case Code():
                close("")
                place += len(token.text)
            case End():
                close(token.mark)
                markers = token.markers
                place += len(token.mark) + len(token.blanks)
                place += len(markers.lead) + len(markers.raw) if markers is not None else 0
    close("")
    return found


def is_claim(text: str, mark: str) -> bool:
    """Tell whether a sentence says something that a passage can support: it is no heading and no question."""
    bare = text.strip()
    return bool(bare) and not bare.startswith(_NO_CLAIM[0]) and not (bare + mark).endswith(_NO_CLAIM[1:])

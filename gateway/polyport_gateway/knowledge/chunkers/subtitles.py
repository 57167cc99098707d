"""Subtitles by cue, grouped where somebody pauses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from polyport_gateway.knowledge.documents.values import JSON, Span
from polyport_gateway.knowledge.tokenizers import Tokenizer

from .base import Cut, Step, Work, check_limit
from .tables import pack_made
from .units import distinct, gather

__all__ = ["Cue", "Subtitles", "cues_of", "looks_like_subtitles"]

_TIME = r"(?:\d{1,3}:)?\d{1,2}:\d{2}[.,]\d{1,3}"
_ARROW = re.compile(rf"^[^\S\n]*({_TIME})[^\S\n]*-->[^\S\n]*({_TIME})[^\n]*(?:\n|\Z)", re.MULTILINE)
_LYRICS = re.compile(r"^\[(\d{1,3}:\d{2}(?:[.:]\d{1,3})?)\]", re.MULTILINE)
_DIALOGUE = re.compile(rf"^Dialogue:[^,\n]*,({_TIME}),({_TIME}),[^,\n]*,([^,\n]*),(?:[^,\n]*,){{4}}", re.MULTILINE)
_TAGS = re.compile(r"<[^<>\n]{0,80}>|\{\\[^{}\n]{0,80}\}")
_VOICE = re.compile(r"<v(?:\.[\w.]+)?\s+([^<>\n]{1,60})>")
_SPEAKER = re.compile(r"^[-–—]?\s*([A-Z][A-Z .'-]{1,30}|[^\W\d_]{1,12})[:：](?=\s|[^\x00-\x7f])", re.MULTILINE)
_LONGEST_NAME = 80


class Cue(NamedTuple):
    """What is shown at one time.

    Args:
        start: Where it begins, with its number and its times.
        text: Where its words begin.
        begins: Seconds from the beginning.
        ends: Seconds; None where the format doesn't say.
    """

    start: int
    text: int
    begins: float
    ends: float | None


@dataclass(frozen=True)
class Subtitles(Step):
    """Puts the cues of SRT, WebVTT, ASS and LRC together, read or raw, and begins anew where nobody speaks for a while.

    ``metadata`` has ``start_seconds``, ``end_seconds``, ``cues`` (how many), ``speakers`` where the cues name them,
    and ``part``, where one cue takes several chunks. A text without times is passed on.

    Args:
        max_tokens: Of a chunk; a cue that is longer by itself is cut between its lines.
        pause: Seconds without a cue after which a chunk begins; None for none.
        clean: Make texts of the words alone, without numbers, times and tags; they have no span then.
        tokenizer: What counts, or its name.
    """

    max_tokens: int = 512
    pause: float | None = 3.0
    clean: bool = False
    tokenizer: str | Tokenizer = "auto"

    def __post_init__(self) -> None:
        check_limit("max_tokens", self.max_tokens)
        if self.pause is not None and self.pause <= 0:
            raise ValueError(f"pause={self.pause} must be more than 0 seconds, or None.")

    def split(self, work: Work, cut: Cut) -> Iterator[Cut]:
        """Put the cues of each part together."""
        cues = cues_of(work, cut.span)
        if not cues:
            yield cut
            return
        # What stands before the first cue (WEBVTT, styles, a title) is put with it, where there is room.
        bounds = [cut.span.start, *(cue.start for cue in cues if cue.start > cut.span.start), cut.span.end]
        lead = len(bounds) - 1 - len(cues)
        apart = [index + lead for index in self._pauses(cues)]
        speakers: list[JSON] = []
        for found in gather(work.measure(self.counter()), work.text, bounds, self.max_tokens, apart=apart):
            inside = cues[max(0, found.first - lead) : found.after - lead]
            if not found.part:  # the later parts of a cue are spoken by those who speak in it
                speakers = _speakers(work.text[inside[0].start : bounds[found.after]]) if inside else []
            metadata = self._metadata(inside, speakers)
            if found.part is not None and not self.clean:
                metadata["part"] = found.part
            span = Span(found.start, found.end)
            if not self.clean:
                yield cut.part(span, found.size, **metadata)
                continue
            words = _words(work.text, inside, found.start, found.end)
            if words:
                yield from pack_made(cut, span, words, self.max_tokens, self.counter(), **metadata)

    def _pauses(self, cues: list[Cue]) -> Iterator[int]:
        if self.pause is None:
            return
        for index in range(1, len(cues)):
            before = cues[index - 1]
            silence = cues[index].begins - (before.begins if before.ends is None else before.ends)
            if before.ends is not None and silence > self.pause:
                yield index

    def _metadata(self, cues: list[Cue], speakers: list[JSON]) -> dict[str, JSON]:
        if not cues:
            return {"cues": 0}
        ends = [cue.ends for cue in cues if cue.ends is not None]
        metadata: dict[str, JSON] = {
            "cues": len(cues), "start_seconds": cues[0].begins, "end_seconds": max([cues[-1].begins, *ends]),
        }  # fmt: skip
        return metadata | ({"speakers": speakers} if speakers else {})


def _speakers(said: str) -> list[JSON]:
    named = [match[3].strip() for match in _DIALOGUE.finditer(said)]
    return distinct(named or [*_VOICE.findall(said), *_SPEAKER.findall(said)])


def looks_like_subtitles(text: str) -> bool:
    """Tell whether a text's beginning has the times of at least two cues."""
    head = text[:8000]
    return any(sum(1 for _ in pattern.finditer(head)) >= 2 for pattern in (_ARROW, _LYRICS, _DIALOGUE))


def cues_of(work: Work, span: Span) -> list[Cue]:
    """Return the cues of a part of a document, in its order."""
    return _timed(work, span) or _arrows(work.text, span) or _lines(work.text, span)


def _timed(work: Work, span: Span) -> list[Cue]:
    cues: list[Cue] = []
    for index in work.blocks(span):
        block = work.document.blocks[index]
        if block.provenance.time is not None:
            start = max(span.start, block.span.start)
            cues.append(Cue(start, start, block.provenance.time.start, block.provenance.time.end))
    return cues


def _arrows(text: str, span: Span) -> list[Cue]:
    cues: list[Cue] = []
    for match in _ARROW.finditer(text, *span):
        start = match.start()
        # Its number or name stands on the line before it, after an empty one or at the beginning.
        line = max(span.start, text.rfind("\n", 0, max(0, start - 1)) + 1)
        name = text[line:start].strip()
        alone = line == span.start or text[max(span.start, line - 2) : line].isspace()
        if name.isdigit() or (alone and 0 < len(name) < _LONGEST_NAME and not name.startswith("WEBVTT")):
            start = line
        cues.append(Cue(start, match.end(), _seconds(match[1]), _seconds(match[2])))
    return cues


def _lines(text: str, span: Span) -> list[Cue]:
    dialogue = [
        Cue(match.start(), match.end(), _seconds(match[1]), _seconds(match[2]))
        for match in _DIALOGUE.finditer(text, *span)
    ]
    if dialogue:
        return dialogue
    return [Cue(match.start(), match.end(), _seconds(match[1]), None) for match in _LYRICS.finditer(text, *span)]


def _seconds(time: str) -> float:
    """Return the seconds of ``1:02:03,450``, ``02:03.45`` or ``02:03``."""
    whole, _, fraction = time.replace(",", ".").partition(".")
    seconds = 0
    for part in whole.split(":"):
        seconds = 60 * seconds + int(part)
    return round(seconds + (int(fraction) / 10 ** len(fraction) if fraction else 0), 3)


def _words(text: str, cues: list[Cue], start: int, end: int) -> str:
    said = []
    for cue, stop in zip(cues, [*(cue.start for cue in cues[1:]), end], strict=False):
        words = _TAGS.sub("", text[max(cue.text, start) : stop]).replace("\\N", " ")
        said.append(" ".join(words.split()))
    return "\n".join(line for line in said if line)

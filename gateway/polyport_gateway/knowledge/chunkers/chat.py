"""Conversations by turn: chats, transcripts, messengers' exports."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from polyport_gateway.knowledge.documents.values import JSON, Span
from polyport_gateway.knowledge.tokenizers import Tokenizer

from .base import Cut, Step, Work, check_limit
from .units import distinct, gather

__all__ = ["ChatTurns", "Turn", "chat_turns", "looks_like_chat"]

_DATE = r"(?:\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}日?|\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4})"
_CLOCK = r"(?:(?:上午|下午|晚上|凌晨|AM|PM)\s?)?\d{1,2}:\d{2}(?::\d{2})?(?:\.\d{1,3})?(?:\s?[AaPp]\.?[Mm]\.?\b)?"
_TIME = rf"(?:{_DATE},?\s+{_CLOCK}|(?:(?:Today|Yesterday|昨天|今天)(?: at)?\s+)?{_CLOCK})"
_NAME = r"[^\s:：\[\]<>|{}\"“”#*()（）,，。；;!?！？/\\][^:：\[\]<>|{}\"“”#*\n]{0,38}?"
_SPEAKER = (
    r"(?:user|assistant|system|human|ai|bot|tool|agent|customer|interviewer|interviewee|moderator|host|guest|caller|"
    r"speaker[ _]?\d{1,3}|q|a|用户|助手|系统|客服|客户|机器人|主持人|嘉宾|记者|问|答|发言人\s?\d{1,3})"
)
_NUMBER = r"(?:[\[(（<]\S{4,40}[\])）>])?"  # QQ's, or an address
_BOLD_COLON = r"\*\*\s*[:：]|\s*[:：]\s*\*\*"
# Forms whose head is on the line itself, strongest first: each is a chat if two lines have it.
_FORMS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern, re.MULTILINE | flags))
    for name, pattern, flags in (
        ("marked", r"^<\|im_start\|>(?P<who>\w+)", 0),
        ("bracketed", rf"^[\[【(（](?P<time>{_TIME})[\]】)）]\s*(?P<who>{_NAME})\s*[:：]", 0),
        ("timed", rf"^(?P<time>{_TIME})\s*(?:[-–—|]\s*)?<?(?P<who>{_NAME})(?:>|\s*[:：](?!\d\d))", 0),
        ("named then timed", rf"^(?P<who>{_NAME})\s*[\[(（](?P<time>{_TIME})[\])）]\s*[:：]", 0),
        ("header", rf"^(?P<who>{_NAME})\s*{_NUMBER}\s*(?:—\s*)?[\[(（]?(?P<time>{_TIME})[\])）]?\s*$", 0),
        ("header, time first", rf"^[\[(（]?(?P<time>{_TIME})[\])）]?\s+(?P<who>{_NAME}){_NUMBER}\s*$", 0),
        ("irc", r"^<[@+ ]?(?P<who>[^\s<>|]{1,40})>\s", 0),
        ("role", rf"^(?:\*\*|#{{1,6}} )?(?P<who>{_SPEAKER})(?:{_BOLD_COLON}|\s*[:：]|(?<=[a-z])\s*$)", re.IGNORECASE),
        ("named", rf"^(?:\*\*)?(?P<who>{_NAME})(?:{_BOLD_COLON}|[:：])(?:\s|(?<=：))", 0),
    )
)
_LONGEST_LINE = 160


class Turn(NamedTuple):
    """What one speaker says until the next one does."""

    start: int
    speaker: str | None
    time: str | None


@dataclass(frozen=True)
class ChatTurns(Step):
    """Cuts a conversation between turns, and says who speaks.

    The forms that are known: ``[12:30] Ann: …`` and other stamped lines (WhatsApp, Telegram, Zoom), ``Ann: …``,
    ``User:``/``Assistant:`` and ``用户：``/``助手：``, ``<ann> …``, headers on a line of their own such as WeChat's and
    QQ's ``张三 2024-01-02 12:30:01``, and ChatML. ``metadata`` has ``speakers``, ``turns`` (how many), ``first_turn``
    (from 0), ``first_time`` and ``last_time`` as they are written, and ``part``, where one turn takes several chunks.
    A text that has no turns is one turn.

    Args:
        max_tokens: Of a chunk; a turn that is longer by itself is cut between its lines.
        overlap: Turns that a chunk repeats from the one before, where there is room.
        most: Turns of a chunk at most.
        tokenizer: What counts, or its name.
    """

    max_tokens: int = 512
    overlap: int = 0
    most: int | None = None
    tokenizer: str | Tokenizer = "auto"

    def __post_init__(self) -> None:
        check_limit("max_tokens", self.max_tokens)
        if self.most is not None and self.most < 1:
            raise ValueError(f"most={self.most} leaves no turn; give 1 or more, or None.")
        if self.overlap < 0 or (self.most is not None and self.overlap >= self.most):
            raise ValueError(f"overlap={self.overlap} must be 0 or more, and less than most={self.most}.")

    def split(self, work: Work, cut: Cut) -> Iterator[Cut]:
        """Put the turns of each part together."""
        turns = chat_turns(work.text, cut.span)
        bounds = [cut.span.start, *(turn.start for turn in turns[1:]), cut.span.end]
        measure = work.measure(self.counter())
        for found in gather(measure, work.text, bounds, self.max_tokens, overlap=self.overlap, most=self.most):
            inside = turns[found.first : found.after]
            times = [turn.time for turn in inside if turn.time]
            metadata: dict[str, JSON] = {
                "speakers": distinct([turn.speaker for turn in inside]),
                "turns": len(inside),
                "first_turn": found.first,
            }
            if times:
                metadata |= {"first_time": times[0], "last_time": times[-1]}
            if found.part is not None:
                metadata["part"] = found.part
            yield cut.part(Span(found.start, found.end), found.size, **metadata)


def looks_like_chat(text: str) -> bool:
    """Tell whether a text's beginning is a conversation: three turns at least, by two speakers at least."""
    turns = [turn for turn in chat_turns(text[:8000], Span(0, min(len(text), 8000))) if turn.speaker]
    return len(turns) >= 3 and len({turn.speaker for turn in turns}) >= 2


def chat_turns(text: str, span: Span) -> list[Turn]:
    """Return the turns of a part of a text, in the form that most of its lines have; one turn if none is found."""
    best: list[Turn] = []
    for name, pattern in _FORMS:
        found = [
            Turn(match.start(), _clean(match["who"]), match.groupdict().get("time"))
            for match in pattern.finditer(text, *span)
            if match.end() - match.start() <= _LONGEST_LINE
        ]
        if _is_form(name, found) and len(found) > len(best):
            best = found
            if name not in ("role", "named"):
                break
    if not best:
        return [Turn(span.start, None, None)]
    if text[span.start : best[0].start].strip():
        best.insert(0, Turn(span.start, None, None))  # a title, a date
    return best


def _is_form(name: str, turns: list[Turn]) -> bool:
    names = Counter(turn.speaker for turn in turns)
    if name == "named":
        # ``Note: …`` and ``Price: …`` have this form too: a conversation has speakers who come again.
        again = sum(count for count in names.values() if count > 1)
        return 2 <= len(names) <= max(2, len(turns) // 2) and again * 3 >= len(turns) * 2
    return len(turns) >= 2


def _clean(name: str) -> str:
    return " ".join(name.strip(" *_-–—|").split())

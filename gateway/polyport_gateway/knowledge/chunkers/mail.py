"""Mail by turn: a reply, what it answers, what that answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from polyport_gateway.knowledge.documents.values import JSON, Span
from polyport_gateway.knowledge.tokenizers import Tokenizer

from .base import Cut, Step, Work, check_limit
from .units import distinct, gather

__all__ = ["MailTurn", "MailTurns", "looks_like_mail", "mail_turns"]

_QUOTES = re.compile(r"(?:[^\S\n]{0,2}[>＞])+[^\S\n]?")
# Said before a quotation, on one line or broken over two or three.
_WROTE = re.compile(
    r"(?:On|Am|Le|El|Em|Il|Op|Den)\b[^\n]{6,160}(?:\n[^\n]{0,120}){0,2}?"
    r"(?:wrote|schrieb[^\n]{0,80}|a écrit|escribió|escreveu|ha scritto|schreef[^\n]{0,80}|skrev[^\n]{0,80})"
    r"\s?:[^\S\n]*(?=\n|$)"
    r"|[^\n]{0,120}\d[^\n]{0,120}(?:\n[^\n]{0,80})?(?:写道|寫道|编写)\s?[:：][^\S\n]*(?=\n|$)"
    r"|[^\n<>]{0,80}<[^\s<>@]+@[^\s<>]+>\s?(?:于|於)?[^\n]{0,60}(?:wrote|写道|寫道)\s?[:：][^\S\n]*(?=\n|$)"
)
_RULE = re.compile(
    r"[-_=—*\s]{2,40}(?:Original Message|Original Appointment|Forwarded message|Forwarded by[^\n]{0,80}|"
    r"Ursprüngliche Nachricht|Message d'origine|Mensaje original|"
    r"原始邮件|原始郵件|原邮件|转发的?邮件(?:信息)?|轉寄郵件)[-_=—*\s]{0,40}(?=\n|$)"
    r"|Begin forwarded message:[^\S\n]*(?=\n|$)|_{20,}[^\S\n]*(?=\n|$)",
    re.IGNORECASE,
)
_FROM = frozenset({"From", "Von", "De", "发件人", "寄件者", "寄件人"})
_DATES = frozenset({"Sent", "Date", "Gesendet", "Envoyé", "发送时间", "发送日期", "寄件日期", "时间", "日期"})
_SUBJECTS = frozenset({"Subject", "Betreff", "Objet", "主题", "主旨"})
_OTHERS = frozenset({"To", "Cc", "Bcc", "Reply-To", "An", "À", "收件人", "抄送"})
_NAMES = "|".join(sorted(_FROM | _DATES | _SUBJECTS | _OTHERS))
_FIELD = re.compile(rf"[*]{{0,2}}({_NAMES})[*]{{0,2}}\s?[:：][*]{{0,2}}([^\n]*)")
_SIGNATURE = re.compile(
    r"--\s?$|(?:Sent from my|Get Outlook for|Von meinem|Envoyé de mon|发自我的|發自我的|从我的)[^\n]{0,60}$",
    re.MULTILINE,
)
_ADDRESS = re.compile(r"[\"“”']?([^\"“”'<>,，\n]{0,60}?)[\"“”']?\s*[<(（]([^\s<>()（）]+@[^\s<>()（）]+)[>)）]")
_WHEN = re.compile(
    r"\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}日?[^\n<\"“,，]{0,30}\d{1,2}[:：]\d{2}(?::\d{2})?(?:\s?[AP]M)?"
    r"|(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? )?(?:\d{1,2}\.? )?[A-Z][a-z]{2,8}\.? (?:\d{1,2}, )?\d{4}"
    r"(?:,? at|,)? \d{1,2}:\d{2}(?::\d{2})?(?:\s?[AP]M)?"
    r"|\d{1,2}[/.]\d{1,2}[/.]\d{2,4},? (?:at |um )?\d{1,2}:\d{2}"
)
_MOST_BLOCK = 12


class MailTurn(NamedTuple):
    """One message of a thread, or the part of it that stands in one piece.

    Args:
        start: Where it begins.
        speaker: Who wrote it, as it is written.
        time: When, as it is written.
        depth: How many messages were written after it, as far as the thread shows.
        quoted: It is repeated from an earlier message.
        signature: Where its signature begins.
    """

    start: int
    speaker: str | None
    time: str | None
    depth: int
    quoted: bool
    signature: int | None = None


@dataclass(frozen=True)
class MailTurns(Step):
    """Cuts a mail between the reply and what it quotes, message by message.

    A message begins at ``On … wrote:`` (and ``写道：``, ``schrieb``, ``a écrit`` …), at ``-----Original Message-----``
    and its like, at a block of ``From:`` or ``发件人：`` lines, and where the depth of ``>`` changes. Each is a chunk
    of its own unless ``join`` is set. ``metadata`` has ``speakers``, ``times``, ``depth`` (0 for the newest message),
    ``quoted``, ``signature_span`` where one is signed, and ``part``, where one takes several chunks. The fields of
    the mail itself (``from``, ``date``) are taken from the document's metadata where its reader has put them there.
    An attachment that was read with it is passed on: ``MailTurns() | Recursive()``.

    Args:
        max_tokens: Of a chunk; a message that is longer by itself is cut between its lines.
        join: Put short neighbours together, up to the limit.
        tokenizer: What counts, or its name.
    """

    max_tokens: int = 512
    join: bool = False
    tokenizer: str | Tokenizer = "auto"

    def __post_init__(self) -> None:
        check_limit("max_tokens", self.max_tokens)

    def split(self, work: Work, cut: Cut) -> Iterator[Cut]:
        """Cut each part message by message."""
        attached = (work.document.blocks[index] for index in work.blocks(cut.span))
        end = next((block.span.start for block in attached if block.provenance.part), cut.span.end)
        if work.text[cut.span.start : end].strip():
            yield from self._body(work, cut.part(Span(cut.span.start, end)))
            yield cut.part(Span(end, cut.span.end))
        else:
            yield cut

    def _body(self, work: Work, cut: Cut) -> Iterator[Cut]:
        turns = mail_turns(work.text, cut.span)
        bounds = [cut.span.start, *(turn.start for turn in turns[1:]), cut.span.end]
        if turns[0].depth == 0 and cut.span.start == 0:
            known = work.document.metadata
            author, date = known.get("from"), known.get("date")
            turns[0] = turns[0]._replace(
                speaker=turns[0].speaker or (author if isinstance(author, str) else None),
                time=turns[0].time or (date if isinstance(date, str) else None),
            )
        measure, most = work.measure(self.counter()), None if self.join else 1
        for found in gather(measure, work.text, bounds, self.max_tokens, most=most):
            inside = turns[found.first : found.after]
            metadata: dict[str, JSON] = {
                "speakers": distinct([turn.speaker for turn in inside]),
                "times": distinct([turn.time for turn in inside]),
                "depth": min(turn.depth for turn in inside),
                "quoted": all(turn.quoted for turn in inside),
            }
            signature = inside[-1].signature
            if signature is not None and found.start <= signature < found.end:
                metadata["signature_span"] = (signature, found.end)
            if found.part is not None:
                metadata["part"] = found.part
            yield cut.part(Span(found.start, found.end), found.size, **metadata)


def looks_like_mail(text: str) -> bool:
    """Tell whether a text is a mail thread: it begins with a block of fields, or quotes a message under its own."""
    head = text[:8000]
    turns = mail_turns(head, Span(0, len(head)))
    return turns[0].speaker is not None or any(turn.speaker is not None and turn.quoted for turn in turns[1:])


@dataclass
class _Thread:
    """A thread while it is walked through."""

    turns: list[MailTurn]
    base: int = 0  # messages above that are not marked with >
    marks: int = 0
    known: dict[int, tuple[str | None, str | None]] = field(default_factory=dict)

    def begin(self, start: int, marks: int, who: tuple[str | None, str | None]) -> None:
        depth = self.base + marks
        if who != (None, None):
            self.known[depth] = who
        speaker, time = self.known.get(depth, (None, None))
        self.turns.append(MailTurn(start, speaker, time, depth, depth > 0))
        self.marks = marks

    def sign(self, start: int) -> None:
        if self.turns[-1].signature is None:
            self.turns[-1] = self.turns[-1]._replace(signature=start)


def mail_turns(text: str, span: Span) -> list[MailTurn]:
    """Return the messages of a part of a text; at least one."""
    thread = _Thread([MailTurn(span.start, None, None, 0, False)])
    position, seen = span.start, 0
    announced: int | None = None  # the depth of > that the last attribution said would follow
    while position < span.end:
        end = text.find("\n", position, span.end)
        end = span.end if end < 0 else end
        quotes = _QUOTES.match(text, position, end)
        marks = sum(text.count(mark, position, quotes.end()) for mark in ">＞") if quotes else 0
        body = quotes.end() if quotes else position
        if not text[body:end].strip():
            position = end + 1
            continue
        head = _head(text, body, span.end, has_marks=marks > 0)
        if head is not None:
            stop, who, attribution = head.end, head.who, head.announces
            if len(thread.turns) == 1 and head.tops(seen):
                thread.turns[0] = thread.turns[0]._replace(speaker=who[0], time=who[1])
                thread.known[0] = who
            elif attribution and _marks_after(text, stop, span.end) > marks:
                announced = _marks_after(text, stop, span.end)
                thread.known[thread.base + announced] = who
                thread.begin(position, announced, who)
            else:
                thread.base += 1 + marks
                thread.begin(position, 0, who)
                announced = None
            end = max(end, stop)
        elif marks != thread.marks and not (announced == marks and thread.turns[-1].depth == thread.base + marks):
            thread.begin(position, marks, (None, None))
        elif _SIGNATURE.match(text, body, end):
            thread.sign(position)
        seen += 1
        position = end + 1
    return thread.turns


def _marks_after(text: str, position: int, stop: int) -> int:
    # How deep the first line after an attribution is quoted.
    for line in text[position : min(stop, position + 400)].split("\n")[:4]:
        if line.strip():
            quotes = _QUOTES.match(line)
            return sum(quotes.group().count(mark) for mark in ">＞") if quotes else 0
    return 0


class _Head(NamedTuple):
    """The lines before a message that say whose it is."""

    end: int
    who: tuple[str | None, str | None]
    announces: bool = False
    ruled: bool = False
    subject: bool = False

    def tops(self, lines: int) -> bool:
        """Tell whether it is the mail's own, given how many lines stand above: a reader may put the subject there."""
        return not self.announces and not self.ruled and (lines == 0 or (lines == 1 and not self.subject))


def _head(text: str, position: int, stop: int, *, has_marks: bool) -> _Head | None:
    wrote = _WROTE.match(text, position, stop)
    if wrote is not None:
        return _Head(wrote.end(), _author(wrote.group()), announces=True)
    rule = _RULE.match(text, position, stop)
    start = position if rule is None else rule.end()
    fields, end = _field_block(text, start, stop, has_marks=has_marks)
    names = {name for name, _ in fields}
    if rule is None and not (names & _FROM and len(fields) >= 2):
        return None
    if rule is not None and not fields and rule.group().startswith("_"):
        return None  # a mere line
    author = next((value.rstrip(" ;") for name, value in fields if name in _FROM and value), None)
    date = next((value for name, value in fields if name in _DATES and value), None)
    return _Head(max(end, start), (author, date), ruled=rule is not None, subject=bool(names & _SUBJECTS))


def _field_block(text: str, position: int, stop: int, *, has_marks: bool) -> tuple[list[tuple[str, str]], int]:
    fields: list[tuple[str, str]] = []
    end = position
    blank = 0
    for _ in range(_MOST_BLOCK):
        line_end = text.find("\n", position, stop)
        line_end = stop if line_end < 0 else line_end
        quotes = _QUOTES.match(text, position, line_end) if has_marks else None
        start = quotes.end() if quotes else position
        line = text[start:line_end].strip()
        found = _FIELD.match(line)
        if found is not None:
            fields.append((found.group(1), found.group(2).strip()))
            end = line_end
        elif line or fields or blank > 1:
            break
        else:
            blank += 1
        if line_end >= stop:
            break
        position = line_end + 1
    return fields, end


def _author(text: str) -> tuple[str | None, str | None]:
    when = _WHEN.search(text)
    address = _ADDRESS.search(text, when.end() if when else 0) or _ADDRESS.search(text)
    if address is not None:
        name = address.group(1).strip(" ,，.;:\"“”'")
        return (f"{name} <{address.group(2)}>" if name else address.group(2)), when.group() if when else None
    rest = text[when.end() :] if when else text
    name = re.sub(r"(?:wrote|schrieb|a écrit|写道|寫道|编写)\s?[:：]?", "", rest)
    return " ".join(name.split()).strip(" ,，.;:：\"“”'于於") or None, when.group() if when else None

"""A question, what was found for it, and out comes an answer: text and citations as they come, then the whole.

With a model, the model's text with the citations that hold; without one, or where it fails, sentences of the documents.
What the documents do not say is said to be so. Nothing here knows a server, a store or a network: the model is an
object with one method, embedder and judge are functions.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from polyport.errors import CallCancelledError, CallError, DeadlineExceededError
from polyport.events import CitationAdded, TextDelta
from polyport.types.knowledge import (
    AskRequest,
    KnowledgeAnswer,
    KnowledgeCitation,
    KnowledgeHit,
    KnowledgeHop,
    KnowledgeResults,
)
from polyport_gateway.knowledge.retrieval.hybrid import Embed
from polyport_gateway.knowledge.tokenizers import EstimateTokenizer

from .citations import CitationChecker, Judge, citation_of, wire_citation
from .context import Context, fit, messages_for
from .extraction import extract
from .followup import Turn, turns_of
from .found import COSINE_SCALE, THRESHOLD, Coverage, coverage, not_found_text
from .judges import embedding_likeness
from .language import language_name, language_of
from .prompts import Prompts
from .stream import CitationStream
from .support import Likeness, Support

__all__ = ["MODEL_THRESHOLD", "AnswerEvent", "AnswerModel", "AnswerOptions", "compose", "says_not_found"]

_log = logging.getLogger("polyport.knowledge")

AnswerEvent: TypeAlias = TextDelta | CitationAdded | KnowledgeAnswer

MODEL_THRESHOLD = 0.3
"""Below it, not even a model is asked: it reads paraphrases, so less of the question's words need be there."""
_SUPPORT_PARTS = (0.375, 0.875)
"""From the cosine that means nothing to 1: where that of a sentence and a quote begins to tell, and tells all."""
_FEWEST = 100
_CHARACTERS_A_TOKEN = 8


class AnswerModel(Protocol):
    """Writes answers. One object serves one answer at a time."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def usage(self) -> dict[str, int] | None:
        """Tokens of the last answer, once it is written; None where they are not counted."""
        ...

    def stream(self, messages: list[dict[str, str]], max_tokens: int) -> AsyncIterator[str]:
        """Yield the answer to messages of OpenAI's form, in pieces that end anywhere."""
        ...


@dataclass(frozen=True)
class AnswerOptions:
    """How answers are made.

    Args:
        prompts: What models are told.
        context_tokens: Of the passages that a model is sent.
        history_tokens: Of the conversation before.
        answer_tokens: Of its answer.
        sentences: Of an answer without a model, unless the request says so.
        threshold: Below which nothing was found, without a model, unless the request says so.
        model_threshold: The same with a model.
        find_citations: Whether sentences that a model did not mark get a citation where one clearly supports them.
        count: Counts tokens; an estimate by default.
        embed: Makes vectors, for what words do not tell; may block.
        cosine_scale: Of that embedder, by `cosine_scale`.
        judge: Has the last word on citations; may block.
    """

    prompts: Prompts = field(default_factory=Prompts)
    context_tokens: int = 6000
    history_tokens: int = 1500
    answer_tokens: int = 1024
    sentences: int = 4
    threshold: float = THRESHOLD
    model_threshold: float = MODEL_THRESHOLD
    find_citations: bool = True
    count: Callable[[str], int] = field(default_factory=lambda: EstimateTokenizer().count)
    embed: Embed | None = None
    cosine_scale: tuple[float, float] = COSINE_SCALE
    judge: Judge | None = None

    def __post_init__(self) -> None:
        if self.context_tokens < _FEWEST or min(self.answer_tokens, self.sentences) < 1 or self.history_tokens < 0:
            raise ValueError(
                f"context_tokens must be {_FEWEST} or more, answer_tokens and sentences 1 or more, history_tokens 0 or "
                "more."
            )


@dataclass
class _Answer:
    """An answer under way."""

    question: str
    language: str
    hits: list[KnowledgeHit]
    options: AnswerOptions
    most: int
    pieces: list[str] = field(default_factory=list)
    length: int = 0
    found: bool = True
    citations: list[KnowledgeCitation] = field(default_factory=list)
    dropped: int = 0
    model: str | None = None
    usage: dict[str, int] | None = None
    notes: list[str] = field(default_factory=list)

    def number(self, hit: KnowledgeHit) -> int:
        """Return a source's number; the next one for a source that has none yet."""
        key = (hit.knowledge, hit.chunk)
        known = next((one.number for one in self.citations if (one.knowledge, one.chunk) == key), None)
        return known if known is not None else max((one.number for one in self.citations), default=0) + 1

    def say(self, text: str) -> TextDelta:
        """Add to the text."""
        self.pieces.append(text)
        self.length += len(text)
        return TextDelta(text)


async def compose(
    request: AskRequest,
    results: KnowledgeResults,
    *,
    model: AnswerModel | None = None,
    options: AnswerOptions | None = None,
    question: str | None = None,
) -> AsyncGenerator[AnswerEvent, None]:
    """Yield an answer: its text and its citations as they come, at last the whole.

    The pieces of text make up the whole's text exactly. A request that does not stream gets them only once they are
    sure, so that a model that fails leaves nothing behind.

    Args:
        request: What was asked.
        results: What was found for it.
        model: Writes the answer; None, or ``"none"`` in the request, for sentences as they are.
        options: How it is made.
        question: The question, standing by itself; by default what was searched for.
    """
    began = time.perf_counter()
    options = options or AnswerOptions()
    question = question or results.query or request.query
    answer = _Answer(
        question,
        request.language or language_of(question),
        list(results.data),
        options,
        request.max_sentences or options.sentences,
    )
    model = None if request.model == "none" else model
    covered = await asyncio.to_thread(
        coverage, question, answer.hits, _cosines(answer.hits), scale=options.cosine_scale
    )
    threshold = request.threshold
    if threshold is None:
        threshold = options.threshold if model is None else options.model_threshold
    if not answer.hits or covered.score < threshold:
        events: AsyncGenerator[TextDelta | CitationAdded, None] = _not_found(answer, covered)
    elif model is None:
        events = _extracted(answer, covered)
    else:
        events = _written(answer, model, _history(request), covered, hold=not request.stream)
    async with aclosing(events) as closing:
        async for event in closing:
            yield event
    yield _whole(answer, results, (time.perf_counter() - began) * 1000)


async def _not_found(answer: _Answer, covered: Coverage) -> AsyncGenerator[TextDelta | CitationAdded, None]:
    answer.found = False
    if covered.missing:
        answer.notes.append(f"Not found in any passage: {', '.join(covered.missing[:5])}.")
    yield answer.say(not_found_text(answer.language, covered))


async def _extracted(answer: _Answer, covered: Coverage) -> AsyncGenerator[TextDelta | CitationAdded, None]:
    """Give sentences of the documents."""
    embed = answer.options.embed
    likeness = None if embed is None else _if_it_can_be_told(embedding_likeness(embed), answer)
    found = await asyncio.to_thread(extract, answer.question, answer.hits, most=answer.most, likeness=likeness)
    if not found.sentences:
        async for event in _not_found(answer, covered):
            yield event
        return
    unplaced = 0
    before = ""
    for one in found.sentences:
        hit = answer.hits[one.hit]
        number = answer.number(hit)
        shown = one.unit.shown
        joint = _joint(before, shown, own_line=one.unit.kind in {"row", "list"})
        if joint:
            yield answer.say(joint)
        start = answer.length
        yield answer.say(f"{shown}{'' if shown[-1] > chr(0x2E80) else ' '}[{number}]")
        support = Support(1.0, one.unit.span, one.unit.text)
        citation = citation_of(hit, support, start=start, end=start + len(shown), number=number)
        answer.citations.append(citation)
        unplaced += citation.span is None
        yield CitationAdded(wire_citation(citation))
        before = shown if one.unit.kind == "sentence" else "\n"
    if unplaced:
        answer.notes.append(
            f"{unplaced} citations have no place in their document: the passage was put together from several parts."
        )
    written_in = language_of(" ".join(one.unit.shown for one in found.sentences), default=answer.language)
    if language_name(written_in) != language_name(answer.language):
        answer.notes.append(
            f"The sentences are the documents' own, in {language_name(written_in)}; without a model they are not "
            f"translated into {language_name(answer.language)}."
        )


def _if_it_can_be_told(likeness: Likeness, answer: _Answer) -> Likeness:
    """Have words alone judge where the embedder fails, and say so."""
    failed = False

    def told(text: str, others: Sequence[str]) -> Sequence[float]:
        nonlocal failed
        try:
            return likeness(text, others)
        except (CallCancelledError, DeadlineExceededError):
            raise
        except CallError as error:
            if not failed:
                failed = True
                answer.notes.append(f"How like sentences are was told by their words alone: {error}")
            return [0.0] * len(others)

    return told


def _joint(before: str, shown: str, *, own_line: bool) -> str:
    """Return what stands between two sentences."""
    if not before:
        return ""
    if own_line or before == "\n":
        return "\n"
    return "" if before[-1] > chr(0x2E80) and shown[0] > chr(0x2E80) else " "


async def _written(
    answer: _Answer, model: AnswerModel, history: Sequence[Turn], covered: Coverage, *, hold: bool
) -> AsyncGenerator[TextDelta | CitationAdded, None]:
    """Give a model's text, or where it fails sentences of the documents."""
    options = answer.options
    context = await asyncio.to_thread(fit, answer.question, answer.hits, options.context_tokens, options.count)
    _note(answer, context)
    messages = messages_for(
        answer.question,
        context,
        prompts=options.prompts,
        language=answer.language,
        history=history,
        history_tokens=options.history_tokens,
        count=options.count,
    )
    likeness = None
    if options.embed is not None:
        unlike = options.cosine_scale[0]
        low, high = (unlike + part * (1 - unlike) for part in _SUPPORT_PARTS)
        likeness = _if_it_can_be_told(embedding_likeness(options.embed, unlike=low, like=high), answer)
    checker = CitationChecker(context.hits, question=answer.question, likeness=likeness, judge=options.judge)
    await asyncio.to_thread(checker.prepare)
    stream = CitationStream(checker, find=options.find_citations)
    held: list[TextDelta | CitationAdded] = []
    failure: str | None = None
    given = False
    events = _cited(stream, model, messages, options.answer_tokens)
    try:
        async with aclosing(events) as closing:
            async for event in closing:
                if hold:
                    held.append(event)
                else:
                    given = given or (isinstance(event, TextDelta) and bool(event.text.strip()))
                    yield event
    except Exception as error:  # noqa: BLE001  # a model of any kind: its failure becomes an answer without it
        _log.warning("The model %r failed in the middle of an answer: %s", model.name, error)
        failure = f"The model {model.name!r} failed: {type(error).__name__}."
    if failure is None and not stream.text.strip():
        failure = f"The model {model.name!r} gave no answer."
    if failure is None:
        answer.model, answer.usage = model.name, model.usage
        for event in held:
            yield event
        _take(answer, stream)
        _settle(answer, stream.text)
        return
    answer.usage = model.usage
    if given:
        answer.model = model.name
        _take(answer, stream)
        answer.notes.append(f"{failure} Its answer is broken off; what follows are sentences of the documents.")
        yield answer.say("\n\n")
    else:
        answer.notes.append(f"{failure} These are sentences of the documents instead.")
    async for event in _extracted(answer, covered):
        yield event


async def _cited(
    stream: CitationStream, model: AnswerModel, messages: list[dict[str, str]], most: int
) -> AsyncGenerator[TextDelta | CitationAdded, None]:
    """Yield what of a model's text can be shown; what was said is complete even where the model fails."""
    written = 0
    try:
        pieces = model.stream(messages, most)
        try:
            async for delta in pieces:
                if not delta:
                    continue
                if stream.is_quick(delta):
                    events = stream.feed(delta)
                else:
                    events = await asyncio.to_thread(stream.feed, delta)
                for event in events:
                    yield event
                written += len(delta)
                if written > most * _CHARACTERS_A_TOKEN:
                    break  # it does not heed its limit
        finally:
            close = getattr(pieces, "aclose", None)
            if close is not None:
                await close()
    except Exception:
        for event in await asyncio.to_thread(stream.finish):
            yield event
        raise
    for event in await asyncio.to_thread(stream.finish):
        yield event


def _take(answer: _Answer, stream: CitationStream) -> None:
    answer.pieces.append(stream.text)
    answer.length += len(stream.text)
    answer.citations.extend(stream.citations)
    answer.dropped += stream.dropped


def _settle(answer: _Answer, text: str) -> None:
    """Say what the model's answer amounts to."""
    if not answer.citations:
        if says_not_found(text, answer.options.prompts.fill("not_found", answer.language)):
            answer.found = False
        else:
            answer.notes.append("No sentence of the model's answer could be traced to the documents.")
    if answer.dropped:
        answer.notes.append(f"{answer.dropped} citations of the model did not support their sentence and were dropped.")


def _note(answer: _Answer, context: Context) -> None:
    if context.shortened or context.left_out:
        answer.notes.append(
            f"Not all that was found fits into {answer.options.context_tokens} tokens: the model saw "
            f"{len(context.hits)} of {len(answer.hits)} passages{', shortened' if context.shortened else ''}."
        )


_NOT_FOUND = re.compile(
    r"(?i)\b(?:documents?|passages?|sources?|context|information|texts?|excerpts?|materials?)\b[^.!?]{0,60}"
    r"\b(?:do(?:es)?\s*(?:not|n['’]t)|not|no|lacks?|without)\b|"
    r"\b(?:no|not enough|insufficient)\s+(?:relevant\s+)?information\b|"
    r"\b(?:do(?:es)?\s*(?:not|n['’]t)|cannot|can['’]t|could not|couldn['’]t|unable to)\s+(?:\w+\s){0,3}"
    r"(?:find|answer|know|contain|mention|determine)\b|"
    r"(?:文档|文檔|资料|資料|段落|文中|上下文|材料|文本|信息|内容)[^。！？]{0,20}(?:没有|未|并未|不|无|沒有|無)|"
    r"(?:没有|未|无法|沒有|無法)[^。！？]{0,12}(?:找到|提到|提及|回答|确定|说明|相关)|"
    r"\bDokumente?n?\b[^.!?]{0,40}\b(?:nicht|nichts|keine)\b|\bdocuments\b[^.!?]{0,40}\bne\b|"
    r"\bdocumentos\b[^.!?]{0,40}\bno\b"
)
_SENTENCE = re.compile(r"[^.!?。！？\n]+[.!?。！？]*")
_MOST_SENTENCES = 3


def says_not_found(text: str, template: str = "") -> bool:
    """Tell whether a model's answer says that the documents do not answer: in its first sentence, and in few words.

    Args:
        text: Of the answer.
        template: What the model was told to say then.
    """
    bare = text.strip(" *_\"'“”\n")
    if template and bare.rstrip(".。!！") == template.strip().rstrip(".。!！"):
        return True
    parts = [part for part in _SENTENCE.findall(bare) if part.strip()]
    return bool(parts) and len(parts) <= _MOST_SENTENCES and _NOT_FOUND.search(parts[0]) is not None


def _cosines(hits: Sequence[KnowledgeHit]) -> list[float] | None:
    found = [hit.scores["dense"] for hit in hits if "dense" in hit.scores]
    return found or None


def _history(request: AskRequest) -> list[Turn]:
    turns = turns_of(request.messages or [])
    last = next((place for place in range(len(turns) - 1, -1, -1) if turns[place].role == "user"), 0)
    return turns[:last]


def _whole(answer: _Answer, results: KnowledgeResults, took_ms: float) -> KnowledgeAnswer:
    return KnowledgeAnswer(
        text="".join(answer.pieces),
        found=answer.found,
        citations=answer.citations,
        dropped=answer.dropped,
        chain=_chain(answer.citations, results.data) if answer.found else [],
        hits=results.data,
        left_out=results.left_out,
        question=answer.question,
        model=answer.model,
        language=answer.language,
        mode=results.mode,
        searched=results.searched,
        notes=[*results.notes, *answer.notes],
        usage=answer.usage,
        took_ms=round(results.took_ms + took_ms, 3),
    )


def _chain(citations: Sequence[KnowledgeCitation], hits: Sequence[KnowledgeHit]) -> list[KnowledgeHop]:
    """Return the steps that led to what is cited, each once."""
    cited = {(citation.knowledge, citation.chunk) for citation in citations}
    steps: dict[tuple[int, int, str], KnowledgeHop] = {}
    for hit in hits:
        if (hit.knowledge, hit.chunk) in cited:
            for hop in hit.chain:
                steps.setdefault((hop.source, hop.target, hop.clue), hop)
    return list(steps.values())

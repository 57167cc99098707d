"""Every chunker, with settings small enough that random documents need many chunks."""

from __future__ import annotations

import json
import zlib

from polyport_gateway.knowledge import chunkers as c
from polyport_gateway.knowledge.chunkers.base import Step

LIMIT = 24


def _said(prompt: str) -> str:
    """Say what a model might: nothing, too much, in lists, with thoughts and fences."""
    said = prompt[-160:]
    answers = (
        "",
        f"<think>\n{said}</think>\n{said}",
        f"Q: {said}\nA: 茶。\n\nQ: why?\nA: {said}",
        f"```json\n{json.dumps([said, '茶', said[:9]])}\n```",
        f"- {said}\n- 龙井茶。\n2. x",
        said * 5,
    )
    return answers[zlib.crc32(prompt.encode("utf-8", "surrogatepass")) % len(answers)]


MODEL = c.CallableModel(_said, "said")


def cases(tokenizer: str) -> dict[str, Step]:
    """Return every chunker alone, and some together."""
    recursive = c.Recursive(LIMIT, tokenizer)
    sentences = c.Sentences(LIMIT, 0, tokenizer)
    return {
        "tokens": c.FixedTokens(LIMIT, 0, tokenizer),
        "tokens+8": c.FixedTokens(LIMIT, 8, tokenizer),
        "characters": c.FixedCharacters(LIMIT, 0),
        "characters+8": c.FixedCharacters(LIMIT, 8),
        "sentences": sentences,
        "sentences+8": c.Sentences(LIMIT, 8, tokenizer),
        "paragraphs": c.Paragraphs(LIMIT, 0, tokenizer),
        "paragraphs+8": c.Paragraphs(LIMIT, 8, tokenizer),
        "lines": c.Lines(LIMIT, 0, tokenizer),
        "recursive": recursive,
        "sliding": c.SlidingWindow(LIMIT, 16, tokenizer),
        "window": c.SentenceWindow(1, LIMIT, tokenizer),
        "heading": c.ByHeading(),
        "page": c.ByPage(),
        "block": c.ByBlock(),
        "heading | sentences": c.ByHeading(level=2) | sentences,
        "page | block | recursive": c.ByPage() | c.ByBlock() | recursive,
        "code | recursive": c.ByCode(LIMIT, None, tokenizer) | recursive,
        "code": c.ByCode(LIMIT, None, tokenizer),
        "late": sentences | c.LateContext(8, tokenizer),
        "parent and child": c.ParentChild(c.Recursive(64, tokenizer), sentences),
        "context": c.ByHeading() | recursive | c.WithContext(),
        "rows | recursive": c.TableRows(LIMIT, tokenizer) | recursive,
        "records | recursive": c.TableRecords(LIMIT, tokenizer) | recursive,
        "columns | recursive": c.TableColumns(LIMIT, tokenizer) | recursive,
        "breakpoints": c.SemanticBreakpoints(LIMIT, tokenizer=tokenizer),
        "heading | breakpoints": c.ByHeading()
        | c.SemanticBreakpoints(LIMIT, threshold="gradient", group=1, min_tokens=8, tokenizer=tokenizer),
        "clusters": c.SemanticClusters(LIMIT, piece_tokens=8, tokenizer=tokenizer),
        "topics": c.TopicSegments(LIMIT, 8, 0.0, 4, tokenizer),
        "path | recursive": c.ByPath(LIMIT, tokenizer) | recursive,
        "element | recursive": c.ByElement(LIMIT, tokenizer) | recursive,
        "logs": c.LogEntries(LIMIT, tokenizer),
        "chat": c.ChatTurns(LIMIT, tokenizer=tokenizer),
        "chat+2": c.ChatTurns(LIMIT, 2, 6, tokenizer),
        "mail": c.MailTurns(LIMIT, tokenizer=tokenizer),
        "page | mail": c.ByPage() | c.MailTurns(LIMIT, join=True, tokenizer=tokenizer),
        "subtitles | recursive": c.Subtitles(LIMIT, tokenizer=tokenizer) | recursive,
        "words of subtitles | recursive": c.Subtitles(LIMIT, None, clean=True, tokenizer=tokenizer) | recursive,
        "slides": c.Slides(LIMIT, LIMIT, tokenizer),
        "pictures | recursive": c.Pictures(LIMIT, tokenizer=tokenizer) | recursive,
        "summary": recursive | c.Summary(MODEL, 8, tokenizer=tokenizer),
        "summary as text": recursive | c.Summary(MODEL, LIMIT, "text", tokenizer=tokenizer),
        "questions": recursive | c.QuestionsAndAnswers(MODEL, 2, LIMIT, tokenizer=tokenizer),
        "propositions": recursive | c.Propositions(MODEL, LIMIT, tokenizer=tokenizer),
        "propositions alone": recursive | c.Propositions(MODEL, LIMIT, keep_source=False, tokenizer=tokenizer),
        "said context": recursive | c.ContextualPrefix(MODEL, LIMIT, 64, tokenizer=tokenizer),
        "keywords": recursive | c.Keywords(),
        "said keywords": recursive | c.Keywords(MODEL),
        "auto": c.Auto(LIMIT, tokenizer),
        "two tokenizers": c.Sentences(64, 0, "estimate") | c.Recursive(LIMIT, "cl100k_base"),
    }


NAMES = sorted(cases("estimate"))
MADE = {
    "context", "rows | recursive", "records | recursive", "columns | recursive", "auto", "pictures | recursive",
    "words of subtitles | recursive", "summary as text", "questions", "propositions", "propositions alone",
    "said context",
}  # fmt: skip
UNLIMITED = {"heading", "page", "block", "context", "parent and child", "code", "said context"}
EXTRACTIVE = [name for name in NAMES if name not in MADE]
# What is made of a part says so; these leave out what they are asked to leave out.
COVERING = [name for name in NAMES if name != "words of subtitles | recursive"]
LIMITED = [name for name in NAMES if name not in UNLIMITED]
OVERLAPPING = {
    "tokens+8": 8, "characters+8": 8, "sentences+8": 8, "paragraphs+8": 8, "sliding": 8,
    "breakpoints": 0, "clusters": 0, "topics": 0, "logs": 0, "chat": 0, "mail": 0, "slides": 0, "path | recursive": 0,
    "tokens": 0, "recursive": 0, "sentences": 0, "lines": 0, "window": 0, "heading | sentences": 0, "code": 0,
}  # fmt: skip

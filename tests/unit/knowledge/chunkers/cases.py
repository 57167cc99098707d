"""Every chunker, with settings small enough that random documents need many chunks."""

from __future__ import annotations

from polyport_gateway.knowledge import chunkers as c
from polyport_gateway.knowledge.chunkers.base import Step

LIMIT = 24


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
        "auto": c.Auto(LIMIT, tokenizer),
        "two tokenizers": c.Sentences(64, 0, "estimate") | c.Recursive(LIMIT, "cl100k_base"),
    }


NAMES = sorted(cases("estimate"))
MADE = {"context", "rows | recursive", "records | recursive", "columns | recursive", "auto"}
UNLIMITED = {"heading", "page", "block", "context", "parent and child", "code"}
EXTRACTIVE = [name for name in NAMES if name not in MADE]
LIMITED = [name for name in NAMES if name not in UNLIMITED]
OVERLAPPING = {
    "tokens+8": 8, "characters+8": 8, "sentences+8": 8, "paragraphs+8": 8, "sliding": 8,
    "tokens": 0, "recursive": 0, "sentences": 0, "lines": 0, "window": 0, "heading | sentences": 0, "code": 0,
}  # fmt: skip

"""From a document to the chunks that the catalogue keeps, and to what is embedded and matched of each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from polyport_gateway.knowledge.catalogue import NewChunk
from polyport_gateway.knowledge.chunkers import Auto, Chunk, Chunker, parse_steps
from polyport_gateway.knowledge.documents import Document
from polyport_gateway.knowledge.documents.blocks import Heading
from polyport_gateway.knowledge.documents.values import JSON
from polyport_gateway.knowledge.retrieval.terms import fold

__all__ = [
    "CHUNKER",
    "CHUNK_TOKENS",
    "EXTRA_KEYWORDS",
    "NARROW",
    "cut",
    "default_chunker",
    "embedded_text",
    "extra_keywords",
    "matched_title",
    "own_chunker",
    "title_of",
]

EXTRA_KEYWORDS = "extra_keywords"
"""The member of a receipt that has them."""

CHUNKER = "chunker"
"""The member of a receipt that says what cuts a document instead of its base's chunker."""

CHUNK_TOKENS = 256
"""Find most at every budget, in English; in Chinese larger ones do a little better (docs/chunkers.md)."""

_BEFORE = 32
"""Tokens of title and headings, which stand before the text."""
_THEIRS = 1.25
"""Tokens of a model for each that is counted."""
NARROW = int(CHUNK_TOKENS * _THEIRS) + _BEFORE
"""An embedder that reads so many tokens reads whole chunks."""

_PARENT = "parent"
_CELLS = re.compile(r"([A-Z]{1,3})(\d{1,7})(?::([A-Z]{1,3})(\d{1,7}))?")
_LONGEST_TITLE = 300
_LONGEST_PATH = 200


def default_chunker(window: int | None = None) -> Chunker:
    """Return the chunker of a base that names none: by what a document is, chunks of 256 tokens.

    What an embedder does not read of a chunk only words can find. With MiniLM, which reads 256 tokens, chunks of 180
    instead of 256 raise dense recall of 236 questions' evidence from .79 to .84 (1,500 tokens read), and hybrid from
    .930 to .942 (docs/chunkers.md).

    Args:
        window: The most tokens that its embedders read, where it is fewer than `NARROW`. Theirs are not the tokens that
            are counted, and title and headings come before the text; so a chunk is a good deal smaller.
    """
    if window is None or window >= NARROW:
        return Auto(max_tokens=CHUNK_TOKENS)
    return Auto(max_tokens=max(32, int((window - _BEFORE) / _THEIRS)))


def title_of(document: Document, name: str) -> str:
    """Return what a document is called: by its metadata, its first heading of the highest level, or its file."""
    given = document.metadata.get("title")
    if isinstance(given, str) and given.strip():
        return _line(given)
    first = next((block for block in document.blocks if block.text.strip()), None)
    if isinstance(first, Heading) and first.level == 1:
        return _line(first.text)
    stem = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return _line(re.sub(r"\.[A-Za-z0-9]{1,8}$", "", stem)) or _line(name) or "untitled"


def _line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_TITLE]


def own_chunker(receipt: Mapping[str, Any] | None) -> Chunker | None:
    """Return what cuts a document instead of its base's chunker, where one was handed in with it."""
    spec = (receipt or {}).get(CHUNKER)
    return parse_steps(spec) if isinstance(spec, str) else None


def cut(document: Document, chunker: Chunker, title: str) -> list[NewChunk]:
    """Return a document's chunks; parents are kept, and not searched, and so are headings with nothing under them."""
    chunks = chunker.chunk(document)
    bare = {chunk.id for chunk in chunks if _is_bare(document, chunk)}
    if len(bare) == len(chunks):
        bare = set()
    places = {chunk.id: place for place, chunk in enumerate(chunks)}
    parents = {chunk.parent_id for chunk in chunks if chunk.metadata.get("role") != _PARENT}
    return [
        NewChunk(
            chunk.text,
            None if chunk.span is None else (chunk.span.start, chunk.span.end),
            chunk.tokens,
            title,
            chunk.heading_path,
            chunk.pages,
            None if chunk.parent_id is None else places.get(chunk.parent_id),
            not (chunk.metadata.get("role") == _PARENT and chunk.id in parents) and chunk.id not in bare,
            _metadata(document, chunk),
        )
        for chunk in chunks
    ]


def _is_bare(document: Document, chunk: Chunk) -> bool:
    """Whether a chunk is headings alone, which the chunks under them have in their paths."""
    return bool(chunk.blocks) and all(isinstance(document.blocks[index], Heading) for index in chunk.blocks)


def _metadata(document: Document, chunk: Chunk) -> Mapping[str, JSON]:
    cells = _cells(document, chunk)
    return chunk.metadata if cells is None else {**chunk.metadata, "cells": cells}


def _cells(document: Document, chunk: Chunk) -> str | None:
    """Return the cells of a sheet that a chunk is from, such as ``Prices!A2:D9``."""
    places = [document.blocks[index].provenance for index in chunk.blocks]
    ranges = {(place.sheet, place.cells) for place in places if place.cells}
    if len(ranges) != 1:
        return None
    ((sheet, cells),) = ranges
    rows = chunk.metadata.get("rows")
    found = _CELLS.fullmatch(cells or "")
    if found is not None and found[3] and isinstance(rows, Sequence) and len(rows) == 2:
        first, after = (int(str(row)) for row in rows)
        top, bottom = int(found[2]), int(found[4])
        cells = f"{found[1]}{min(top + first, bottom)}:{found[3]}{min(top + after - 1, bottom)}"
    return f"{sheet}!{cells}" if sheet else cells


def embedded_text(title: str, heading_path: Sequence[str], text: str) -> str:
    """Return what is embedded of a chunk: where it stands is part of what it means, said once."""
    path = " > ".join(heading for heading in heading_path if heading != title)[:_LONGEST_PATH]
    body = _without_headings(text, (title, *heading_path))
    return "\n".join(part for part in (title, path, body) if part)


def _without_headings(text: str, headings: Sequence[str]) -> str:
    """Return a chunk's text without the headings that it begins with, unless it has nothing else."""
    body = text.strip()
    for heading in headings:
        first, newline, rest = body.partition("\n")
        if newline and heading and first.strip() == heading:
            body = rest.lstrip()
    return body


def matched_title(title: str, heading_path: Sequence[str], keywords: Sequence[str]) -> str:
    """Return what BM25 counts as the title of a chunk: that, its headings, and what `extra_keywords` gave."""
    return "\n".join(dict.fromkeys(part for part in (title, *heading_path, *keywords) if part))


def extra_keywords(document: Document, title: str, keywords: Sequence[str]) -> list[str]:
    """Return the keywords that stand nowhere in a document.

    These are matched in all its chunks. The others are found where they stand: matching them everywhere too would lift
    the chunks that do not have them (measured: all-gold@5 .66 → .62 on HotpotQA, recall@1 .293 → .267 on MuSiQue).
    """
    whole = fold(f"{title}\n{document.text}")
    return [keyword for keyword in keywords if fold(keyword) not in whole]

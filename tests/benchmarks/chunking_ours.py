"""Our chunkers, as the benchmark runs them."""

from __future__ import annotations

from collections.abc import Callable

from polyport_gateway.knowledge import chunkers as c
from polyport_gateway.knowledge.chunkers.base import Chunk, Step
from polyport_gateway.knowledge.documents.blocks import Code, Paragraph
from polyport_gateway.knowledge.documents.builder import DocumentBuilder, source_of
from polyport_gateway.knowledge.documents.document import Document
from polyport_gateway.knowledge.readers import read

Piece = tuple[int, int, int, int] | str
"""From where to where it is searched and read in the text; or its own text, where that was made."""

NAME = "cl100k_base"


def steps(kind: str, tokens: int) -> dict[str, Step]:
    """Return the chunkers for a kind of corpus."""
    recursive = c.Recursive(tokens, NAME)
    if kind == "code":
        return {"ByCode": c.ByCode(tokens, "python", NAME), "Recursive": recursive}
    if kind == "table":
        return {"TableRows": c.TableRows(tokens, NAME)}
    if kind == "markdown":
        return {"ByHeading": c.ByHeading(), "ByHeading, Recursive": c.ByHeading() | recursive}
    return {
        "Recursive": recursive,
        "Recursive, estimate": c.Recursive(tokens, "estimate"),
        "Sentences": c.Sentences(tokens, 0, NAME),
        "Paragraphs": c.Paragraphs(tokens, 0, NAME),
        "Lines": c.Lines(tokens, 0, NAME),
        "FixedTokens": c.FixedTokens(tokens, 0, NAME),
        "FixedCharacters": c.FixedCharacters(tokens * 4, 0, NAME),
        "FixedCharacters, estimate": c.FixedCharacters(tokens * 4, 0, "estimate"),
        "SlidingWindow": c.SlidingWindow(tokens, tokens * 3 // 4, NAME),
        "SentenceWindow": c.SentenceWindow(3, tokens, NAME),
        "SemanticBreakpoints": c.SemanticBreakpoints(tokens, tokenizer=NAME),
        "SemanticClusters": c.SemanticClusters(tokens, tokenizer=NAME),
        "TopicSegments": c.TopicSegments(tokens, tokenizer=NAME),
        "ParentChild": c.ParentChild(recursive, c.Recursive(tokens // 4, NAME)),
    }


def as_document(kind: str, text: str) -> Document:
    """Make a document of one block, so that every chunker has the bare text to go by; only a table is parsed."""
    if kind == "table":
        return read(text.encode(), "table.md").document
    builder = DocumentBuilder(source_of(text.encode(), "text.txt", "text/plain"))
    builder.add(Code(text=text, language="python") if kind == "code" else Paragraph(text=text))
    return builder.build()


def runner(step: Step) -> Callable[[list[Document]], list[list[Chunk]]]:
    """Return what cuts all documents."""
    return lambda documents: [step.chunk(document) for document in documents]


def pieces(chunks: list[Chunk]) -> list[Piece]:
    """Return what is searched and what is read for it: a sentence's window, a child's parent."""
    parents = {chunk.id: chunk for chunk in chunks if chunk.metadata.get("role") == "parent"}
    found: list[Piece] = []
    for chunk in chunks:
        if chunk.id in parents:
            continue
        if chunk.span is None:
            found.append(chunk.text)
            continue
        parent = parents.get(chunk.parent_id or "")
        window = chunk.metadata.get("window_span")
        read_at = tuple(parent.span) if parent is not None and parent.span is not None else window or tuple(chunk.span)
        found.append((chunk.span.start, chunk.span.end, int(read_at[0]), int(read_at[1])))  # type: ignore[index,arg-type]
    return found

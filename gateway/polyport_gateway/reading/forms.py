"""A document, its receipt, its chunks and the formats in the shapes that go over the wires."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import asdict

from polyport.types.documents import (
    DocumentChunk,
    DocumentChunks,
    DocumentForm,
    DocumentPicture,
    DocumentReceipt,
    DocumentResult,
)
from polyport_gateway.knowledge.chunkers.base import Chunk, Step
from polyport_gateway.knowledge.documents import Document, Parsed, Picture, Receipt
from polyport_gateway.knowledge.documents.jsonform import to_plain

__all__ = ["SUFFIXES", "chunk_form", "chunks_form", "receipt_form", "rendered", "result_form"]

SUFFIXES: dict[DocumentForm, str] = {"markdown": ".md", "html": ".html", "json": ".json", "text": ".txt"}
"""What a file of each form ends with."""


def rendered(document: Document, to: DocumentForm) -> str:
    """Return a document in a form."""
    match to:
        case "markdown":
            return document.to_markdown()
        case "html":
            return document.to_html()
        case "json":
            return document.to_json()
        case "text":
            return document.text


def receipt_form(receipt: Receipt) -> DocumentReceipt:
    """Return a receipt as it is sent."""
    return DocumentReceipt.model_validate(asdict(receipt))


def result_form(parsed: Parsed, to: DocumentForm, *, receipt: bool = True, assets: bool = False) -> DocumentResult:
    """Return a document as it is sent.

    Args:
        parsed: The document.
        to: In which form.
        receipt: Whether its receipt comes along.
        assets: Whether the bytes of its pictures and attachments do.
    """
    document = parsed.document
    return DocumentResult(
        id=document.id,
        name=document.source.name,
        mime=document.source.mime,
        to=to,
        content=None if to == "json" else rendered(document, to),
        # Through JSON, for tuples and mappings of the document's own are no plain values.
        document=json.loads(json.dumps(to_plain(document))) if to == "json" else None,
        pictures=[
            DocumentPicture(
                sha256=block.sha256,
                mime=block.mime,
                caption=block.caption,
                alt=block.alt,
                page=block.provenance.page,
            )
            for block in document.blocks
            if isinstance(block, Picture) and block.sha256
        ],
        assets={key: base64.b64encode(data).decode("ascii") for key, data in document.assets.items()} if assets else {},
        receipt=receipt_form(parsed.receipt) if receipt else None,
    )


def chunk_form(chunk: Chunk) -> DocumentChunk:
    """Return a chunk as it is sent."""
    return DocumentChunk(
        id=chunk.id,
        index=chunk.index,
        text=chunk.text,
        span=None if chunk.span is None else (chunk.span.start, chunk.span.end),
        tokens=chunk.tokens,
        heading_path=list(chunk.heading_path),
        pages=list(chunk.pages),
        blocks=list(chunk.blocks),
        parent_id=chunk.parent_id,
        metadata=json.loads(json.dumps(dict(chunk.metadata))),
    )


def chunks_form(parsed: Parsed, step: Step, chunks: Iterable[Chunk], *, receipt: bool = True) -> DocumentChunks:
    """Return chunks as they are sent."""
    document = parsed.document
    return DocumentChunks(
        document_id=document.id,
        name=document.source.name,
        chunker=step.settings(),
        tokenizer=step.counter().name,
        data=[chunk_form(chunk) for chunk in chunks],
        receipt=receipt_form(parsed.receipt) if receipt else None,
    )

"""A file read and cut, for the tool and for the wires."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyport.types.documents import DocumentChunks
from polyport_gateway.call import Call
from polyport_gateway.reading.service import DocumentService

if TYPE_CHECKING:
    from polyport_gateway.knowledge.documents import Parsed
    from polyport_gateway.knowledge.readers import ReadOptions

__all__ = ["cut_document"]


async def cut_document(
    service: DocumentService,
    call: Call,
    name: str,
    data: bytes,
    options: ReadOptions,
    *,
    spec: str | None,
    max_tokens: int | None = None,
    tokenizer: str | None = None,
    receipt: bool = True,
) -> DocumentChunks:
    """Read a file and cut it; a model that its chunkers name is asked by further calls of this one.

    Raises:
        CallError: It can't be read or cut.
    """
    from polyport_gateway.reading.calls import CallModels
    from polyport_gateway.reading.forms import chunks_form
    from polyport_gateway.reading.options import chunker_of

    models = CallModels(call, lambda name: service.allows(name, call.caller))
    # A tokenizer's vocabulary may be loaded for it.
    step = await service.in_thread(
        lambda: chunker_of(
            spec, max_tokens=max_tokens, tokenizer=tokenizer, models=models.text_model, embedders=models.embedder
        )
    )
    parsed: Parsed = await service.read(data, name, options)
    try:
        chunks = await service.cut(parsed, step)
    finally:
        models.close()
    return await service.in_thread(lambda: chunks_form(parsed, step, chunks, receipt=receipt))

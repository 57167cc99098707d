"""Sources of a text as OpenAI's annotations."""

from __future__ import annotations

from typing import Any

from polyport.content import Citation
from polyport_gateway.vector_stores.members import FILE_PREFIX
from polyport_gateway.vector_stores.searching import file_name

__all__ = ["citation_annotation", "file_citation"]


def citation_annotation(citation: Citation, length: int) -> dict[str, Any]:
    """Return a citation: a page of the web as ``url_citation``, a document without an address as ``file_citation``.

    OpenAI's ``file_citation`` has one place in the text, ``index``. Which words it supports and what the document says
    is kept beside: without them nobody could check it.

    Args:
        citation: A source; one without a range stands for all of the text so far.
        length: How many characters of the text have come.
    """
    start = citation.start or 0
    end = length if citation.end is None else citation.end
    if citation.url or not citation.document:
        return {
            "type": "url_citation",
            "url": citation.url or "",
            "title": citation.title,
            "start_index": start,
            "end_index": end,
        }
    # A document that was made of a file of /v1/files is known by it there.
    source = citation.source or ""
    of_file = source.startswith(FILE_PREFIX)
    name = citation.title if of_file else file_name(source) or citation.title
    more = {"quote": citation.text, "page": citation.page}
    return {
        **file_citation(source if of_file else citation.document, name, end),
        "start_index": start,
        "end_index": end,
        **{name: value for name, value in more.items() if value is not None},
    }


def file_citation(file_id: str, filename: str, index: int) -> dict[str, Any]:
    """Return the annotation of a file.

    Args:
        file_id: The file's id.
        filename: Its name.
        index: The character of the text after which it is cited.
    """
    return {"type": "file_citation", "index": index, "file_id": file_id, "filename": filename}

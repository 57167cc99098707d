"""Chunks as rows of a Milvus collection, and back."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from polyport.errors import BadRequestError, ConfigurationError
from polyport_gateway.knowledge.retrieval.bm25 import SparseVector
from polyport_gateway.knowledge.retrieval.ranking import Ranking

from .base import PART, Entry, Record, Schema
from .milvus_filters import facts_of, token

__all__ = [
    "CHANCES",
    "DENSE",
    "MOST_BYTES",
    "MOST_TERMS",
    "field_of",
    "has_field",
    "name_of",
    "ranking_of",
    "record_of",
    "row_of",
    "sparse_of",
]

DENSE = "dense_"
CHANCES = 2**31
MOST_BYTES = 65_535
MOST_TERMS = 4096
"""Of a chunk, are counted; those beyond, in chunks of great length, make a term seem a little rarer than it is."""
_LONGEST_NAME = 200
_ALWAYS = 2**32 - 2
"""A dimension that every sparse vector has, for none may be empty; no query has it."""


def row_of(entry: Entry, schema: Schema) -> dict[str, Any]:
    """Return a chunk as a row.

    Raises:
        BadRequestError: It does not fit.
    """
    vectors = {field_of(name): row.tolist() for name, row in schema.entry(entry).items()}
    body = _text({"document": entry.document, "metadata": dict(entry.metadata)})
    terms = sparse_of(entry.sparse)
    facts = facts_of(entry.document, entry.metadata, terms=entry.sparse is not None)
    for what, text in (("", body), (" to filter by", _text(facts))):
        size = len(text.encode())
        if size > MOST_BYTES:
            raise BadRequestError(
                f"Chunk {entry.id} has {size:,} bytes of metadata{what}, and Milvus takes {MOST_BYTES:,}."
            )
    part = entry.metadata.get(PART)
    return {
        "id": entry.id,
        "body": body,
        "document": token(entry.document),
        PART: part if isinstance(part, int) and not isinstance(part, bool) else None,
        "chance": _chance(entry.id),
        "facts": facts,
        "terms": sorted(terms)[:MOST_TERMS],
        "sparse": {**terms, _ALWAYS: 1.0},
        **{has_field(name): name in entry.vectors for name in schema.vectors},
        **{field_of(name): [1.0] + [0.0] * (size - 1) for name, size in schema.vectors.items()},
        **vectors,
    }


def _text(value: Any) -> str:
    found = json.dumps(value, ensure_ascii=False)
    try:
        found.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON has, but UTF-8 has not
        return json.dumps(value)
    return found


def record_of(chunk: int, row: Mapping[str, Any]) -> Record:
    """Return what is kept of a row's chunk."""
    body = json.loads(row["body"])
    return Record(chunk, body["document"], body["metadata"])


def field_of(name: str) -> str:
    """Return the field of an embedder's vectors; Milvus takes letters, digits and underscores only.

    Raises:
        ConfigurationError: The name is too long.
    """
    written = "".join(chr(one) if chr(one).isalnum() and one < 128 else f"_{one:02x}" for one in name.encode())
    if len(written) > _LONGEST_NAME:
        raise ConfigurationError(f"The embedder's name {name!r} is too long for Milvus; call it otherwise.")
    return f"{DENSE}{written}"


def name_of(field: str) -> str:
    """Return the embedder whose vectors a field has."""
    written = field.removeprefix(DENSE)
    return re.sub(rb"_([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]), written.encode()).decode()


def has_field(name: str) -> str:
    """Return the field that says whether a chunk has a vector; Milvus wants one in every chunk."""
    return f"has_{field_of(name)}"


def _chance(chunk: int) -> int:
    return int.from_bytes(hashlib.sha256(chunk.to_bytes(8, "big")).digest()[:4], "big") % CHANCES


def sparse_of(vector: SparseVector | None) -> dict[int, float]:
    """Return a sparse vector as Milvus has it."""
    if vector is None:
        return {}
    pairs = zip(vector.indices.tolist(), vector.values.tolist(), strict=True)
    return {min(term, _ALWAYS - 1): value for term, value in pairs if value > 0}


def ranking_of(found: Iterable[tuple[int, float]]) -> Ranking:
    """Return scored chunks as a ranking; of equal scores, the smaller number comes first."""
    pairs = list(found)
    ids = np.array([chunk for chunk, _ in pairs], np.int64)
    scores = np.array([score for _, score in pairs], np.float32)
    order = np.lexsort((ids, -scores))
    return Ranking(ids[order], scores[order])

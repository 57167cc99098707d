"""Where chunks are found by vectors, terms and metadata: one protocol, several engines, more by ``polyport.indexes``.

``qdrant-edge`` is the default: in this process, in a folder. ``qdrant`` is the same on a server. ``milvus`` is Milvus,
or Milvus Lite in a folder. ``faiss`` and ``chroma`` find by vectors, and this package keeps the rest. ``memory`` is
exact, and what the others are compared with.
"""

from .base import Entry, FieldType, Record, Schema, Stats, VectorIndex, Where
from .folders import Generations, restore
from .memory import MemoryIndex
from .registry import names, open_index
from .retriever import IndexRetriever
from .samples import Samples

__all__ = [
    "Entry",
    "FieldType",
    "Generations",
    "IndexRetriever",
    "MemoryIndex",
    "Record",
    "Samples",
    "Schema",
    "Stats",
    "VectorIndex",
    "Where",
    "names",
    "open_index",
    "restore",
]

"""The table of links."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, SmallInteger, String, Table, Text

__all__ = ["knowledge_links"]

knowledge_links = Table(
    "knowledge_links",
    MetaData(),
    Column("base", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("key", String(16), nullable=False, comment="digest of what the clue is compared by"),
    Column("chunk", BigInteger, nullable=False, comment="negative: book-keeping of its part"),
    Column("role", SmallInteger, nullable=False),
    Column("written", Text, nullable=False),
)
# The key first: a hop asks for some keys in any number of knowledge bases at once.
Index("ix_knowledge_links_key", knowledge_links.c.key, knowledge_links.c.base, knowledge_links.c.generation)
Index("ix_knowledge_links_chunk", knowledge_links.c.chunk)

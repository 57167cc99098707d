"""The catalogue of knowledge.

A *build* is one version of one document, cut into chunks for one generation of its base. It is staged, then live, then
dead; a chunk is seen if and only if its build is live and of its base's present generation. At most one build of a
document is live in a generation: an index of the table sees to it.

Each base has a table of documents of its own, made and dropped with it: `documents_table`.
"""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    literal_column,
)

from .base import BigId, Json, metadata

__all__ = [
    "DEAD",
    "DOCUMENTS_PREFIX",
    "LIVE",
    "STAGED",
    "documents_table",
    "in_state",
    "knowledge_bases",
    "knowledge_builds",
    "knowledge_chunks",
    "knowledge_generations",
    "knowledge_links",
    "knowledge_log",
]

STAGED, LIVE, DEAD = 0, 1, 2
"""The states of a build."""

DOCUMENTS_PREFIX = "knowledge_documents_"

# No id of what follows is ever given out twice: an index may still hold what a former owner of the number left there.
knowledge_bases = Table(
    "knowledge_bases",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("config", Json, nullable=False),
    Column("generation", Integer, nullable=False, comment="the one that is searched"),
    Column("shelf", String(64), nullable=False, comment="key of the index that the generation is in"),
    Column("state", Json, nullable=False, comment="what was learned of it: weights, profile …"),
    Column("declared", Boolean, nullable=False, comment="by the app, rather than made by a caller"),
    Column("last_generation", Integer, nullable=False, comment="the newest number given out"),
    Column("last_document", BigInteger, nullable=False, comment="likewise"),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

knowledge_generations = Table(
    "knowledge_generations",
    metadata,
    Column("base", Integer, primary_key=True, autoincrement=False),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("shelf", String(64), nullable=False),
    Column("recipe", Json, nullable=False, comment="what it is built with"),
    Column("dropped", Boolean, nullable=False, comment="all in it is to be cleared away"),
    Column("created_at", BigInteger, nullable=False),
)

knowledge_builds = Table(
    "knowledge_builds",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("base", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("document", BigInteger, nullable=False),
    Column("version", Integer, nullable=False, comment="of the document"),
    Column("state", SmallInteger, nullable=False, comment="0 staged, 1 live, 2 dead"),
    Column("chunks", Integer, nullable=False, comment="that are searched"),
    Column("worker", String(64), nullable=False, comment="the process that staged it"),
    Column("at", BigInteger, nullable=False, comment="when it was staged"),
    sqlite_autoincrement=True,
)
_LIVE = knowledge_builds.c.state == literal_column("1")
_NOT_LIVE = knowledge_builds.c.state != literal_column("1")


def in_state(state: int) -> ColumnElement[bool]:
    """Say that a build is in a state, in the words of the indexes below; with a parameter, they would not be used."""
    return _LIVE if state == LIVE else (knowledge_builds.c.state == literal_column(str(state))) & _NOT_LIVE


Index(
    "uq_knowledge_builds_live",
    knowledge_builds.c.base,
    knowledge_builds.c.generation,
    knowledge_builds.c.document,
    unique=True,
    sqlite_where=_LIVE,
    postgresql_where=_LIVE,
)
Index("ix_knowledge_builds_document", knowledge_builds.c.base, knowledge_builds.c.document)
Index(
    "ix_knowledge_builds_waste",
    knowledge_builds.c.state,
    knowledge_builds.c.id,
    sqlite_where=_NOT_LIVE,
    postgresql_where=_NOT_LIVE,
)

knowledge_chunks = Table(
    "knowledge_chunks",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("build", BigInteger, nullable=False),
    Column("ordinal", Integer, nullable=False, comment="its place in the document"),
    Column("parent", Integer, comment="ordinal of the larger chunk that it is a part of"),
    Column("searchable", Boolean, nullable=False, comment="false for what is only shown, as parents are"),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("span_start", Integer),
    Column("span_end", Integer),
    Column("heading_path", Json),
    Column("pages", Json),
    Column("tokens", Integer, nullable=False),
    Column("content_hash", String(64), nullable=False, comment="SHA-256 of the text, in hex"),
    Column("metadata", Json),
    sqlite_autoincrement=True,
)
Index("uq_knowledge_chunks_place", knowledge_chunks.c.build, knowledge_chunks.c.ordinal, unique=True)

knowledge_links = Table(
    "knowledge_links",
    metadata,
    Column("base", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("key", Text, nullable=False, comment="digest of what the clue is compared by"),
    Column("chunk", BigInteger, nullable=False, comment="negative: what is known of the links of a generation"),
    Column("role", SmallInteger, nullable=False, comment="0 held: mentions it; 1 borne: is what it names; see links"),
    Column("written", Text, nullable=False, comment="the clue as it is written"),
)
# The key first: a hop asks for some keys in any number of knowledge bases at once.
Index("ix_knowledge_links_key", knowledge_links.c.key, knowledge_links.c.base, knowledge_links.c.generation)
Index("ix_knowledge_links_chunk", knowledge_links.c.chunk)

knowledge_log = Table(
    "knowledge_log",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("base", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("action", String(32), nullable=False),
    Column("document", String(64), comment="uid"),
    Column("source", Text, comment="the document's key"),
    Column("job", String(64)),
    Column("by", String(16), comment="id of the key that asked for it"),
    Column("details", Json),
    sqlite_autoincrement=True,
)
Index("ix_knowledge_log_base", knowledge_log.c.base, knowledge_log.c.id)


@lru_cache(maxsize=4096)
def documents_table(base: int) -> Table:
    """Return the table of a base's documents; it is not among the static `metadata`.

    A change here needs a revision that changes the table of every base that there is.
    """
    name = f"{DOCUMENTS_PREFIX}{base:d}"
    table = Table(
        name,
        MetaData(naming_convention=metadata.naming_convention),
        Column("id", BigInteger, primary_key=True, autoincrement=False),
        Column("uid", String(64), nullable=False),
        # In the order of code points everywhere: prefixes and pages of keys rely on it.
        Column("key", Text().with_variant(Text(collation="C"), "postgresql"), nullable=False),
        Column("title", Text, nullable=False),
        Column("sha256", String(64), nullable=False, comment="of the file"),
        Column("parsed", String(128), comment="blob key of the parsed document"),
        Column("version", Integer, nullable=False, comment="of what is searched; 0 for nothing yet"),
        Column("status", String(16), nullable=False),
        Column("error", Text),
        Column("failed_sha256", String(64), comment="of the file that the error is about"),
        Column("format", String(64)),
        Column("language", String(35)),
        Column("pages", Integer),
        Column("bytes", BigInteger, nullable=False),
        Column("keywords_version", Integer, nullable=False),
        Column("added_at", BigInteger, nullable=False),
        Column("updated_at", BigInteger, nullable=False),
        Column("tags", Json, nullable=False),
        Column("metadata", Json, nullable=False),
        Column("keywords", Json, nullable=False),
        Column("receipt", Json),
    )
    Index(f"uq_{name}_uid", table.c.uid, unique=True)
    Index(f"uq_{name}_key", table.c.key, unique=True)
    Index(f"ix_{name}_counts", table.c.status, table.c.keywords_version)
    return table

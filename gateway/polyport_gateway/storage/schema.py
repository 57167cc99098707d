"""The tables of the records, the same on SQLite and PostgreSQL.

Times are integers: milliseconds since 1970 in UTC. They sort, compare and compress alike on both
databases, and no driver can shift them by a time zone.

A change here needs a revision in `migrations/versions` and a new `REVISION`; a test compares the two.
"""

from __future__ import annotations

import time

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

__all__ = ["REVISION", "VERSION_TABLE", "api_keys", "metadata", "now_ms", "responses", "schema_version", "usage"]

REVISION = "0001"
"""The newest revision in `migrations/versions`, known here so that opening a database needs no Alembic."""

VERSION_TABLE = "polyport_version"
"""Where Alembic keeps the revision; not its default, so that a database may be shared with other programs."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# What Alembic itself would make; kept out of `metadata`, as Alembic keeps it out of comparisons.
schema_version = Table(
    VERSION_TABLE,
    MetaData(),
    Column("version_num", String(32), primary_key=True),
)
schema_version.primary_key.name = f"{VERSION_TABLE}_pkc"

# SHA-256 of the secret, and no slow password hash: the secret is 256 random bits, so there is nothing to
# guess faster than the hash itself, and a slow hash would only cost every request its time.
api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(16), primary_key=True, comment="public part of the token"),
    Column("name", String(64), nullable=False),
    Column("secret_hash", String(64), nullable=False, comment="SHA-256 of the secret, in hex"),
    Column("allow", JSON(none_as_null=True), comment="list of names the key may use; null for all"),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
)
Index(
    "uq_api_keys_live_name",
    api_keys.c.name,
    unique=True,
    sqlite_where=api_keys.c.revoked_at.is_(None),
    postgresql_where=api_keys.c.revoked_at.is_(None),
)

usage = Table(
    "usage",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at", BigInteger, nullable=False, index=True),
    Column("request_id", String(64), nullable=False),
    Column("key_id", String(16), nullable=False),
    Column("wire", String(16), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("name", String(64), nullable=False),
    Column("operation", String(16), nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("code", String(40)),
    Column("prompt_tokens", Integer),
    Column("completion_tokens", Integer),
    Column("duration_ms", Integer, nullable=False),
    Column("depth", SmallInteger, nullable=False),
)

responses = Table(
    "responses",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("owner", String(16), nullable=False, comment="id of the key that made it"),
    Column("created_at", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    Column("previous_response_id", String(128)),
    Column("model", String(255), nullable=False),
    Column("body", Text, nullable=False, comment="the response object, as JSON"),
    Column("input_items", Text, nullable=False, comment="the items of this turn, as a JSON list"),
    Column("expires_at", BigInteger, index=True),
)


def now_ms() -> int:
    """Return the time as every table keeps it."""
    return time.time_ns() // 1_000_000

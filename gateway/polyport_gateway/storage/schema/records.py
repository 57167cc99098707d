"""Keys, usage and stored responses."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, SmallInteger, String, Table, Text

from .base import BigId, metadata

__all__ = ["api_keys", "responses", "usage"]

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
    Column("id", BigId, primary_key=True),
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

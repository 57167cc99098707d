"""Uploads, and what OpenAI's vector stores know beyond a knowledge base."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from .base import Json, metadata

__all__ = ["files", "upload_parts", "uploads", "vector_store_batches", "vector_store_files", "vector_stores"]

files = Table(
    "files",
    metadata,
    Column("id", String(64), primary_key=True, comment="file-…"),
    Column("owner", String(16), nullable=False, comment="id of the key that made it"),
    Column("filename", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("sha256", String(64), nullable=False, comment="of its bytes, and their key in the blob store"),
    Column("status", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, index=True),
)
Index("ix_files_owner_created_at", files.c.owner, files.c.created_at, files.c.id)
# Whether a blob is still anybody's.
Index("ix_files_sha256", files.c.sha256)

uploads = Table(
    "uploads",
    metadata,
    Column("id", String(64), primary_key=True, comment="upload_…"),
    Column("owner", String(16), nullable=False, comment="id of the key that began it"),
    Column("filename", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False, comment="that the whole file will have"),
    Column("purpose", String(32), nullable=False),
    Column("file_expires_s", Integer, comment="seconds after which the file will be gone"),
    Column("status", String(16), nullable=False),
    Column("file", String(64), comment="made of it"),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
Index("ix_uploads_owner", uploads.c.owner, uploads.c.status)

upload_parts = Table(
    "upload_parts",
    metadata,
    Column("id", String(64), primary_key=True, comment="part_…"),
    Column("upload", String(64), nullable=False, index=True),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False, index=True, comment="of its bytes, and their key in the blob store"),
    Column("created_at", BigInteger, nullable=False),
)

vector_stores = Table(
    "vector_stores",
    metadata,
    Column("base", Integer, primary_key=True, autoincrement=False, comment="id of the knowledge base"),
    Column("owner", String(16), nullable=False, index=True, comment="id of the key that made it"),
    Column("label", Text, nullable=False, comment="what its owner calls it"),
    Column("metadata", Json, nullable=False),
    Column("expires_days", Integer, comment="after its last use"),
    Column("last_active_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

vector_store_files = Table(
    "vector_store_files",
    metadata,
    Column("store", Integer, primary_key=True, autoincrement=False, comment="id of the knowledge base"),
    Column("file", String(64), primary_key=True),
    Column("batch", String(64), comment="the batch that it came with"),
    Column("document", String(64), comment="uid, once it is taken in"),
    Column("status", String(16), nullable=False),
    Column("attributes", Json),
    Column("chunking", Json),
    Column("usage_bytes", BigInteger, nullable=False),
    Column("last_error", Json),
    Column("created_at", BigInteger, nullable=False),
)
Index(
    "ix_vector_store_files_store_created_at",
    vector_store_files.c.store,
    vector_store_files.c.created_at,
    vector_store_files.c.file,
)
Index("ix_vector_store_files_file", vector_store_files.c.file)
Index("ix_vector_store_files_batch", vector_store_files.c.batch)

vector_store_batches = Table(
    "vector_store_batches",
    metadata,
    Column("id", String(64), primary_key=True, comment="vsfb_…"),
    Column("store", Integer, nullable=False, index=True),
    Column("job", String(64), comment="that takes its files in"),
    Column("status", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

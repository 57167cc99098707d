"""The tables of the records, the same on SQLite and PostgreSQL.

Times are integers: milliseconds since 1970 in UTC. They sort, compare and compress alike on both
databases, and no driver can shift them by a time zone.

A change here needs a revision in `migrations/versions` and a new `REVISION`; a test compares the two.
"""

from .base import REVISION, VERSION_TABLE, Json, metadata, now_ms, schema_version
from .files import files, upload_parts, uploads, vector_store_batches, vector_store_files, vector_stores
from .jobs import jobs
from .knowledge import (
    documents_table,
    knowledge_bases,
    knowledge_builds,
    knowledge_chunks,
    knowledge_generations,
    knowledge_links,
    knowledge_log,
)
from .records import api_keys, responses, usage

__all__ = [
    "REVISION",
    "VERSION_TABLE",
    "Json",
    "api_keys",
    "documents_table",
    "files",
    "jobs",
    "knowledge_bases",
    "knowledge_builds",
    "knowledge_chunks",
    "knowledge_generations",
    "knowledge_links",
    "knowledge_log",
    "metadata",
    "now_ms",
    "responses",
    "schema_version",
    "upload_parts",
    "uploads",
    "usage",
    "vector_store_batches",
    "vector_store_files",
    "vector_stores",
]

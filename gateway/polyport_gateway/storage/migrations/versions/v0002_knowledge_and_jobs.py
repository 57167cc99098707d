"""The catalogue of knowledge, durable jobs, files and vector stores."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _knowledge_bases()
    _knowledge_chunks()
    _jobs()
    _files()
    _uploads()
    _vector_stores()


def _knowledge_bases() -> None:
    op.create_table(
        "knowledge_bases",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False, comment="the one that is searched"),
        sa.Column("shelf", sa.String(64), nullable=False, comment="key of the index that the generation is in"),
        sa.Column("state", sa.Text(), nullable=False, comment="what was learned of it: weights, profile …"),
        sa.Column("declared", sa.Boolean(), nullable=False, comment="by the app, rather than made by a caller"),
        sa.Column("last_generation", sa.Integer(), nullable=False, comment="the newest number given out"),
        sa.Column("last_document", sa.BigInteger(), nullable=False, comment="likewise"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_knowledge_bases"),
        sa.UniqueConstraint("name", name="uq_knowledge_bases_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "knowledge_generations",
        sa.Column("base", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("shelf", sa.String(64), nullable=False),
        sa.Column("recipe", sa.Text(), nullable=False, comment="what it is built with"),
        sa.Column("dropped", sa.Boolean(), nullable=False, comment="all in it is to be cleared away"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("base", "generation", name="pk_knowledge_generations"),
    )
    op.create_table(
        "knowledge_log",
        sa.Column("id", _ID, nullable=False),
        sa.Column("base", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("document", sa.String(64), nullable=True, comment="uid"),
        sa.Column("source", sa.Text(), nullable=True, comment="the document's key"),
        sa.Column("job", sa.String(64), nullable=True),
        sa.Column("by", sa.String(16), nullable=True, comment="id of the key that asked for it"),
        sa.Column("details", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_knowledge_log"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_knowledge_log_base", "knowledge_log", ["base", "id"])


def _knowledge_chunks() -> None:
    op.create_table(
        "knowledge_builds",
        sa.Column("id", _ID, nullable=False),
        sa.Column("base", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("document", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False, comment="of the document"),
        sa.Column("state", sa.SmallInteger(), nullable=False, comment="0 staged, 1 live, 2 dead"),
        sa.Column("chunks", sa.Integer(), nullable=False, comment="that are searched"),
        sa.Column("worker", sa.String(64), nullable=False, comment="the process that staged it"),
        sa.Column("at", sa.BigInteger(), nullable=False, comment="when it was staged"),
        sa.PrimaryKeyConstraint("id", name="pk_knowledge_builds"),
        sqlite_autoincrement=True,
    )
    live, waste = sa.text("state = 1"), sa.text("state != 1")
    op.create_index(
        "uq_knowledge_builds_live",
        "knowledge_builds",
        ["base", "generation", "document"],
        unique=True,
        sqlite_where=live,
        postgresql_where=live,
    )
    op.create_index("ix_knowledge_builds_document", "knowledge_builds", ["base", "document"])
    op.create_index(
        "ix_knowledge_builds_waste", "knowledge_builds", ["state", "id"], sqlite_where=waste, postgresql_where=waste
    )
    op.create_table(
        "knowledge_chunks",
        sa.Column("id", _ID, nullable=False),
        sa.Column("build", sa.BigInteger(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False, comment="its place in the document"),
        sa.Column("parent", sa.Integer(), nullable=True, comment="ordinal of the larger chunk that it is a part of"),
        sa.Column("searchable", sa.Boolean(), nullable=False, comment="false for what is only shown, as parents are"),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("span_start", sa.Integer(), nullable=True),
        sa.Column("span_end", sa.Integer(), nullable=True),
        sa.Column("heading_path", sa.Text(), nullable=True),
        sa.Column("pages", sa.Text(), nullable=True),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("content_hash", sa.String(64), nullable=False, comment="SHA-256 of the text, in hex"),
        sa.Column("metadata", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_knowledge_chunks"),
        sqlite_autoincrement=True,
    )
    op.create_index("uq_knowledge_chunks_place", "knowledge_chunks", ["build", "ordinal"], unique=True)
    op.create_table(
        "knowledge_links",
        sa.Column("base", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False, comment="digest of what the clue is compared by"),
        sa.Column(
            "chunk",
            sa.BigInteger(),
            nullable=False,
            comment="negative: what is known of the links of a generation",
        ),
        sa.Column(
            "role",
            sa.SmallInteger(),
            nullable=False,
            comment="0 held: mentions it; 1 borne: is what it names; see links",
        ),
        sa.Column("written", sa.Text(), nullable=False, comment="the clue as it is written"),
    )
    op.create_index("ix_knowledge_links_key", "knowledge_links", ["key", "base", "generation"])
    op.create_index("ix_knowledge_links_chunk", "knowledge_links", ["chunk"])


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("number", _ID, nullable=False, comment="the order of the queue"),
        sa.Column("id", sa.String(64), nullable=False, comment="job-…"),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("lane", sa.String(128), nullable=True, comment="of those in a lane, one runs at a time"),
        sa.Column("subject", sa.String(128), nullable=True, comment="what it works on, to be found by"),
        sa.Column("owner", sa.String(16), nullable=True, comment="id of the key that asked for it"),
        sa.Column("unique_key", sa.String(128), nullable=True, comment="a job is submitted once by it"),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("input", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=True, comment="the checkpoint that its handler left"),
        sa.Column("progress", sa.Text(), nullable=False),
        sa.Column("errors", sa.Text(), nullable=False, comment="of parts; they did not end it"),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True, comment="why it failed"),
        sa.Column("attempts", sa.Integer(), nullable=False, comment="how often it was begun"),
        sa.Column("fruitless", sa.Integer(), nullable=False, comment="how often of late without getting further"),
        sa.Column("worker", sa.String(64), nullable=True, comment="that runs it"),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=True, comment="not to be tried again before"),
        sa.Column("cancelling", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("number", name="pk_jobs"),
        sa.UniqueConstraint("id", name="uq_jobs_id"),
        sqlite_autoincrement=True,
    )
    running, unfinished = sa.text("status = 'running'"), sa.text("finished_at IS NULL")
    op.create_index(
        "uq_jobs_running_lane", "jobs", ["lane"], unique=True, sqlite_where=running, postgresql_where=running
    )
    op.create_index("ix_jobs_open", "jobs", ["status", "number"], sqlite_where=unfinished, postgresql_where=unfinished)
    op.create_index("uq_jobs_unique_key", "jobs", ["unique_key"], unique=True)
    op.create_index("ix_jobs_subject", "jobs", ["subject", "number"])
    op.create_index("ix_jobs_finished_at", "jobs", ["finished_at"])


def _files() -> None:
    op.create_table(
        "files",
        sa.Column("id", sa.String(64), nullable=False, comment="file-…"),
        sa.Column("owner", sa.String(16), nullable=False, comment="id of the key that made it"),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.String(32), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False, comment="of its bytes, and their key in the blob store"),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_files"),
    )
    op.create_index("ix_files_owner_created_at", "files", ["owner", "created_at", "id"])
    op.create_index("ix_files_sha256", "files", ["sha256"])
    op.create_index("ix_files_expires_at", "files", ["expires_at"])


def _uploads() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(64), nullable=False, comment="upload_…"),
        sa.Column("owner", sa.String(16), nullable=False, comment="id of the key that began it"),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False, comment="that the whole file will have"),
        sa.Column("purpose", sa.String(32), nullable=False),
        sa.Column("file_expires_s", sa.Integer(), nullable=True, comment="seconds after which the file will be gone"),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("file", sa.String(64), nullable=True, comment="made of it"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_uploads"),
    )
    op.create_index("ix_uploads_expires_at", "uploads", ["expires_at"])
    op.create_index("ix_uploads_owner", "uploads", ["owner", "status"])
    op.create_table(
        "upload_parts",
        sa.Column("id", sa.String(64), nullable=False, comment="part_…"),
        sa.Column("upload", sa.String(64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False, comment="of its bytes, and their key in the blob store"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_upload_parts"),
    )
    op.create_index("ix_upload_parts_upload", "upload_parts", ["upload"])
    op.create_index("ix_upload_parts_sha256", "upload_parts", ["sha256"])


def _vector_stores() -> None:
    op.create_table(
        "vector_stores",
        sa.Column("base", sa.Integer(), autoincrement=False, nullable=False, comment="id of the knowledge base"),
        sa.Column("owner", sa.String(16), nullable=False, comment="id of the key that made it"),
        sa.Column("label", sa.Text(), nullable=False, comment="what its owner calls it"),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("expires_days", sa.Integer(), nullable=True, comment="after its last use"),
        sa.Column("last_active_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("base", name="pk_vector_stores"),
    )
    op.create_index("ix_vector_stores_owner", "vector_stores", ["owner"])
    op.create_table(
        "vector_store_files",
        sa.Column("store", sa.Integer(), autoincrement=False, nullable=False, comment="id of the knowledge base"),
        sa.Column("file", sa.String(64), nullable=False),
        sa.Column("batch", sa.String(64), nullable=True, comment="the batch that it came with"),
        sa.Column("document", sa.String(64), nullable=True, comment="uid, once it is taken in"),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=True),
        sa.Column("chunking", sa.Text(), nullable=True),
        sa.Column("usage_bytes", sa.BigInteger(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("store", "file", name="pk_vector_store_files"),
    )
    op.create_index("ix_vector_store_files_store_created_at", "vector_store_files", ["store", "created_at", "file"])
    op.create_index("ix_vector_store_files_file", "vector_store_files", ["file"])
    op.create_index("ix_vector_store_files_batch", "vector_store_files", ["batch"])
    op.create_table(
        "vector_store_batches",
        sa.Column("id", sa.String(64), nullable=False, comment="vsfb_…"),
        sa.Column("store", sa.Integer(), nullable=False),
        sa.Column("job", sa.String(64), nullable=True, comment="that takes its files in"),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_vector_store_batches"),
    )
    op.create_index("ix_vector_store_batches_store", "vector_store_batches", ["store"])


def downgrade() -> None:
    """Drop them, those of each knowledge base too."""
    for table in sa.inspect(op.get_bind()).get_table_names():
        if table.startswith("knowledge_documents_"):
            op.drop_table(table)
    for table in (
        "vector_store_batches",
        "vector_store_files",
        "vector_stores",
        "upload_parts",
        "uploads",
        "files",
        "jobs",
        "knowledge_links",
        "knowledge_chunks",
        "knowledge_builds",
        "knowledge_log",
        "knowledge_generations",
        "knowledge_bases",
    ):
        op.drop_table(table)

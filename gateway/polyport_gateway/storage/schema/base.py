"""What every table stands on."""

from __future__ import annotations

import json
import time
from typing import Any

from sqlalchemy import BigInteger, Column, Dialect, Integer, MetaData, String, Table, Text, TypeDecorator

__all__ = [
    "REVISION",
    "VERSION_TABLE",
    "BigId",
    "Json",
    "dump_json",
    "metadata",
    "now_ms",
    "schema_version",
    "storable",
]

REVISION = "0002"
"""The newest revision in `migrations/versions`, known here so that opening a database needs no Alembic."""

VERSION_TABLE = "polyport_version"
"""Where Alembic keeps the revision; not its default, so that a database may be shared with other programs."""

BigId = BigInteger().with_variant(Integer, "sqlite")
"""Of a primary key that the database gives out; SQLite does so for INTEGER alone, which has 64 bits too."""

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


class Json(TypeDecorator[Any]):
    """JSON in a column of text, as it was written: no database reorders, rounds or refuses any of it.

    Not PostgreSQL's ``jsonb``, which refuses U+0000 and turns numbers round; Chinese stays legible, and LIKE finds it.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Write it."""
        return None if value is None else dump_json(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Read it."""
        return None if value is None else json.loads(value)


def dump_json(value: Any) -> str:
    """Write JSON as it is stored: legible, but for lone surrogates, which no database takes."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"))
    return text


def storable(text: str) -> str:
    """Return a text with U+FFFD for each character that a database refuses: U+0000 and lone surrogates."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)
    return text


def now_ms() -> int:
    """Return the time as every table keeps it."""
    return time.time_ns() // 1_000_000

"""Records in a database of one's own, for tests that run on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, inspect, text

from polyport_gateway.storage.database import Database
from polyport_gateway.storage.schema import metadata
from polyport_gateway.storage.schema.knowledge import DOCUMENTS_PREFIX

__all__ = ["emptied", "opened"]


@contextmanager
def opened(url: str) -> Iterator[Database]:
    """Open a database for tests that are not async."""
    database = Database(url)
    asyncio.run(database.open())
    try:
        yield database
    finally:
        asyncio.run(database.close())


def emptied(url: str) -> str:
    """Empty a database of PostgreSQL that an earlier test used; making a new one takes five times as long."""
    with opened(url) as database:
        database.run_sync(_empty)
    return url


def _empty(connection: Connection) -> None:
    for name in inspect(connection).get_table_names():
        if name.startswith(DOCUMENTS_PREFIX):
            connection.execute(text(f'DROP TABLE "{name}"'))
    names = ", ".join(f'"{name}"' for name in metadata.tables)
    connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY"))

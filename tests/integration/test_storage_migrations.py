from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from polyport_gateway.storage import database, migrate
from polyport_gateway.storage.database import Database
from polyport_gateway.storage.keys import KeyStore
from polyport_gateway.storage.migrate import alembic_config, current_revision
from polyport_gateway.storage.schema import REVISION, VERSION_TABLE, metadata
from tests.integration.postgres import PostgresServer, postgres_server

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    pytest.importorskip("psycopg")
    with postgres_server() as running:
        yield running


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.requires("postgres"))])
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/one.sqlite3", f"sqlite:///{tmp_path}/two.sqlite3"
    running: PostgresServer = request.getfixturevalue("server")
    name = request.node.originalname
    return running.create_database(f"{name[:40]}_one"), running.create_database(f"{name[:40]}_two")


def upgrade(connection: Connection) -> None:
    command.upgrade(alembic_config(connection), "head")


def downgrade(connection: Connection) -> None:
    command.downgrade(alembic_config(connection), "base")


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


def description(connection: Connection) -> dict[str, Any]:
    """Everything the database itself says about our tables."""
    if connection.dialect.name == "sqlite":
        found = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
        return {name: " ".join(sql.split()).replace('"', "") for name, sql in found}
    inspector = inspect(connection)
    indexes = connection.execute(text("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"))
    return {
        "indexes": dict(list(map(tuple, indexes))),
        **{
            table: (
                [{**column, "type": str(column["type"])} for column in inspector.get_columns(table)],
                inspector.get_pk_constraint(table),
                inspector.get_table_comment(table),
            )
            for table in inspector.get_table_names()
        },
    }


async def test_migrating_and_creating_give_the_same_schema(urls: tuple[str, str]) -> None:
    async with Database(urls[0]) as created:
        expected = await created.read(description)
        migrated = Database(urls[1])
        try:
            await migrated.run(upgrade)
            assert await migrated.read(current_revision) == REVISION
            assert await migrated.read(description) == expected
            assert await migrated.read(differences) == []
            await migrated.open()
        finally:
            await migrated.close()
        assert await created.read(differences) == []


def differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
    return list(compare_metadata(context, metadata))


async def test_down_and_up_again(urls: tuple[str, str]) -> None:
    async with Database(urls[0]) as db:
        expected = await db.read(description)
        await db.run(downgrade)
        assert await db.read(tables) == {VERSION_TABLE}
        await db.run(upgrade)
        assert await db.read(description) == expected


async def test_a_database_of_the_first_version_is_brought_up_to_date(urls: tuple[str, str]) -> None:
    async with Database(urls[0]) as db:
        expected = await db.read(description)
        await db.run(lambda connection: command.downgrade(alembic_config(connection), "0001"))
        assert "jobs" not in await db.read(tables)
        await KeyStore(db).create("kept")
    async with Database(urls[0]) as db:
        assert await db.read(description) == expected
        assert [key.name for key in await KeyStore(db).list()] == ["kept"]


NEXT = """
from alembic import op
import sqlalchemy as sa
revision, down_revision = "0003", "0002"
def upgrade():
    op.add_column("api_keys", sa.Column("note", sa.Text()))
def downgrade():
    op.drop_column("api_keys", "note")
"""


async def test_opening_migrates_an_older_database_and_keeps_its_rows(
    urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Today's database, opened by a program that has one revision more."""
    async with Database(urls[0]) as db:
        await KeyStore(db).create("kept")
    (tmp_path / "versions").mkdir()
    (tmp_path / "versions" / "v0003_next.py").write_text(NEXT)

    def with_next(connection: Connection) -> Config:
        config = alembic_config(connection)
        ours = Path(config.get_main_option("script_location") or "") / "versions"
        config.set_main_option("version_locations", f"{ours}{os.pathsep}{tmp_path / 'versions'}")
        return config

    monkeypatch.setattr(migrate, "alembic_config", with_next)
    monkeypatch.setattr(migrate, "REVISION", "0003")
    monkeypatch.setattr(database, "REVISION", "0003")
    both = Database(urls[0]), Database(urls[0])
    await asyncio.gather(*(db.open() for db in both))
    for db in both:
        assert await db.read(current_revision) == "0003"
        assert "note" in await db.read(lambda c: {column["name"] for column in inspect(c).get_columns("api_keys")})
        assert [key.name for key in await KeyStore(db).list()] == ["kept"]
        await db.close()


async def test_a_migration_that_fails_changes_nothing(urls: tuple[str, str]) -> None:
    async with Database(urls[0]) as db:
        expected = await db.read(description)

        def fail(connection: Connection) -> None:
            downgrade(connection)
            raise RuntimeError("half-way")

        with pytest.raises(RuntimeError, match="half-way"):
            await db.run(fail)
        assert await db.read(description) == expected
        assert await db.read(current_revision) == REVISION


def test_the_newest_revision_is_the_one_the_schema_names() -> None:
    folder = Path(alembic_config(None).get_main_option("script_location") or "")  # type: ignore[arg-type]
    assert ScriptDirectory(str(folder)).get_current_head() == REVISION

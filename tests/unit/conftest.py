"""Records on SQLite and on PostgreSQL, for what is tested on both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.postgres import postgres_server
from tests.support.records import emptied


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A database that the tests of a session share; `records_url` empties it for each."""
    pytest.importorskip("psycopg")
    with postgres_server() as running:
        yield running.create_database("records")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.requires("postgres"))])
def records_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/records.sqlite3"
    return emptied(request.getfixturevalue("postgres_url"))

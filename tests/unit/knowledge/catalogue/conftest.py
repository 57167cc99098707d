from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from polyport_gateway.knowledge.catalogue import BaseRow, Catalogue
from polyport_gateway.storage.database import Database
from tests.integration.postgres import postgres_server
from tests.support.records import emptied, opened


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    pytest.importorskip("psycopg")
    with postgres_server() as running:
        yield running.create_database("catalogue")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.requires("postgres"))])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/records.sqlite3"
    return emptied(request.getfixturevalue("postgres_url"))


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with opened(url) as database:
        yield database


@pytest.fixture
def catalogue(database: Database) -> Catalogue:
    return Catalogue(database)


@pytest.fixture
def base(catalogue: Catalogue) -> BaseRow:
    return catalogue.create("handbook", {"sources": ["./docs"]}, shelf="main")

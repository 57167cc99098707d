from __future__ import annotations

from collections.abc import Iterator

import pytest

from polyport_gateway.storage.database import Database
from tests.integration.postgres import postgres_server
from tests.support.records import opened


@pytest.fixture(scope="session")
def links_postgres_url() -> Iterator[str]:
    pytest.importorskip("psycopg")
    with postgres_server() as running:
        yield running.create_database("links")


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.requires("postgres"))])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('links')}/records.sqlite3"
    else:
        url = request.getfixturevalue("links_postgres_url")
    with opened(url) as database:
        yield database

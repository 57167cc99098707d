from __future__ import annotations

from collections.abc import Iterator

import pytest

from polyport_gateway.knowledge.catalogue import BaseRow, Catalogue
from polyport_gateway.storage.database import Database
from tests.support.records import opened


@pytest.fixture
def database(records_url: str) -> Iterator[Database]:
    with opened(records_url) as database:
        yield database


@pytest.fixture
def catalogue(database: Database) -> Catalogue:
    return Catalogue(database)


@pytest.fixture
def base(catalogue: Catalogue) -> BaseRow:
    return catalogue.create("handbook", {"sources": ["./docs"]}, shelf="main")

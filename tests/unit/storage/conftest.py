from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from polyport_gateway.storage.database import Database


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/state/polyport.sqlite3"


@pytest.fixture
async def db(anyio_backend: str, url: str) -> AsyncIterator[Database]:
    async with Database(url) as opened:
        yield opened

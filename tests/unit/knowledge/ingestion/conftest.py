from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ingesting import Bench
from tests.support.records import opened


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with opened(f"sqlite:///{tmp_path}/records.sqlite3") as database:
        bench = Bench(tmp_path / "data", database)
        yield bench
        bench.close()

"""Reads with the readers of this tree, whatever is installed."""

from __future__ import annotations

import pytest

from polyport_gateway.knowledge.readers import ReadOptions, read


@pytest.fixture
def read_file():
    def reader(data, name, **options):
        return read(data if isinstance(data, bytes) else data.encode(), name, ReadOptions(**options))

    return reader

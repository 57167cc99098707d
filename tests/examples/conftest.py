"""The quickstart, served once for all tests of examples and documents."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from polyport import Client
from tests.support.machine import ROOT
from tests.support.peers import Server, gateway


@pytest.fixture(scope="session")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`polyport serve examples/quickstart.py`, as a process."""
    with gateway(ROOT / "examples" / "quickstart.py", data_dir=tmp_path_factory.mktemp("quickstart")) as server:
        with Client(server.url) as client:
            for job in client.knowledge.jobs():
                client.knowledge.wait(job.id)
        yield server

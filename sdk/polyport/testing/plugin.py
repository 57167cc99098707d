"""A pytest plugin: put ``pytest_plugins = ["polyport.testing.plugin"]`` into ``conftest.py``.

It offers one fixture, ``polyport_gateway``: call it with an `App` (and settings) to have it served until the
test ends.

    def test_add(polyport_gateway):
        running = polyport_gateway(app)
        assert Client(running.url).functions.call("add", a=1, b=2) == 3
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TypeAlias

import pytest

from polyport.embedded import RunningGateway
from polyport.testing.server import gateway

__all__ = ["StartGateway", "polyport_gateway"]

StartGateway: TypeAlias = Callable[..., RunningGateway]
"""From an app and settings by name to a gateway that answers until the test ends."""


@pytest.fixture
def polyport_gateway() -> Iterator[StartGateway]:
    """Serve apps until the test ends."""
    with ExitStack() as running:
        yield lambda app, **settings: running.enter_context(gateway(app, **settings))

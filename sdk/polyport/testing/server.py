"""A real gateway for a test: HTTP on a free loopback port, served from a thread."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from polyport.embedded import RunningGateway, load_gateway

if TYPE_CHECKING:
    from polyport.app import App

__all__ = ["gateway"]


@contextmanager
def gateway(app: App, **settings: Any) -> Iterator[RunningGateway]:
    """Serve an app while inside; what is yielded has its ``url``.

    >>> with gateway(App("test")) as running:  # doctest: +SKIP
    ...     Client(running.url).functions.list()

    Args:
        app: What to serve.
        **settings: Settings of the gateway, by name; ``data_dir`` is a temporary folder and ``port`` a free one
            unless given.

    Raises:
        UsageError: The app or the settings can't be served.
        MissingDependencyError: The gateway is not installed.
    """
    factory = load_gateway()
    with tempfile.TemporaryDirectory(prefix="polyport-") as folder:
        chosen = {"host": "127.0.0.1", "port": 0, "data_dir": folder, **settings}
        with factory.run_in_thread(app, **chosen) as running:
            yield running

"""What `call`, `chat` and `list` talk to: a gateway somewhere, or an app run in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from polyport.client import AsyncClient

__all__ = ["ApiKey", "AppTarget", "Url", "open_client"]

AppTarget = Annotated[
    str | None, typer.Option("--app", metavar="APP", help="Run this app here instead of asking a gateway.")
]
Url = Annotated[
    str | None,
    typer.Option(help="The gateway's address [http://127.0.0.1:8400].", envvar="POLYPORT_BASE_URL", show_envvar=True),
]
ApiKey = Annotated[str | None, typer.Option(help="A key of that gateway.", envvar="POLYPORT_API_KEY", show_envvar=True)]


@asynccontextmanager
async def open_client(*, app: str | None, url: str | None, api_key: str | None) -> AsyncIterator[AsyncClient]:
    """Open what the options name.

    Raises:
        ConfigurationError: The app or the address can't be used.
    """
    from polyport.client import AsyncClient

    if app is not None:
        from polyport_gateway.cli.loading import load_app
        from polyport_gateway.telemetry import configure_logging

        configure_logging("warning", "text")
        # Nothing of a single call is kept, so it leaves no file behind.
        client = AsyncClient(load_app(app), timeout=None, max_retries=0, database_url="sqlite://")
    else:
        client = AsyncClient(url, api_key=api_key, timeout=None, max_retries=0)
    async with client:
        yield client

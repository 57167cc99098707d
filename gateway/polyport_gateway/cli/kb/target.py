"""Which gateway, or which app in this process, the commands are for; and what to do where an index is locked."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from polyport.errors import CallError, PolyportError
from polyport_gateway.cli.output import ExitCode, complain

if TYPE_CHECKING:
    from polyport.client import AsyncClient

__all__ = ["Target", "said_locked", "settle", "work"]

T = TypeVar("T")

_BUSY = ("ingesting", "rekeying", "reindexing")
_POLL_S = 0.2
_LOADING_S = 120.0
_OWNER = re.compile(r"in the process (\d+)")


@dataclass(frozen=True, slots=True)
class Target:
    """What the options name.

    Attributes:
        app: An app to run in this process, on its own data folder; a gateway is asked without.
        url: The gateway's address.
        api_key: A key of it.
        data_dir: The folder of the app's state, instead of the one in its settings.
    """

    app: str | None = None
    url: str | None = None
    api_key: str | None = None
    data_dir: Path | None = None

    @property
    def patience(self) -> dict[str, Any]:
        """How long a search may take: an app that is run here loads its models for it."""
        return {} if self.app is None else {"timeout_s": _LOADING_S}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncClient]:
        """Open it.

        Raises:
            ConfigurationError: The app or the address can't be used.
        """
        from polyport.client import AsyncClient

        if self.app is None:
            client = AsyncClient(self.url, api_key=self.api_key, timeout=None, max_retries=2)
        else:
            from polyport_gateway.cli.loading import load_app
            from polyport_gateway.telemetry import configure_logging

            configure_logging("warning", "text")
            options: dict[str, Any] = {} if self.data_dir is None else {"data_dir": self.data_dir}
            client = AsyncClient(load_app(self.app), timeout=None, max_retries=0, **options)
        async with client:
            yield client


def work(target: Target, do: Callable[[AsyncClient], Awaitable[T]], *, settled: bool = True) -> T:
    """Do something with what the options name.

    Args:
        target: That.
        do: Does it.
        settled: Whether an app that is run here is to be done with its jobs first, such as taking in its sources.

    Raises:
        typer.Exit: An index is open in another process; how to reach that one has been said.
    """

    async def run() -> T:
        async with target.open() as client:
            if settled and target.app is not None:
                await settle(client)
            return await do(client)

    with said_locked():
        return asyncio.run(run())


async def settle(client: AsyncClient) -> None:
    """Wait for jobs that have begun, or go on with what an earlier process left; how they end is theirs."""
    from polyport_gateway.cli.kb.waiting import JobLine

    with JobLine() as line:
        while True:
            waiting = [job for job in reversed(await client.knowledge.jobs()) if not job.finished]
            for job in waiting:
                with suppress(CallError):
                    await client.knowledge.wait(job, on_progress=line.show, timeout=None)
            busy = [base.name for base in await client.knowledge.list() if base.state in _BUSY]
            if not waiting and not busy:
                return
            if not waiting:  # its job is still to come: a model is being loaded, say
                line.say(f"getting {' and '.join(busy)} ready")
                await asyncio.sleep(_POLL_S)


@contextmanager
def said_locked() -> Iterator[None]:
    """Say, where an index is open in another process, how to reach that one.

    Raises:
        typer.Exit: It was so.
    """
    try:
        yield
    except PolyportError as error:
        if not _locked(error):
            raise
        complain(error)
        typer.echo(_hint(str(error)), err=True)
        raise typer.Exit(ExitCode.CALL_FAILED) from None


def _locked(error: PolyportError) -> bool:
    return isinstance(error, CallError) and error.code == "index_locked"


def _hint(message: str) -> str:
    from polyport_gateway.cli.port_owner import ports_of

    found = _OWNER.search(message)
    ports = ports_of(int(found[1])) if found else []
    if ports:
        return f"A gateway has it open: ask that one, with --url http://127.0.0.1:{ports[0]} instead of --app."
    return "If a gateway has it open, ask that one: --url ADDRESS instead of --app."

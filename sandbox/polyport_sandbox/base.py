"""What a provider of sandboxes is, and how one is found by name."""

from __future__ import annotations

import importlib.metadata
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Protocol, cast, runtime_checkable

from polyport.errors import ConfigurationError

from .types import FileInfo, Language, RunEvent, RunRequest, SessionRequest

__all__ = ["ENTRY_POINTS", "Channel", "Interruptible", "Provider", "ProviderSession", "load_provider"]

ENTRY_POINTS = "polyport.sandboxes"


@runtime_checkable
class Provider(Protocol):
    """Somewhere to run code. Built-in and third-party ones arrive through the entry points ``polyport.sandboxes``."""

    async def open(self) -> None:
        """Get ready; say at once what is missing.

        Raises:
            SandboxUnavailableError: With what mends it.
        """
        ...

    async def aclose(self) -> None:
        """End every run and leave nothing behind."""
        ...

    def language(self, name: str) -> Language | None:
        """How it runs a language; None if it doesn't."""
        ...

    def languages(self) -> list[str]:
        """The names of the languages it runs."""
        ...

    def stream(self, request: RunRequest, *, caller: str) -> AsyncGenerator[RunEvent]:
        """Run code once, isolated from every other run. Closing the generator, or cancelling its reader, kills the run.

        Raises:
            InvalidRunError: If it can't run this as asked (a network, say, or tools).
            SandboxBusyError: If too many wait already.
            SandboxUnavailableError: If nothing can run now.
        """
        ...

    async def open_session(self, request: SessionRequest, *, caller: str) -> ProviderSession:
        """Start a place of its own in which one run after another happens.

        Raises:
            InvalidRunError: If it has no sessions, or can't give one as asked.
            SandboxBusyError: If too many wait already.
            SandboxUnavailableError: If nothing can run now.
        """
        ...


@runtime_checkable
class ProviderSession(Protocol):
    """A place where variables, files and the working folder live on. `Session` sees that one thing is done at a time.

    Each method raises `SessionClosedError` once the place is gone, by its own fault or by anybody's.
    """

    def stream(self, request: RunRequest) -> AsyncGenerator[RunEvent]:
        """Run one cell. Closing the generator interrupts it, and kills what does not give way."""
        ...

    async def upload(self, files: Mapping[str, bytes]) -> None:
        """Write files by relative name, replacing those of the same name."""
        ...

    async def download(self, name: str, *, max_bytes: int) -> bytes:
        """Read one regular file.

        Raises:
            SandboxFileNotFoundError: If there is no such regular file; a link is none.
            InvalidRunError: If it is larger than `max_bytes`.
        """
        ...

    async def list(self, folder: str = "") -> list[FileInfo]:
        """What a folder holds, its folders' contents too, links and devices left out."""
        ...

    async def delete(self, name: str) -> None:
        """Delete a file, or a folder with all in it.

        Raises:
            SandboxFileNotFoundError: If there is none.
        """
        ...

    async def restart(self, context: str | None = None) -> None:
        """Start a kernel anew, or all of them: variables are gone, files stay."""
        ...

    async def aclose(self) -> None:
        """End it, with all that runs in it."""
        ...


@runtime_checkable
class Interruptible(Protocol):
    """A `ProviderSession` that can ask a cell to end, so that the cell says itself how it ended.

    Without this, an interrupted cell's generator is closed.
    """

    async def interrupt(self) -> None:
        """Raise `KeyboardInterrupt` in the running cell, or what its language has; called while `stream` runs."""
        ...


class Channel(Protocol):
    """One connection that the sandbox opened to the host: bytes both ways, in order."""

    async def read(self, max_bytes: int) -> bytes:
        """Read one byte at least, and no more than so many; none once the sandbox has closed its end.

        Cancelling it loses no bytes.
        """
        ...

    async def write(self, data: bytes) -> None:
        """Write all of it; waits while the sandbox does not read.

        Raises:
            ConnectionError: If the sandbox has closed its end.
        """
        ...

    async def aclose(self) -> None:
        """Close it; whoever reads or writes is told. Closing it again does nothing."""
        ...


def load_provider(name: str, **options: Any) -> Provider:
    """Make the provider called `name`.

    Raises:
        ConfigurationError: If there is none, or it does not take these options.
    """
    found = {point.name: point for point in importlib.metadata.entry_points(group=ENTRY_POINTS)}
    if name not in found:
        raise ConfigurationError(f"There is no sandbox provider {name!r}; installed are: {', '.join(sorted(found))}")
    try:
        return cast(Provider, found[name].load()(**options))
    except TypeError as error:
        raise ConfigurationError(f"The sandbox provider {name!r} does not take these options: {error}") from error

"""What a provider of sandboxes is, and how one is found by name."""

from __future__ import annotations

import importlib.metadata
from typing import Any, Protocol, cast, runtime_checkable

from polyport.errors import ConfigurationError

from .types import Language, RunRequest, RunResult

__all__ = ["ENTRY_POINTS", "Provider", "load_provider"]

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

    async def run(self, request: RunRequest, *, caller: str) -> RunResult:
        """Run code once, isolated from every other run. Cancelling kills it.

        Raises:
            SandboxBusyError: If too many wait already.
            SandboxUnavailableError: If nothing can run now.
        """
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

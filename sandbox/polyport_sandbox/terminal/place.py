"""Where code is run: a provider and what it needs to be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from polyport_sandbox.sync import SyncSandbox

__all__ = ["Place"]


@dataclass(frozen=True)
class Place:
    """A provider as named on a command line.

    Args:
        provider: Its name.
        url: The service's address, for those that have one.
        api_key: A key of that service.
        image: The image, for Docker.
        socket: The daemon's socket, for Docker.
    """

    provider: str = "docker"
    url: str | None = None
    api_key: str | None = None
    image: str | None = None
    socket: str | None = None

    def options(self) -> dict[str, Any]:
        """What the provider is told: nothing that was not asked for."""
        given = {"url": self.url, "api_key": self.api_key, "image": self.image, "socket": self.socket}
        # Nothing else will come, so nothing is kept ready for it.
        own: dict[str, Any] = {"pool_size": 0} if self.provider == "docker" else {}
        return {**own, **{name: value for name, value in given.items() if value is not None}}

    def open(self) -> SyncSandbox:
        """Make the sandbox; enter it to open it.

        Raises:
            ConfigurationError: If there is no such provider, or it does not take these options.
        """
        return SyncSandbox(self.provider, **self.options())

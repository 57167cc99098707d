"""Models of a gateway for chunkers that ask one: over a client, from the command line or a program."""

from __future__ import annotations

from functools import cached_property
from types import TracebackType

from polyport.client import Client
from polyport_gateway.knowledge.chunkers.models.adapters import ClientEmbedder, ClientModel

__all__ = ["GatewayModels"]


class GatewayModels:
    """Models by name, reached through a client that is opened when the first is used.

    Args:
        url: The gateway's address; as `polyport.Client` has it where it is None.
        api_key: A key of it.
    """

    def __init__(self, url: str | None = None, api_key: str | None = None) -> None:
        self._url = url
        self._api_key = api_key
        self._opened: Client | None = None

    def __enter__(self) -> GatewayModels:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._opened is not None:
            self._opened.close()

    @cached_property
    def _client(self) -> Client:
        self._opened = Client(self._url, api_key=self._api_key)
        return self._opened

    def text_model(self, name: str) -> ClientModel:
        """Return what answers prompts with the model of that name."""
        return ClientModel(self._client, name)

    def embedder(self, name: str) -> ClientEmbedder:
        """Return what makes vectors with the model of that name."""
        return ClientEmbedder(self._client, name)

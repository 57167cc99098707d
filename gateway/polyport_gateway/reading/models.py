"""Models of a gateway for chunkers that ask one: over a client, from the command line or a program."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType

from polyport.client import Client

__all__ = ["GatewayModels"]

_AT_A_TIME = 8


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

    def text_model(self, name: str) -> _TextModel:
        """Return what answers prompts with the model of that name."""
        return _TextModel(name, self._client)

    def embedder(self, name: str) -> _Embedder:
        """Return what makes vectors with the model of that name."""
        return _Embedder(name, self._client)


@dataclass(frozen=True, slots=True)
class _TextModel:
    name: str
    client: Client

    def complete(self, prompts: Sequence[str]) -> list[str]:
        """Return an answer to each prompt; some are asked at the same time."""
        if len(prompts) < 2:
            return [self._answer(prompt) for prompt in prompts]
        with ThreadPoolExecutor(_AT_A_TIME) as threads:
            return list(threads.map(self._answer, prompts))

    def _answer(self, prompt: str) -> str:
        return self.client.chat(self.name, prompt).choices[0].message.content or ""


@dataclass(frozen=True, slots=True)
class _Embedder:
    name: str
    client: Client

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return a vector of each text."""
        return self.client.embed(self.name, list(texts)).vectors

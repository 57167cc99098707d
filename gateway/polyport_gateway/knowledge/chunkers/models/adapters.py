"""Models and embedders from what is at hand: a function, or a client of a gateway."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from polyport_gateway.knowledge.documents.values import JSON

if TYPE_CHECKING:
    from polyport import Client

__all__ = ["CallableEmbedder", "CallableModel", "ClientEmbedder", "ClientModel"]


@dataclass(frozen=True)
class CallableModel:
    """A function from a prompt to an answer, as a `TextModel`.

    Example:
        >>> CallableModel(str.upper, "shout").complete(["tea"])
        ['TEA']

    Args:
        function: Answers one prompt.
        name: Of the model; it is a part of a chunk's id.
    """

    function: Callable[[str], str]
    name: str

    def complete(self, prompts: Sequence[str]) -> list[str]:
        """Return an answer to each prompt, one after the other."""
        return [self.function(prompt) for prompt in prompts]


@dataclass(frozen=True)
class CallableEmbedder:
    """A function from texts to vectors, as an `Embedder`: ``CallableEmbedder(model.encode, "all-MiniLM-L6-v2")``.

    Args:
        function: Makes a vector of each text.
        name: Of the model; it is a part of a chunk's id.
    """

    function: Callable[[list[str]], Sequence[Sequence[float]]]
    name: str

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return a vector of each text."""
        return [[float(value) for value in vector] for vector in self.function(list(texts))]


@dataclass(frozen=True)
class ClientModel:
    """Anything that a gateway can chat with, as a `TextModel`: ``ClientModel(Client(), "qwen")``.

    Args:
        client: Of the gateway.
        model: The name there.
        concurrency: Prompts that are asked at the same time.
        timeout: Seconds for one answer.
        parameters: Other members of the chat request; ``temperature`` is 0 unless given.
    """

    client: Client
    model: str
    concurrency: int = 8
    timeout: float = 120.0
    parameters: Mapping[str, JSON] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise ValueError(f"concurrency={self.concurrency} asks nothing; give 1 or more.")

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model

    def complete(self, prompts: Sequence[str]) -> list[str]:
        """Return an answer to each prompt.

        Raises:
            CallError: A call failed.
        """
        if len(prompts) < 2 or self.concurrency == 1:
            return [self._ask(prompt) for prompt in prompts]
        with ThreadPoolExecutor(min(self.concurrency, len(prompts)), "polyport-complete") as pool:
            return list(pool.map(self._ask, prompts))

    def _ask(self, prompt: str) -> str:
        parameters = {"temperature": 0, **self.parameters}
        messages = [{"role": "user", "content": prompt}]
        return self.client.chat(self.model, messages, timeout=self.timeout, **parameters).text


@dataclass(frozen=True)
class ClientEmbedder:
    """An embedding model of a gateway, as an `Embedder`: ``ClientEmbedder(client, "minilm")``.

    Args:
        client: Of the gateway.
        model: The name there.
        batch: Texts of one request.
        timeout: Seconds for one request.
    """

    client: Client
    model: str
    batch: int = 128
    timeout: float = 120.0

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise ValueError(f"batch={self.batch} asks nothing; give 1 or more.")

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return a vector of each text.

        Raises:
            CallError: A call failed.
        """
        vectors: list[list[float]] = []
        for start in range(0, len(texts), self.batch):
            # An empty text is refused by many models.
            asked = [text or " " for text in texts[start : start + self.batch]]
            vectors += self.client.embed(self.model, asked, timeout=self.timeout).vectors
        return vectors

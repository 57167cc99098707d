"""Values that functions and pipelines take and give besides plain data."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

__all__ = ["Answer", "Audio", "Citation", "Content", "EmbeddedResource", "Image", "Message", "Text"]

Role: TypeAlias = Literal["system", "developer", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation, as a pipeline sees it.

    Attributes:
        role: Who speaks.
        content: The text; several text parts are joined.
        parts: The OpenAI content parts as they came, when the content was a list (images among them).
        name: The participant's name, if given.
    """

    role: Role
    content: str
    parts: tuple[dict[str, Any], ...] = ()
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a piece of an answer comes from.

    Attributes:
        title: The source's title, shown to people.
        url: Its address, if it has one.
        document: The document's id in its knowledge base.
        text: The cited passage.
        start: First character of the answer that this supports (0-based).
        end: One past the last such character.
        page: 1-based page of the document.
        score: Relevance; higher is better.
        source: What the document was added under in its knowledge base: a path, an address, the id of a file.
    """

    title: str
    url: str | None = None
    document: str | None = None
    text: str | None = None
    start: int | None = None
    end: int | None = None
    page: int | None = None
    score: float | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a pipeline may return instead of a plain string.

    >>> Answer("42", citations=[Citation("Guide", url="https://example.org/guide")]).text
    '42'
    """

    text: str
    citations: list[Citation] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of text among other content."""

    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """A picture that a function returns; MCP clients see it, other wires get it as base64.

    Attributes:
        data: The encoded file's bytes (PNG, JPEG …).
        mime_type: Such as ``image/png``.
    """

    data: bytes
    mime_type: str = "image/png"

    def base64(self) -> str:
        """Return the bytes in base64."""
        return base64.b64encode(self.data).decode("ascii")


@dataclass(frozen=True, slots=True)
class Audio:
    """A sound that a function returns.

    Attributes:
        data: The encoded file's bytes (WAV, MP3 …).
        mime_type: Such as ``audio/wav``.
    """

    data: bytes
    mime_type: str = "audio/wav"

    def base64(self) -> str:
        """Return the bytes in base64."""
        return base64.b64encode(self.data).decode("ascii")


@dataclass(frozen=True, slots=True)
class EmbeddedResource:
    """A resource carried inside a result or a prompt.

    Attributes:
        uri: The resource's address.
        content: Text, or bytes for a binary one.
        mime_type: Such as ``text/plain``.
    """

    uri: str
    content: str | bytes
    mime_type: str = "text/plain"


Content: TypeAlias = Text | Image | Audio | EmbeddedResource
"""What a result may carry besides its structured value."""

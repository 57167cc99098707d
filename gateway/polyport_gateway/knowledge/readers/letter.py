"""What e-mail looks like as a document, whichever format it is kept in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import unquote

from polyport_gateway.knowledge.documents import DocumentBuilder, Heading, Paragraph

__all__ = ["KEPT", "Inline", "begin"]

_SHOWN = ("From", "To", "Cc", "Date")
KEPT = ("From", "To", "Cc", "Bcc", "Reply-To", "Date", "Subject", "Message-ID", "In-Reply-To", "References")
"""The headers that a document keeps."""


def begin(builder: DocumentBuilder, headers: Mapping[str, str]) -> None:
    """Add the subject as the heading, and who wrote to whom and when; all of `KEPT` is metadata."""
    builder.metadata.update({key.lower(): headers[key] for key in KEPT if headers.get(key)})
    if headers.get("Subject"):
        builder.add(Heading(text=headers["Subject"], level=1))
    shown = [f"{key}: {headers[key]}" for key in _SHOWN if headers.get(key)]
    if shown:
        builder.add(Paragraph(text="\n".join(shown)))


class Inline:
    """The parts of a message that its body shows, by their ``cid:`` or their name.

    Args:
        parts: What gives their bytes, by content id and by content location.
    """

    def __init__(self, parts: Mapping[str, Callable[[], bytes]]) -> None:
        self._parts = parts
        self.used: set[str] = set()

    def __call__(self, link: str) -> bytes | None:
        """Return the bytes that a link of the body points to, and remember that they are shown."""
        key = unquote(link[4:]) if link[:4].lower() == "cid:" else link
        found = self._parts.get(key)
        if found is None:
            return None
        self.used.add(key)
        return found()

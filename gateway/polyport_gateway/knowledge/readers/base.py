"""What every reader is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from polyport_gateway.knowledge.documents import Parsed, ParsingLimitError

__all__ = ["Budget", "ReadOptions", "Reader"]

MEBIBYTE = 1 << 20


class Budget:
    """What may still be unpacked: one for a file and all files inside it, however deep.

    Args:
        left: Bytes.
        files: Files inside files.
    """

    def __init__(self, left: int, files: int = 20_000) -> None:
        self.left = left
        self.files = files

    def take(self, size: int, name: str) -> None:
        """Count a file that is unpacked.

        Raises:
            ParsingLimitError: That is more than is left.
        """
        if self.files < 1:
            raise ParsingLimitError(name, "it and what it is packed in hold more files than are read.")
        if size > self.left:
            raise ParsingLimitError(
                name, f"it would unpack to {size:,} bytes; {self.left:,} are left of `max_unpacked_bytes`."
            )
        self.files -= 1
        self.left -= size


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to read a file.

    Args:
        strict: Anything left out is an error (`DocumentLossError`).
        password: Of an encrypted file.
        format: Read it as this, whatever it looks like: ``docx``, ``html`` …
        encoding: Of a text file, instead of the one detected.
        pictures: Keep the bytes of pictures.
        hidden: Read hidden sheets, rows, slides and text as well; else they are in the receipt.
        max_bytes: Of the file.
        max_unpacked_bytes: Of all that an archive or a compressed format unpacks to.
        max_depth: Files inside files, and elements inside elements of a table or list.
        read: Reads a file inside the file (an attachment, a member of an archive); set by whoever calls the reader.
        budget: What is left of `max_unpacked_bytes`; set by `read`, and the same for all files inside the file.
        resource: Returns the bytes of what a link in the file points to, where that is in the same container.
    """

    strict: bool = False
    password: str | None = field(default=None, repr=False)
    format: str | None = None
    encoding: str | None = None
    pictures: bool = True
    hidden: bool = True
    max_bytes: int = 256 * MEBIBYTE
    max_unpacked_bytes: int = 1024 * MEBIBYTE
    max_depth: int = 4
    read: Callable[[bytes, str, ReadOptions], Parsed] | None = field(default=None, repr=False, compare=False)
    budget: Budget | None = field(default=None, repr=False, compare=False)
    resource: Callable[[str], bytes | None] | None = field(default=None, repr=False, compare=False)


@runtime_checkable
class Reader(Protocol):
    """Makes a document of a file's bytes. It holds no state between two files, and reaches no network.

    Args:
        name: As the receipt names it.
        formats: What it reads, in the terms of `detect`.
    """

    name: str
    formats: frozenset[str]

    def read(self, data: bytes, name: str, options: ReadOptions) -> Parsed:
        """Read one file.

        Args:
            data: The whole of it.
            name: Its name, for the document and the errors.
            options: How.

        Raises:
            UnreadableDocumentError: Nothing can be made of it; what can be is, and the receipt says what could not.
        """
        ...

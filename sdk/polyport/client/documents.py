"""Files read and cut by a gateway; `Client.documents`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from polyport.client import documents_requests as asks
from polyport.client.base import NOT_GIVEN, TimeoutChoice
from polyport.client.documents_requests import ChunkersFound, File, FormatsFound
from polyport.types.documents import DocumentChunks, DocumentForm, DocumentResult

if TYPE_CHECKING:
    from polyport.client.sync import Client

__all__ = ["Documents"]


class Documents:
    """Has files read as documents and cut into chunks; `Client.documents`.

    >>> print(Client().documents.read("report.docx").content)  # doctest: +SKIP
    # Report
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def read(
        self,
        file: File,
        *,
        name: str | None = None,
        to: DocumentForm = "markdown",
        receipt: bool = True,
        assets: bool = False,
        strict: bool = False,
        password: str | None = None,
        format: str | None = None,  # noqa: A002
        encoding: str | None = None,
        hidden: bool = True,
        ocr: Literal["auto", "never", "always"] | None = None,
        engine: str | None = None,
        timeout: TimeoutChoice = NOT_GIVEN,
    ) -> DocumentResult:
        """Have a file read.

        Args:
            file: Its path on this machine, its bytes, or an open file; it is sent to the gateway.
            name: What it is called; bytes need one.
            to: What to give it as; ``json`` is the whole document, nothing lost.
            receipt: Whether to say what came of reading it, in figures.
            assets: Whether to give the bytes of pictures and attachments.
            strict: Whether anything left out is an error.
            password: Of an encrypted file.
            format: Read it as this, whatever it looks like.
            encoding: Of a text file, instead of the one detected.
            hidden: Whether hidden sheets, rows, slides and text are read.
            ocr: When text in pictures is recognised.
            engine: Another engine than the readers' own.
            timeout: Instead of the client's own.

        Raises:
            BadRequestError: It can't be read; the code says why (``unsupported_format``, ``encrypted_document`` …).
            CallError: It failed otherwise.
        """
        options = {
            "to": to,
            "receipt": receipt,
            "assets": assets,
            "strict": strict,
            "password": password,
            "format": format,
            "encoding": encoding,
            "hidden": hidden,
            "ocr": ocr,
            "engine": engine,
        }
        return self._client._ask(asks.read(file, name, options), timeout)  # noqa: SLF001

    def chunk(
        self,
        file: File,
        *,
        with_: str | None = None,
        max_tokens: int | None = None,
        tokenizer: str | None = None,
        name: str | None = None,
        receipt: bool = True,
        strict: bool = False,
        password: str | None = None,
        format: str | None = None,  # noqa: A002
        encoding: str | None = None,
        hidden: bool = True,
        ocr: Literal["auto", "never", "always"] | None = None,
        engine: str | None = None,
        timeout: TimeoutChoice = NOT_GIVEN,
    ) -> DocumentChunks:
        """Have a file read and cut into chunks.

        Args:
            file: Its path on this machine, its bytes, or an open file; it is sent to the gateway.
            with_: The chunkers, such as ``ByHeading() | Sentences(max_tokens=256)``; chosen by document and block
                where left out. One that needs a model names one of the gateway's.
            max_tokens: Of a chunk, where `with_` says nothing else.
            tokenizer: What counts, where `with_` says nothing else.
            name: What it is called; bytes need one.
            receipt: Whether to say what came of reading it.
            strict: Whether anything left out is an error.
            password: Of an encrypted file.
            format: Read it as this, whatever it looks like.
            encoding: Of a text file, instead of the one detected.
            hidden: Whether hidden sheets, rows, slides and text are read.
            ocr: When text in pictures is recognised.
            engine: Another engine than the readers' own.
            timeout: Instead of the client's own.

        Raises:
            BadRequestError: It can't be read or cut; the code says why.
            CallError: It failed otherwise.
        """
        options = {
            "with": with_,
            "max_tokens": max_tokens,
            "tokenizer": tokenizer,
            "receipt": receipt,
            "strict": strict,
            "password": password,
            "format": format,
            "encoding": encoding,
            "hidden": hidden,
            "ocr": ocr,
            "engine": engine,
        }
        return self._client._ask(asks.chunk(file, name, options), timeout)  # noqa: SLF001

    def formats(self, *, timeout: TimeoutChoice = NOT_GIVEN) -> FormatsFound:
        """List what can be read there, and what the rest lacks."""
        return self._client._ask(asks.list_formats(), timeout)  # noqa: SLF001

    def chunkers(self, *, timeout: TimeoutChoice = NOT_GIVEN) -> ChunkersFound:
        """List what cuts documents, with its settings."""
        return self._client._ask(asks.list_chunkers(), timeout)  # noqa: SLF001

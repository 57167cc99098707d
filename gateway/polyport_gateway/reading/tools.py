"""`read_document` and `chunk_document`: the capabilities through which all files are read, on whichever wire."""

from __future__ import annotations

import asyncio
import base64 as base64_coding
import binascii
import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from polyport.content import Text
from polyport.declarations import Annotations
from polyport.errors import InvalidArgumentsError, PayloadTooLargeError
from polyport.events import Finish, Result
from polyport.types.documents import DocumentChunk, DocumentChunks, DocumentPart
from polyport_gateway.call import Call, CallEvent, DocumentWork, Operation
from polyport_gateway.functions.tool import GatewayTool, Work
from polyport_gateway.reading.service import READ_DOCUMENT, DocumentService

if TYPE_CHECKING:
    from polyport_gateway.knowledge.readers import ReadOptions
    from polyport_gateway.reading.parts import Recent, Rendered

__all__ = ["CHUNK_DOCUMENT", "ChunkDocument", "ReadDocument"]

CHUNK_DOCUMENT = "chunk_document"

# All of it has to fit into one event of a stream, of which clients take a megabyte; text comes twice.
_MOST_CHARACTERS = 100_000
_READS = Annotations(title="Read a document", read_only=True, destructive=False, idempotent=True, open_world=False)
_CUTS = Annotations(title="Cut a document", read_only=True, destructive=False, idempotent=True, open_world=False)

Path = Annotated[
    str | None, Field(description="A file in a folder that this server reads from; instead of text or base64.")
]
FileText = Annotated[str | None, Field(description="The file's content, where it is text; needs a name.")]
FileBase64 = Annotated[str | None, Field(description="The file's bytes in base64; needs a name.")]
Name = Annotated[str | None, Field(description="What the file is called, such as report.docx.")]
Password = Annotated[str | None, Field(description="Of an encrypted file.")]
Format = Annotated[str | None, Field(description="Read it as this, whatever it looks like: docx, html …")]


class _DocumentTool(GatewayTool):
    """A tool that takes a file."""

    operations = frozenset({Operation.TOOL, Operation.DOCUMENT})

    def __init__(self, service: DocumentService, function: object, *, name: str, annotations: Annotations) -> None:
        self._service = service
        folders = service.folders
        where = (
            f"Files by path: those in the folders {folders.describe()}. Addresses on the web are not fetched."
            if folders
            else "It reads no files of its own and fetches no addresses: send the file as text or base64."
        )
        super().__init__(
            function,  # type: ignore[arg-type]
            name=name,
            description=where,
            annotations=annotations,
            hidden=() if folders else ("path",),
        )

    async def invoke(self, call: Call) -> AsyncGenerator[CallEvent, None]:
        """Do the work; a `DocumentWork` is answered with what it returned."""
        if isinstance(call.input, DocumentWork):
            yield Result(await call.input.do(call), "")
            yield Finish()
            return
        async with aclosing(super().invoke(call)) as told:
            async for event in told:
                yield event

    async def _file(
        self, path: str | None, text: str | None, base64: str | None, name: str | None
    ) -> tuple[str, bytes]:
        given = [value for value in (path, text, base64) if value is not None]
        if len(given) != 1:
            raise InvalidArgumentsError(
                f"{self.name} takes one of path, text and base64; {len(given)} were given.", param="path"
            )
        if path is not None:
            return await asyncio.to_thread(self._service.folders.read, path)
        if not name:
            raise InvalidArgumentsError(
                "name is missing: say what the file is called, such as report.docx", param="name"
            )
        data = text.encode("utf-8", "surrogatepass") if text is not None else decoded(base64 or "")
        if len(data) > self._service.plan.max_bytes:
            raise PayloadTooLargeError(
                f"{name}: it has {len(data):,} bytes; at most {self._service.plan.max_bytes:,} are read "
                "(documents_max_bytes).",
                param="base64" if text is None else "text",
            )
        return name, data


def decoded(text: str) -> bytes:
    """Return the bytes of base64.

    Raises:
        InvalidArgumentsError: It is none.
    """
    try:
        return base64_coding.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise InvalidArgumentsError(f"base64 can't be decoded: {error}", param="base64") from error


class ReadDocument(_DocumentTool):
    """Reads files for every wire: as a tool (`Arguments`), and as whatever a wire does with one (`DocumentWork`).

    Args:
        service: The gateway's documents.
    """

    def __init__(self, service: DocumentService) -> None:
        super().__init__(service, self.read_document, name=READ_DOCUMENT, annotations=_READS)
        self._recent: Recent | None = None

    async def read_document(
        self,
        work: Work,
        path: Path = None,
        text: FileText = None,
        base64: FileBase64 = None,
        name: Name = None,
        to: Literal["markdown", "html", "text"] = "markdown",
        offset: Annotated[int, Field(ge=0)] = 0,
        max_characters: Annotated[int, Field(ge=200, le=_MOST_CHARACTERS)] = 20_000,
        receipt: bool = False,
        pictures: bool = False,
        strict: bool = False,
        password: Password = None,
        format: Format = None,  # noqa: A002
    ) -> DocumentPart:
        """Read a file (Word, Excel, PowerPoint, PDF, HTML, mail, CSV, source code …) as Markdown, HTML or plain text.

        A long document comes in parts: go on with the `next_offset` of the part before.

        Args:
            work: The call it serves.
            path: Which file.
            text: The file itself.
            base64: The file itself.
            name: What it is called.
            to: What to give it as; tables with merged cells are exact in HTML alone.
            offset: Character to begin at.
            max_characters: The most characters to give.
            receipt: Whether to say in figures what was found in it.
            pictures: Whether to show the pictures of this part.
            strict: Whether anything left out is an error.
            password: Of an encrypted file.
            format: What to read it as.
        """
        from polyport_gateway.reading.forms import receipt_form
        from polyport_gateway.reading.options import read_options
        from polyport_gateway.reading.parts import part_of
        from polyport_gateway.reading.telling import notes_on, pictures_of, shortened

        named, data = await self._file(path, text, base64, name)
        options = read_options(strict=strict, password=password, format=format)
        whole = await self._rendered(named, data, options, to)
        part = part_of(whole.content, offset, max_characters)
        document, told = whole.parsed.document, whole.parsed.receipt
        work.text = "\n\n".join((part.text.rstrip("\n"), *notes_on(part, told))).lstrip("\n")
        if pictures:
            work.content = (Text(work.text), *pictures_of(document, part.text))
        return DocumentPart(
            name=document.source.name,
            format=told.format,
            content=part.text,
            offset=part.start,
            total_characters=part.total,
            next_offset=part.next,
            receipt=shortened(receipt_form(told)) if receipt else None,
        )

    async def _rendered(
        self, name: str, data: bytes, options: ReadOptions, to: Literal["markdown", "html", "text"]
    ) -> Rendered:
        from polyport_gateway.reading.forms import rendered
        from polyport_gateway.reading.parts import Recent, Rendered

        if self._recent is None:
            self._recent = Recent()
        # The file's own bytes are asked for: whoever has them may see what was made of them. Not so with a password,
        # which has to be shown each time.
        key = None if options.password else (await asyncio.to_thread(_digest, data), name, options, to)
        found = None if key is None else self._recent.get(key)
        if found is None:
            parsed = await self._service.read(data, name, options)
            found = Rendered(parsed, await self._service.in_thread(lambda: rendered(parsed.document, to)))
            if key is not None:
                self._recent.put(key, found)
        return found


class ChunkDocument(_DocumentTool):
    """Cuts files for every wire.

    Args:
        service: The gateway's documents.
    """

    def __init__(self, service: DocumentService) -> None:
        super().__init__(service, self.chunk_document, name=CHUNK_DOCUMENT, annotations=_CUTS)

    async def chunk_document(
        self,
        work: Work,
        path: Path = None,
        text: FileText = None,
        base64: FileBase64 = None,
        name: Name = None,
        chunkers: str | None = None,
        max_tokens: int | None = None,
        offset: Annotated[int, Field(ge=0)] = 0,
        max_chunks: Annotated[int, Field(ge=1, le=500)] = 50,
        password: Password = None,
        format: Format = None,  # noqa: A002
    ) -> DocumentChunks:
        """Cut a file into the chunks that retrieval would see.

        Args:
            work: The call it serves.
            path: Which file.
            text: The file itself.
            base64: The file itself.
            name: What it is called.
            chunkers: How, such as "ByHeading() | Sentences(max_tokens=256)"; by document and block where left out.
            max_tokens: Of a chunk, where `chunkers` says nothing else.
            offset: The first chunk to give.
            max_chunks: The most chunks to give.
            password: Of an encrypted file.
            format: What to read it as.
        """
        from polyport_gateway.reading.cutting import cut_document
        from polyport_gateway.reading.options import read_options

        named, data = await self._file(path, text, base64, name)
        options = read_options(password=password, format=format, pictures=False)
        chunks = await cut_document(
            self._service, work.call, named, data, options, spec=chunkers, max_tokens=max_tokens, receipt=False
        )
        total = len(chunks.data)
        given: list[DocumentChunk] = []
        characters = 0
        for chunk in chunks.data[offset : offset + max_chunks]:
            characters += len(chunk.text)
            if given and characters > _MOST_CHARACTERS:
                break
            given.append(chunk)
        chunks.data = given
        end = offset + len(given)
        more = f"; go on with offset={end}" if end < total else ""
        work.text = "\n\n".join(
            [f"{named}: chunks {offset} to {end} of {total}{more}"]
            + [f"[{chunk.index}] {chunk.tokens} tokens\n{chunk.text}" for chunk in given]
        )
        return chunks


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()

"""Documents: files read and cut, as REST has them, and what the tools `read_document` and `chunk_document` give."""

from __future__ import annotations

import base64
from typing import Any, Literal, TypeAlias

from pydantic import ConfigDict, Field

from polyport.types.base import RequestModel, WireModel

__all__ = [
    "ChunkerDescription",
    "ChunkerList",
    "ChunkerParameter",
    "DocumentChunk",
    "DocumentChunkRequest",
    "DocumentChunks",
    "DocumentFile",
    "DocumentFiles",
    "DocumentForm",
    "DocumentFormat",
    "DocumentFormatList",
    "DocumentPart",
    "DocumentPicture",
    "DocumentReadRequest",
    "DocumentReceipt",
    "DocumentResult",
    "SkippedPart",
]

DocumentForm: TypeAlias = Literal["markdown", "html", "json", "text"]
"""What a document is given as: ``json`` is the whole of it, nothing lost; ``text`` its characters alone."""


class DocumentReadRequest(RequestModel):
    """The body of ``POST /v1/documents/read``: one file, as `text` or as `base64`; a form has it as its member `file`.

    >>> DocumentReadRequest(name="tea.md", text="# Tea").to
    'markdown'
    """

    # What is asked for and not known would be left out in silence.
    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    name: str | None = Field(default=None, description="The file's name; its ending helps to tell formats apart.")
    text: str | None = Field(default=None, description="The file, where it is text.")
    base64: str | None = Field(default=None, description="The file's bytes, in base64.")
    to: DocumentForm = Field(default="markdown", description="What to give it as.")
    receipt: bool = Field(default=True, description="Whether to say what came of reading it, in figures.")
    assets: bool = Field(default=False, description="Whether to give the bytes of pictures and attachments.")
    strict: bool = Field(default=False, description="Whether anything left out is an error.")
    password: str | None = Field(default=None, description="Of an encrypted file.", repr=False)
    format: str | None = Field(default=None, description="Read it as this, whatever it looks like: docx, html …")
    encoding: str | None = Field(default=None, description="Of a text file, instead of the one detected.")
    hidden: bool = Field(default=True, description="Whether hidden sheets, rows, slides and text are read.")
    ocr: Literal["auto", "never", "always"] | None = Field(default=None, description="When pages are recognised.")
    engine: str | None = Field(default=None, description="Another engine than the readers' own.")


class DocumentChunkRequest(DocumentReadRequest):
    """The body of ``POST /v1/documents/chunk``.

    >>> DocumentChunkRequest.model_validate({"text": "Tea.", "with": "Sentences()"}).with_
    'Sentences()'
    """

    model_config = ConfigDict(extra="forbid", protected_namespaces=(), populate_by_name=True)

    with_: str | None = Field(
        default=None, alias="with", description="The chunkers: ByHeading() | Sentences(max_tokens=256)."
    )
    max_tokens: int | None = Field(default=None, description="Of a chunk, where the chunkers say nothing else.")
    tokenizer: str | None = Field(default=None, description="What counts, where they say nothing else.")


class SkippedPart(WireModel):
    """Something of a file that is not in its document, and why."""

    what: str = Field(description="Such as page, table, picture, attachment.")
    why: str
    page: int | None = None
    part: str | None = Field(default=None, description="Which file inside the file, or which sheet.")
    count: int = 1


class DocumentReceipt(WireModel):
    """What went into reading a file, what came out, and what did not."""

    reader: str
    format: str
    pages_in: int = 1
    pages_out: int = 1
    blocks: int = 0
    tables: int = 0
    pictures: int = 0
    characters: list[int] = Field(default_factory=list, description="Of each page.")
    ocr_confidence: float | None = Field(default=None, description="0 to 1; none without recognition.")
    skipped: list[SkippedPart] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    seconds: float = 0.0


class DocumentPicture(WireModel):
    """A picture of a document; its bytes are in the result's `assets`."""

    sha256: str
    mime: str = ""
    caption: str = ""
    alt: str = ""
    page: int | None = None


class DocumentResult(WireModel):
    """A document that was read."""

    object: Literal["document"] = "document"
    id: str = Field(description="The same for the same file.")
    name: str
    mime: str
    to: DocumentForm
    content: str | None = Field(default=None, description="The document; none for json.")
    document: dict[str, Any] | None = Field(default=None, description="The document as JSON.")
    pictures: list[DocumentPicture] = Field(default_factory=list)
    assets: dict[str, str] = Field(default_factory=dict, description="Base64 by SHA-256, where asked for.")
    receipt: DocumentReceipt | None = None

    @property
    def text(self) -> str:
        """Its content; empty for JSON."""
        return self.content or ""

    def asset(self, sha256: str) -> bytes:
        """Return the bytes of a picture or attachment.

        Raises:
            KeyError: There is none, or they were not asked for.
        """
        return base64.b64decode(self.assets[sha256])


class DocumentChunk(WireModel):
    """A piece of a document."""

    id: str = Field(description="The same for the same file and chunkers.")
    index: int
    text: str
    span: tuple[int, int] | None = Field(
        default=None, description="Where it stands in the document's text; none where its text was made."
    )
    tokens: int
    heading_path: list[str] = Field(default_factory=list)
    pages: list[int] = Field(default_factory=list)
    blocks: list[int] = Field(default_factory=list)
    parent_id: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class DocumentChunks(WireModel):
    """The answer of ``POST /v1/documents/chunk``."""

    object: Literal["list"] = "list"
    document_id: str
    name: str
    chunker: str = Field(description="What cut it, with all its settings.")
    tokenizer: str = Field(description="What counted.")
    data: list[DocumentChunk]
    receipt: DocumentReceipt | None = None


class DocumentFormat(WireModel):
    """A format, and whether it can be read."""

    name: str
    mime: str
    extensions: list[str]
    reader: str | None = Field(default=None, description="What reads it; none where nothing does.")
    readable: bool
    missing: list[str] = Field(default_factory=list, description="Packages that reading it needs.")
    install: str | None = Field(default=None, description="The line that installs them.")


class DocumentFormatList(WireModel):
    """The answer of ``GET /v1/documents/formats``."""

    object: Literal["list"] = "list"
    data: list[DocumentFormat]


class ChunkerParameter(WireModel):
    """A setting of a chunker."""

    name: str
    type: str
    default: str | None = Field(default=None, description="As Python writes it; none where it must be given.")
    description: str = ""


class ChunkerDescription(WireModel):
    """A chunker or transform."""

    name: str
    summary: str
    parameters: list[ChunkerParameter] = Field(default_factory=list)


class ChunkerList(WireModel):
    """The answer of ``GET /v1/documents/chunkers``."""

    object: Literal["list"] = "list"
    data: list[ChunkerDescription]


class DocumentFile(WireModel):
    """A file that can be named by its path."""

    path: str = Field(description="What read_document takes.")
    size: int = Field(description="Bytes.")
    modified: float = Field(description="Seconds since the epoch.")
    format: str | None = Field(default=None, description="By its name; its content has the last word.")


class DocumentFiles(WireModel):
    """What the tool `list_documents` gives."""

    object: Literal["list"] = "list"
    data: list[DocumentFile]
    total: int = Field(description="Files that there are.")
    next_offset: int | None = Field(default=None, description="Where to go on; none at the end.")


class DocumentPart(WireModel):
    """What the tool `read_document` gives: a part of a document, and how to go on."""

    name: str
    format: str
    content: str = Field(description="The part.")
    offset: int = Field(description="Where it begins, in characters.")
    total_characters: int = Field(description="Of the whole document in this form.")
    next_offset: int | None = Field(default=None, description="Where to go on; none at the end.")
    receipt: DocumentReceipt | None = None

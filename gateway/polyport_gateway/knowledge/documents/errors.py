"""What is wrong with a file.

::

    BadRequestError
    └── UnreadableDocumentError        400 unreadable_document: damaged, empty, a bomb …
        ├── UnsupportedFormatError     400 unsupported_format: no reader for it
        ├── EncryptedDocumentError     400 encrypted_document: a password is missing or wrong
        ├── DocumentLossError          400 document_loss: something was left out, and ``strict`` was asked for
        └── ParsingLimitError          400 parsing_limit: time, memory or output ran out
"""

from __future__ import annotations

from polyport.errors import BadRequestError

__all__ = [
    "DocumentLossError",
    "EncryptedDocumentError",
    "ParsingLimitError",
    "UnreadableDocumentError",
    "UnsupportedFormatError",
]


class UnreadableDocumentError(BadRequestError):
    """A file can't be read.

    Args:
        file: Its name.
        reason: A sentence: what is wrong, and what to do about it.
        page: Where, from 1, when it is one page.
    """

    code = "unreadable_document"

    def __init__(self, file: str, reason: str, *, page: int | None = None) -> None:
        where = f"{file}, page {page}" if page else file
        super().__init__(f"{where}: {reason}", param="file")
        self.file = file
        self.reason = reason
        self.page = page

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (type(self), self.file, self.reason, self.page)


def _again(kind: type[UnreadableDocumentError], file: str, reason: str, page: int | None) -> UnreadableDocumentError:
    return kind(file, reason, page=page)


class UnsupportedFormatError(UnreadableDocumentError):
    """No reader is there for what the file is."""

    code = "unsupported_format"


class EncryptedDocumentError(UnreadableDocumentError):
    """The file is encrypted, and the password is missing or wrong."""

    code = "encrypted_document"


class DocumentLossError(UnreadableDocumentError):
    """Something was left out, and ``strict`` was asked for."""

    code = "document_loss"


class ParsingLimitError(UnreadableDocumentError):
    """Reading it took more time or memory than it may, and was stopped."""

    code = "parsing_limit"

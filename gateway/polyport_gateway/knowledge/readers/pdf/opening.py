"""Opening a PDF, and what to say of one that does not open."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from polyport.errors import MissingDependencyError
from polyport_gateway.knowledge.documents import EncryptedDocumentError, UnreadableDocumentError

__all__ = ["opened", "require_pdfium"]

_lock = threading.RLock()  # PDFium is not made for threads


def require_pdfium() -> Any:
    """Return pypdfium2.

    Raises:
        MissingDependencyError: It is not installed.
    """
    try:
        import pypdfium2
    except ImportError:
        raise MissingDependencyError("Reading PDF", extra="documents") from None
    return pypdfium2


@contextmanager
def opened(data: bytes, name: str, password: str | None) -> Iterator[Any]:
    """Open a document, one at a time in this process, and close it again.

    Raises:
        EncryptedDocumentError: Its password is missing or wrong.
        UnreadableDocumentError: It is damaged, or has no pages.
    """
    library = require_pdfium()
    with _lock:
        try:
            document = library.PdfDocument(data, password=password)
        except library.PdfiumError as error:
            raise _explained(error, data, name, password) from None
        try:
            if len(document) == 0:
                raise UnreadableDocumentError(name, "it has no pages.")
            yield document
        finally:
            document.close()


def _explained(error: Exception, data: bytes, name: str, password: str | None) -> UnreadableDocumentError:
    import pypdfium2.raw as pdfium

    code = getattr(error, "err_code", None)
    if code == pdfium.FPDF_ERR_PASSWORD:
        reason = "its password is wrong." if password else "it is encrypted; give its password to read it."
        return EncryptedDocumentError(name, reason)
    if code == pdfium.FPDF_ERR_SECURITY:
        return EncryptedDocumentError(name, "it is encrypted in a way that can't be read, such as with a certificate.")
    if b"%%EOF" not in data[-2048:] and b"startxref" not in data[-2048:]:
        return UnreadableDocumentError(name, "it is cut off: the end of the PDF is missing, and its pages with it.")
    if re.search(rb"/Type\s*/Pages\b[^>]*/Count\s+0\b|/Count\s+0\b[^>]*/Type\s*/Pages\b", data):
        return UnreadableDocumentError(name, "it has no pages.")
    return UnreadableDocumentError(name, "it is damaged: no pages can be found in the PDF.")

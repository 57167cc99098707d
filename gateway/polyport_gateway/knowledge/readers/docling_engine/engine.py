"""Office and web formats by docling's backends; PDF and pictures by its models, where they are on this machine."""

from __future__ import annotations

import importlib
import time
import warnings
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

from polyport.errors import MissingDependencyError
from polyport_gateway.knowledge.documents import (
    DocumentBuilder,
    EncryptedDocumentError,
    Parsed,
    Receipt,
    Skipped,
    UnreadableDocumentError,
    source_of,
)
from polyport_gateway.knowledge.readers.base import ReadOptions
from polyport_gateway.knowledge.readers.detect import FORMATS, detect

if TYPE_CHECKING:
    from docling_core.types.doc.document import DoclingDocument

__all__ = ["DoclingEngine"]

_BACKENDS = {
    "docx": ("DOCX", "msword_backend", "MsWordDocumentBackend"),
    "pptx": ("PPTX", "mspowerpoint_backend", "MsPowerpointDocumentBackend"),
    "xlsx": ("XLSX", "msexcel_backend", "MsExcelDocumentBackend"),
    "odt": ("ODT", "opendocument_backend", "OdtDocumentBackend"),
    "ods": ("ODS", "opendocument_backend", "OdsDocumentBackend"),
    "odp": ("ODP", "opendocument_backend", "OdpDocumentBackend"),
    "html": ("HTML", "html_backend", "HTMLDocumentBackend"),
    "markdown": ("MD", "md_backend", "MarkdownDocumentBackend"),
    "csv": ("CSV", "csv_backend", "CsvDocumentBackend"),
}
_BY_MODELS = frozenset({"pdf", "png", "jpeg", "tiff", "bmp", "webp"})


class DoclingEngine:
    """Reads with docling instead of with our own readers; it is asked for by ``ReadOptions(engine="docling")``.

    Nothing is downloaded: models must be in the folder that ``DOCLING_ARTIFACTS_PATH`` names, where
    ``docling-tools models download`` puts them.
    """

    name = "docling"
    formats = frozenset(_BACKENDS) | _BY_MODELS

    def read(self, data: bytes, name: str, options: ReadOptions) -> Parsed:
        """Convert a file, and make a document of what docling made of it.

        Raises:
            MissingDependencyError: docling, or the part of it that this format needs, is not installed.
            UnreadableDocumentError: It can't be converted, or the models are not on this machine.
        """
        started = time.perf_counter()
        format = options.format or detect(data, name).format  # noqa: A001
        skipped: list[Skipped] = []
        pages = None
        with warnings.catch_warnings(record=True) as caught:  # docling says in warnings what it leaves out
            warnings.simplefilter("always")
            if format in _BY_MODELS:
                from .models import convert_by_models

                made, pages = convert_by_models(data, name, format, skipped)
            else:
                made = _converted(data, name, format)
        said = dict.fromkeys(str(item.message) for item in caught if issubclass(item.category, UserWarning))
        from .conversion import Conversion

        builder = DocumentBuilder(source_of(data, name, FORMATS[format][0]))
        builder.metadata["engine"] = "docling"
        conversion = Conversion(made, builder, format, options)
        conversion.run()
        document = builder.build()
        receipt = Receipt.of(
            document,
            reader=self.name,
            format=format,
            pages_in=pages,
            skipped=[*skipped, *conversion.skipped],
            warnings=said,
            seconds=time.perf_counter() - started,
        )
        if pages is not None:
            receipt = replace(receipt, pages_out=pages - sum(left.what == "page" for left in skipped))
        return Parsed(document, receipt)


def _converted(data: bytes, name: str, format: str) -> DoclingDocument:  # noqa: A002
    kind, module, backend_name = _BACKENDS[format]
    try:
        backend: Any = getattr(importlib.import_module(f"docling.backend.{module}"), backend_name)
        from docling.datamodel.base_models import InputFormat
        from docling.datamodel.document import InputDocument
    except ImportError as error:
        raise _missing(format, error) from None
    try:
        opened = InputDocument(BytesIO(data), format=InputFormat[kind], backend=backend, filename=name)
    except ImportError as error:
        raise _missing(format, error) from None
    except Exception as error:  # noqa: BLE001 - any library of docling's may fail on damaged bytes
        raise _refusal(name, error) from None
    if not opened.valid:
        raise UnreadableDocumentError(name, f"docling does not take it for a sound {format} file.")
    source = opened._backend  # noqa: SLF001 - its converter does the same, and needs torch
    try:
        made: DoclingDocument = source.convert()
    except ImportError as error:
        raise _missing(format, error) from None
    except Exception as error:  # noqa: BLE001 - as above
        raise _refusal(name, error) from None
    finally:
        source.unload()
    return made


def _missing(format: str, error: ImportError) -> MissingDependencyError:  # noqa: A002
    return MissingDependencyError(f"Reading {format} with docling ({error})", extra="docling")


def _refusal(name: str, error: Exception) -> UnreadableDocumentError:
    said = " ".join(str(error).split())[:200]
    if "password" in said.lower() or "encrypted" in said.lower():
        return EncryptedDocumentError(name, "it is protected by a password, which docling's backend does not take.")
    return UnreadableDocumentError(name, f"docling can't convert it: {said or type(error).__name__}.")

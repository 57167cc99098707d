"""docling's pipeline of layout, table and text recognition models, from a folder on this machine."""

from __future__ import annotations

import os
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyport.errors import MissingDependencyError
from polyport_gateway.knowledge.documents import Skipped, UnreadableDocumentError

if TYPE_CHECKING:
    from docling_core.types.doc.document import DoclingDocument

__all__ = ["convert_by_models"]

_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


def convert_by_models(
    data: bytes, name: str, format: str, skipped: list[Skipped]  # noqa: A002
) -> tuple[DoclingDocument, int]:  # fmt: skip
    """Convert a PDF or a picture; return the document, and how many pages the file has.

    Raises:
        MissingDependencyError: docling's models can't run without packages that are missing.
        UnreadableDocumentError: The models are not on this machine, or they fail.
    """
    for key in _OFFLINE:  # before anything of Hugging Face's is imported
        os.environ[key] = "1"
    try:
        from docling.datamodel.base_models import ConversionStatus, DocumentStream
        from docling.datamodel.settings import settings
        from docling.document_converter import DocumentConverter  # noqa: F401 - it needs torch
    except ImportError as error:
        raise MissingDependencyError(
            f"Reading {format} with docling's models ({error.name})", extra="docling-models"
        ) from None
    folder = settings.artifacts_path
    if folder is None or not Path(folder).is_dir():
        where = "no folder is named" if folder is None else f"{folder} is no folder"
        raise UnreadableDocumentError(
            name,
            f"docling reads {format} with models, and {where} by DOCLING_ARTIFACTS_PATH. Get them with `docling-tools "
            "models download -o FOLDER` where there is a network; nothing is downloaded here. Without "
            '`engine="docling"` the file is read without models.',
        )
    try:
        result = _converter(str(folder)).convert(DocumentStream(name=name, stream=BytesIO(data)), raises_on_error=False)
    except Exception as error:  # noqa: BLE001 - a model that is missing or damaged fails in any way while it is loaded
        why = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UnreadableDocumentError(
            name,
            f"docling's models can't be loaded from {folder}: {why} Get them with `docling-tools models download -o "
            f"{folder}` where there is a network.",
        ) from None
    said = "; ".join(" ".join(error.error_message.split())[:200] for error in result.errors) or "it gives no reason"
    if result.status not in (ConversionStatus.SUCCESS, ConversionStatus.PARTIAL_SUCCESS):
        raise UnreadableDocumentError(name, f"docling's models can't convert it: {said}.")
    pages = result.input.page_count
    done = {page.page_no for page in result.pages}
    if done:
        skipped += [
            Skipped("page", f"docling left it out: {said}.", page) for page in range(1, pages + 1) if page not in done
        ]
    elif result.status == ConversionStatus.PARTIAL_SUCCESS:
        skipped.append(Skipped("part of the document", f"docling left it out: {said}."))
    made: DoclingDocument = result.document
    return made, pages


@cache
def _converter(folder: str) -> Any:
    """Return a converter; it holds the models, which take seconds to load."""
    from docling.datamodel.base_models import InputFormat
    from docling.datamodel.pipeline_options import PdfPipelineOptions
    from docling.document_converter import DocumentConverter, ImageFormatOption, PdfFormatOption

    options = PdfPipelineOptions(artifacts_path=folder)
    options.generate_picture_images = True
    options.images_scale = 2.0
    return DocumentConverter(
        allowed_formats=[InputFormat.PDF, InputFormat.IMAGE],
        format_options={
            InputFormat.PDF: PdfFormatOption(pipeline_options=options),
            InputFormat.IMAGE: ImageFormatOption(pipeline_options=options),
        },
    )

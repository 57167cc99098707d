"""What can be read here, what it lacks, and what cuts documents."""

from __future__ import annotations

import importlib.util
import inspect
from dataclasses import MISSING, Field, fields
from typing import Any

from polyport.docstring import parse_docstring
from polyport.types.documents import ChunkerDescription, ChunkerParameter, DocumentFormat
from polyport_gateway.knowledge.chunkers import CHUNKERS, Step
from polyport_gateway.knowledge.readers import readers
from polyport_gateway.knowledge.readers.detect import FORMATS

__all__ = ["describe_chunkers", "describe_formats"]

_NOTHING_TO_READ = frozenset({"binary", "empty", "executable", "ole"})
_DOCUMENTS, _OCR = "documents", "ocr"
_RECOGNISED = (
    ("PIL", "pillow", _DOCUMENTS),
    ("rapidocr", "rapidocr", _OCR),
    ("onnxruntime", "onnxruntime", _OCR),
    ("cv2", "opencv-python-headless", _OCR),
)
_NEEDS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "html": (("selectolax", "selectolax", _DOCUMENTS),),
    "epub": (("selectolax", "selectolax", _DOCUMENTS),),
    "markdown": (("markdown_it", "markdown-it-py", _DOCUMENTS),),
    "yaml": (("yaml", "pyyaml", _DOCUMENTS),),
    "pdf": (("pypdfium2", "pypdfium2", _DOCUMENTS),),
    "xls": (("xlrd", "xlrd", _DOCUMENTS),),
    "msg": (("olefile", "olefile", _DOCUMENTS),),
    **dict.fromkeys(("png", "jpeg", "tiff", "gif", "webp", "bmp"), _RECOGNISED),
}
"""Modules that readers import only once they read, with the packages and the extras that bring them."""


def describe_formats() -> list[DocumentFormat]:
    """Return every format that is recognised, and whether and how it is read here."""
    found = readers()
    names = [*FORMATS, *sorted(set(found) - set(FORMATS))]
    listed = []
    for name in names:
        if name in _NOTHING_TO_READ and name not in found:
            continue
        mime, extensions = FORMATS.get(name, ("", ()))
        reader = found.get(name)
        missing = _missing(name) if reader is not None else {}
        listed.append(
            DocumentFormat(
                name=name,
                mime=mime,
                extensions=[f".{extension}" for extension in extensions],
                reader=None if reader is None else reader.name,
                readable=reader is not None and not missing,
                missing=list(missing),
                install=f'pip install "polyport[{",".join(sorted(set(missing.values())))}]"' if missing else None,
            )
        )
    return listed


def _missing(name: str) -> dict[str, str]:
    """Return the packages that a format lacks, with the extra that brings each."""
    return {
        package: extra for module, package, extra in _NEEDS.get(name, ()) if importlib.util.find_spec(module) is None
    }


def describe_chunkers() -> list[ChunkerDescription]:
    """Return every chunker and transform with its settings."""
    return [_described(name, kind) for name, kind in sorted(CHUNKERS.items())]


def _described(name: str, kind: type[Step]) -> ChunkerDescription:
    told = parse_docstring(inspect.getdoc(kind) or "")
    return ChunkerDescription(
        name=name,
        summary=" ".join(told.description.split("\n\n")[0].split()),
        parameters=[
            ChunkerParameter(
                name=item.name,
                type=item.type if isinstance(item.type, str) else item.type.__name__,
                default=_default(item),
                description=told.parameters.get(item.name, ""),
            )
            for item in fields(kind)  # type: ignore[arg-type]
            if item.init
        ],
    )


def _default(item: Field[Any]) -> str | None:
    if item.default is not MISSING:
        return repr(item.default)
    if item.default_factory is not MISSING:
        return repr(item.default_factory())
    return None

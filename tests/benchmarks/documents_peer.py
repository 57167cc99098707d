"""Read files in an environment with the peers: ``python documents_peer.py PEER FILE…``; prints JSON lines.

``markitdown`` is called as its documentation says, ``docling`` through its backends, for its converter needs torch.
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

BACKENDS = {
    ".csv": ("csv_backend", "CsvDocumentBackend"),
    ".docx": ("msword_backend", "MsWordDocumentBackend"),
    ".html": ("html_backend", "HTMLDocumentBackend"),
    ".md": ("md_backend", "MarkdownDocumentBackend"),
    ".odp": ("opendocument_backend", "OdpDocumentBackend"),
    ".ods": ("opendocument_backend", "OdsDocumentBackend"),
    ".odt": ("opendocument_backend", "OdtDocumentBackend"),
    ".pptx": ("mspowerpoint_backend", "MsPowerpointDocumentBackend"),
    ".xlsx": ("msexcel_backend", "MsExcelDocumentBackend"),
}
"""docling's backend for each format that it opens offline; its PDF pipeline needs models from a hub."""


def markitdown() -> Callable[[Path], str]:
    """Make markitdown's converter."""
    from markitdown import MarkItDown  # type: ignore[import-not-found,unused-ignore]

    converter = MarkItDown(enable_plugins=False)
    return lambda path: str(
        converter.convert_stream(io.BytesIO(path.read_bytes()), file_extension=path.suffix).markdown
    )


def docling() -> Callable[[Path], str]:
    """Make docling's converter."""
    from importlib import import_module

    from docling.datamodel.base_models import InputFormat  # type: ignore[import-not-found,unused-ignore]
    from docling.datamodel.document import InputDocument  # type: ignore[import-not-found,unused-ignore]

    def convert(path: Path) -> str:
        if path.suffix not in BACKENDS:
            raise LookupError("docling reads this with models that it downloads, or not at all")
        module, name = BACKENDS[path.suffix]
        backend = getattr(import_module(f"docling.backend.{module}"), name)
        kind = InputFormat(path.suffix[1:])
        opened = InputDocument(path_or_stream=path, format=kind, backend=backend, filename=path.name)
        return str(opened._backend.convert().export_to_markdown())

    return convert


def main(peer: str, files: list[str]) -> None:
    """Read each file twice; the second time is the one that counts."""
    convert = {"markitdown": markitdown, "docling": docling}[peer]()
    for name in files:
        path = Path(name)
        try:
            convert(path)
            began = time.perf_counter()
            text = convert(path)
            print(json.dumps({"file": name, "text": text, "seconds": time.perf_counter() - began}), flush=True)
        except Exception as error:
            print(json.dumps({"file": name, "error": f"{type(error).__name__}: {error}"}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])

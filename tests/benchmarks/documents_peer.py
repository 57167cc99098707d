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


def markitdown() -> Callable[[Path], str]:
    """Make markitdown's converter."""
    from markitdown import MarkItDown  # type: ignore[import-not-found,unused-ignore]

    converter = MarkItDown(enable_plugins=False)
    return lambda path: str(
        converter.convert_stream(io.BytesIO(path.read_bytes()), file_extension=path.suffix).markdown
    )


def docling() -> Callable[[Path], str]:
    """Make docling's converter."""
    from docling.backend.msexcel_backend import MsExcelDocumentBackend  # type: ignore[import-not-found,unused-ignore]
    from docling.backend.mspowerpoint_backend import (  # type: ignore[import-not-found,unused-ignore]
        MsPowerpointDocumentBackend,
    )
    from docling.backend.msword_backend import MsWordDocumentBackend  # type: ignore[import-not-found,unused-ignore]
    from docling.datamodel.base_models import InputFormat  # type: ignore[import-not-found,unused-ignore]
    from docling.datamodel.document import InputDocument  # type: ignore[import-not-found,unused-ignore]

    backends = {
        ".docx": (InputFormat.DOCX, MsWordDocumentBackend),
        ".xlsx": (InputFormat.XLSX, MsExcelDocumentBackend),
        ".pptx": (InputFormat.PPTX, MsPowerpointDocumentBackend),
    }

    def convert(path: Path) -> str:
        kind, backend = backends[path.suffix]
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

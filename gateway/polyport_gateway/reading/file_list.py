"""`list_documents`: which files `read_document` takes by their paths."""

from __future__ import annotations

import asyncio
from typing import Annotated

from pydantic import Field

from polyport.declarations import Annotations
from polyport.types.documents import DocumentFile, DocumentFiles
from polyport_gateway.functions.tool import GatewayTool, Work
from polyport_gateway.reading.service import DocumentService

__all__ = ["ListDocuments"]

_LISTS = Annotations(title="List documents", read_only=True, destructive=False, idempotent=True, open_world=False)


class ListDocuments(GatewayTool):
    """Lists the files of the folders; it is there where there are any.

    Args:
        service: The gateway's documents.
    """

    def __init__(self, service: DocumentService) -> None:
        self._service = service
        super().__init__(
            self.list_documents, description=f"The folders: {service.folders.describe()}.", annotations=_LISTS
        )

    async def list_documents(
        self,
        work: Work,
        pattern: str = "*",
        offset: Annotated[int, Field(ge=0)] = 0,
        max_files: Annotated[int, Field(ge=1, le=1000)] = 200,
    ) -> DocumentFiles:
        """List the files that read_document can read by their paths.

        Args:
            work: The call it serves.
            pattern: Which, such as *.pdf or reports/*; all of them where left out.
            offset: The first to list.
            max_files: The most to list.
        """
        found = await asyncio.to_thread(self._service.folders.files, pattern)
        given = found[offset : offset + max_files]
        end = offset + len(given)
        files = DocumentFiles(
            data=[
                DocumentFile(path=path, size=status.st_size, modified=status.st_mtime, format=_format(path))
                for path, status in given
            ],
            total=len(found),
            next_offset=end if end < len(found) else None,
        )
        lines = [f"{_on_a_line(file.path)} ({file.size} bytes)" for file in files.data] or ["there is no such file"]
        more = [f"[{len(found)} in all; go on with offset={end}]"] if files.next_offset is not None else []
        work.text = "\n".join([*lines, *more])
        return files


def _on_a_line(path: str) -> str:
    """Show what is no letter or sign, such as a line break, as its code: a name must not look like several."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in path)


def _format(path: str) -> str | None:
    from polyport_gateway.knowledge.readers.detect import FORMATS

    ending = path.rpartition(".")[2].lower()
    return next((name for name, (_, endings) in FORMATS.items() if ending in endings), None)

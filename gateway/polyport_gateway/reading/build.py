"""Which capabilities documents add to a catalog."""

from __future__ import annotations

from polyport_gateway.catalog import Catalog
from polyport_gateway.reading.file_list import ListDocuments
from polyport_gateway.reading.service import READ_DOCUMENT, DocumentService
from polyport_gateway.reading.tools import ChunkDocument, ReadDocument

__all__ = ["add_capabilities"]


def add_capabilities(catalog: Catalog, service: DocumentService) -> None:
    """Add what can be called where files are read; it is there even where its tools are not shown.

    Raises:
        DeclarationError: The app has registered one of its names.
    """
    listed = service.plan.tools
    service.allows = catalog.allows
    catalog.add(ReadDocument(service), listed=listed)
    catalog.add(ChunkDocument(service), listed=listed, needs=READ_DOCUMENT)
    if service.folders:
        catalog.add(ListDocuments(service), listed=listed, needs=READ_DOCUMENT)

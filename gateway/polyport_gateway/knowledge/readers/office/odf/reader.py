"""OpenDocument files (ISO/IEC 26300, OASIS OpenDocument 1.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from polyport_gateway.knowledge.documents import JSON, Block, PageBreak, Parsed, UnreadableDocumentError
from polyport_gateway.knowledge.readers.detect import FORMATS, detect
from polyport_gateway.knowledge.readers.office.gathering import PackageGathering, naming_damage
from polyport_gateway.knowledge.readers.office.package import Package

from .crypt import opened
from .meta import read_meta
from .presentation import read_presentation
from .spreadsheet import read_spreadsheet
from .text import read_text

if TYPE_CHECKING:
    from polyport_gateway.knowledge.readers.base import ReadOptions

__all__ = ["OdfReader"]

_Read = Callable[[PackageGathering], tuple[list[Block], dict[str, JSON]]]
_READ: dict[str, _Read] = {"odt": read_text, "ods": read_spreadsheet, "odp": read_presentation}


class OdfReader:
    """Reads ODT, ODS and ODP (and their templates); macros are never looked at.

    A spreadsheet's sheets come out as those of an Excel workbook do, a presentation's slides as PowerPoint's.
    """

    name = "odf"
    formats = frozenset(_READ)

    def read(self, data: bytes, name: str, options: ReadOptions) -> Parsed:
        """Read one file.

        Raises:
            UnreadableDocumentError: It is damaged, a bomb, or no OpenDocument file.
            EncryptedDocumentError: Its password is missing or wrong.
        """
        found = options.format or detect(data, name).format
        if found not in _READ:
            raise UnreadableDocumentError(name, "it is no OpenDocument text, spreadsheet or presentation.")
        package = opened(Package(data, name, max_unpacked_bytes=options.max_unpacked_bytes), options)
        gathering = PackageGathering(data, name, options, FORMATS[found][0], package)
        with naming_damage(name):
            blocks, about = _READ[found](gathering)
            read_meta(gathering)
        pages = 1 + sum(isinstance(block, PageBreak) for block in blocks)
        return gathering.finish(blocks, reader=self.name, format=found, metadata=about, pages_in=pages, pages_out=pages)

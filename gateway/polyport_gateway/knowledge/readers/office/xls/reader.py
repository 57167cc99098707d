"""Excel workbooks in the binary format ([MS-XLS]), through xlrd."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from polyport.errors import MissingDependencyError
from polyport_gateway.knowledge.documents import (
    JSON,
    Block,
    Heading,
    Parsed,
    Provenance,
    UnreadableDocumentError,
)
from polyport_gateway.knowledge.readers.office.gathering import Gathering, naming_damage
from polyport_gateway.knowledge.readers.office.protection import decrypted, ole_properties
from polyport_gateway.knowledge.readers.office.sheets.content import SheetContent

from .records import passed_over
from .sheets import DAMAGE, Looks, comments, read_sheet

if TYPE_CHECKING:
    from xlrd.book import Book

    from polyport_gateway.knowledge.readers.base import ReadOptions

__all__ = ["XlsReader"]

_MIME = "application/vnd.ms-excel"
_PASSED_OVER = re.compile(r"Ignoring non-worksheet data named '(.*)' \(type 0x\w+ = ([^)]*)\)")
_ENCRYPTED = "Workbook is encrypted"


class XlsReader:
    """Reads XLS; macros are never looked at.

    The sheets come out as those of an XLSX do. Formulas show their stored result. Charts and pictures are not read, and
    are in the receipt.
    """

    name = "xls"
    formats = frozenset({"xls"})

    def read(self, data: bytes, name: str, options: ReadOptions) -> Parsed:
        """Read one file.

        Raises:
            UnreadableDocumentError: It is damaged, or no workbook.
            EncryptedDocumentError: Its password is missing or wrong.
        """
        log = io.StringIO()
        gathering = Gathering(data, name, options, _MIME)
        book = _opened(data, name, options, log)
        with naming_damage(name):
            blocks, about = _Workbook(gathering, book, log).blocks()
        gathering.builder.metadata.update(ole_properties(data))
        return gathering.finish(blocks, reader=self.name, format="xls", metadata={"sheets": about})


def _opened(data: bytes, name: str, options: ReadOptions, log: io.StringIO) -> Book:
    try:
        import xlrd
        from xlrd.compdoc import CompDocError
    except ModuleNotFoundError:
        raise MissingDependencyError("Reading XLS files", extra="documents") from None
    contents = data
    for _ in range(2):
        try:
            return xlrd.open_workbook(
                file_contents=contents, logfile=log, verbosity=1, formatting_info=True, on_demand=True
            )
        except xlrd.XLRDError as error:
            if str(error) != _ENCRYPTED or contents is not data:
                raise UnreadableDocumentError(name, f"it is no readable XLS workbook ({error}).") from error
            contents = decrypted(data, name, options)
        except (CompDocError, *DAMAGE) as error:
            raise UnreadableDocumentError(
                name, f"it is damaged or cut off: its workbook can't be read ({type(error).__name__}: {error})."
            ) from error
    raise AssertionError("the loop above returns or raises")


class _Workbook:
    def __init__(self, gathering: Gathering, book: Book, log: io.StringIO) -> None:
        self._gathering = gathering
        self._book = book
        self._looks = Looks(book)
        for sheet, kind in _PASSED_OVER.findall(log.getvalue()):
            gathering.skip("sheet", f"A sheet of the kind {kind.lower()!r}.", part=sheet)
        over = passed_over(bytes(book.mem[book.base : book.base + book.stream_len]))
        for what, number in (("chart", over.charts), ("picture", over.pictures)):
            for _ in range(number):
                gathering.skip(what, f"A {what} in a binary workbook is not read. Save the file as .xlsx.")

    def blocks(self) -> tuple[list[Block], list[JSON]]:
        """Give all sheets; one that is damaged is told of, and the others are read."""
        from xlrd import XLRDError

        blocks: list[Block] = []
        about: list[JSON] = []
        for index, name in enumerate(self._book.sheet_names()):
            try:
                blocks += self._sheet(index, name, about)
            except (XLRDError, *DAMAGE) as error:
                self._gathering.skip("sheet", f"It is damaged ({type(error).__name__}: {error}).", part=name)
        return blocks, about

    def _sheet(self, index: int, name: str, about: list[JSON]) -> list[Block]:
        source = self._book.sheet_by_index(index)
        hidden = source.visibility != 0
        if hidden and not self._gathering.options.hidden:
            self._gathering.skip("sheet", "Hidden sheets were not asked for.", part=name)
            return []
        content = SheetContent(self._gathering, name, hidden=hidden, styles=self._looks.found)
        sheet = read_sheet(source, self._book, self._looks)
        placed = list(content.tables(sheet, {}, lambda row, column: sheet.links.get((row, column), ("", ""))[1]))
        notes = comments(source, name)
        self._book.unload_sheet(index)
        about.append(content.about)
        heading = Heading(text=name, level=1, provenance=Provenance(sheet=name))
        return [heading, *(block for _, block in placed), *notes]

"""Rich Text Format (Specification 1.9.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyport_gateway.knowledge.documents import PageBreak, Parsed, UnreadableDocumentError
from polyport_gateway.knowledge.readers.office.gathering import Gathering, naming_damage

from .interpreter import Interpreter
from .tokens import tokens

if TYPE_CHECKING:
    from polyport_gateway.knowledge.readers.base import ReadOptions

__all__ = ["RtfReader"]

_MIME = "application/rtf"


class RtfReader:
    """Reads RTF: text with its styles, headings, lists, tables, pictures, notes and links. Objects are not opened."""

    name = "rtf"
    formats = frozenset({"rtf"})

    def read(self, data: bytes, name: str, options: ReadOptions) -> Parsed:
        """Read one file.

        Raises:
            UnreadableDocumentError: It is no RTF.
        """
        if not data.lstrip().startswith(b"{\\rtf"):
            raise UnreadableDocumentError(name, "it is no RTF: it does not begin with {\\rtf.")
        gathering = Gathering(data, name, options, _MIME)
        interpreter = Interpreter(gathering)
        with naming_damage(name):
            for token in tokens(data):
                interpreter.take(token)
            blocks = interpreter.finish()
        if interpreter.is_open:
            gathering.warn("The file ends in the middle of a group: it is cut off.")
        pages = 1 + sum(isinstance(block, PageBreak) for block in blocks)
        return gathering.finish(
            blocks, reader=self.name, format="rtf", metadata=interpreter.about, pages_in=pages, pages_out=pages
        )

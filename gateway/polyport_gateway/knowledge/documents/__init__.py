"""The document: one root per file, ordered blocks over one text, the real grids of its tables."""

from .blocks import (
    BLOCKS,
    Block,
    Code,
    Formula,
    Heading,
    ListItem,
    Note,
    NoteCategory,
    PageBreak,
    Paragraph,
    Picture,
    Table,
)
from .builder import DocumentBuilder, place, source_of
from .document import GROUPS, Document
from .errors import (
    DocumentLossError,
    EncryptedDocumentError,
    ParsingLimitError,
    UnreadableDocumentError,
    UnsupportedFormatError,
)
from .grid import MOST_POSITIONS, REPEATED_UP_TO, Cell, TableGrid
from .receipt import Parsed, Receipt, Skipped
from .values import JSON, Box, Mark, Provenance, Source, Span, TimeSpan

__all__ = [
    "BLOCKS",
    "GROUPS",
    "JSON",
    "MOST_POSITIONS",
    "REPEATED_UP_TO",
    "Block",
    "Box",
    "Cell",
    "Code",
    "Document",
    "DocumentBuilder",
    "DocumentLossError",
    "EncryptedDocumentError",
    "Formula",
    "Heading",
    "ListItem",
    "Mark",
    "Note",
    "NoteCategory",
    "PageBreak",
    "Paragraph",
    "Parsed",
    "ParsingLimitError",
    "Picture",
    "Provenance",
    "Receipt",
    "Skipped",
    "Source",
    "Span",
    "Table",
    "TableGrid",
    "TimeSpan",
    "UnreadableDocumentError",
    "UnsupportedFormatError",
    "place",
    "source_of",
]

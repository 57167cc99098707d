"""Cut a document for retrieval: small steps, joined with ``|``."""

from __future__ import annotations

from .auto import Auto
from .base import Chunk, Chunker, Pipeline, Step
from .characters import FixedCharacters
from .code import ByCode
from .context import WithContext
from .headings import ByHeading
from .late import LateContext
from .layout import ByBlock
from .lines import Lines
from .pages import ByPage
from .paragraphs import Paragraphs
from .parent_child import ParentChild
from .recursive import Recursive
from .sentence_window import SentenceWindow
from .sentences import Sentences
from .sliding import SlidingWindow
from .spec import ChunkerSpecError, parse_steps
from .table_columns import TableColumns
from .table_records import TableRecords
from .tables import TableRows
from .tokens import FixedTokens

__all__ = [
    "CHUNKERS",
    "Auto",
    "ByBlock",
    "ByCode",
    "ByHeading",
    "ByPage",
    "Chunk",
    "Chunker",
    "ChunkerSpecError",
    "FixedCharacters",
    "FixedTokens",
    "LateContext",
    "Lines",
    "Paragraphs",
    "ParentChild",
    "Pipeline",
    "Recursive",
    "SentenceWindow",
    "Sentences",
    "SlidingWindow",
    "Step",
    "TableColumns",
    "TableRecords",
    "TableRows",
    "WithContext",
    "parse_steps",
]

CHUNKERS: dict[str, type[Step]] = {
    step.__name__: step
    for step in (
        Auto,
        ByBlock,
        ByCode,
        ByHeading,
        ByPage,
        FixedCharacters,
        FixedTokens,
        LateContext,
        Lines,
        Paragraphs,
        ParentChild,
        Recursive,
        SentenceWindow,
        Sentences,
        SlidingWindow,
        TableColumns,
        TableRecords,
        TableRows,
        WithContext,
    )
}
"""The chunkers and transforms that come with the gateway, by name."""

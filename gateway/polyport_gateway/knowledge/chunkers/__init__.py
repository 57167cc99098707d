"""Cut a document for retrieval: small steps, joined with ``|``."""

from __future__ import annotations

from .auto import Auto, Choice
from .base import Chunk, Chunker, Pipeline, Step
from .characters import FixedCharacters
from .chat import ChatTurns
from .clusters import SemanticClusters
from .code import ByCode
from .context import WithContext
from .contextual import ContextualPrefix
from .headings import ByHeading
from .keywords import Keywords
from .late import LateContext
from .layout import ByBlock
from .lines import Lines
from .logs import LogEntries
from .mail import MailTurns
from .models import (
    CallableEmbedder,
    CallableModel,
    ClientEmbedder,
    ClientModel,
    Embedder,
    HashedEmbedder,
    ModelAnswerError,
    TextModel,
)
from .pages import ByPage
from .paragraphs import Paragraphs
from .parent_child import ParentChild
from .paths import ByElement, ByPath
from .pictures import Pictures
from .propositions import Propositions
from .questions import QuestionsAndAnswers
from .recursive import Recursive
from .semantic import SemanticBreakpoints
from .sentence_window import SentenceWindow
from .sentences import Sentences
from .slides import Slides
from .sliding import SlidingWindow
from .spec import ChunkerSpecError, parse_steps
from .subtitles import Subtitles
from .summaries import Summary
from .table_columns import TableColumns
from .table_records import TableRecords
from .tables import TableRows
from .tokens import FixedTokens
from .topics import TopicSegments

__all__ = [
    "CHUNKERS",
    "Auto",
    "ByBlock",
    "ByCode",
    "ByElement",
    "ByHeading",
    "ByPage",
    "ByPath",
    "CallableEmbedder",
    "CallableModel",
    "ChatTurns",
    "Choice",
    "Chunk",
    "Chunker",
    "ChunkerSpecError",
    "ClientEmbedder",
    "ClientModel",
    "ContextualPrefix",
    "Embedder",
    "FixedCharacters",
    "FixedTokens",
    "HashedEmbedder",
    "Keywords",
    "LateContext",
    "Lines",
    "LogEntries",
    "MailTurns",
    "ModelAnswerError",
    "Paragraphs",
    "ParentChild",
    "Pictures",
    "Pipeline",
    "Propositions",
    "QuestionsAndAnswers",
    "Recursive",
    "SemanticBreakpoints",
    "SemanticClusters",
    "SentenceWindow",
    "Sentences",
    "Slides",
    "SlidingWindow",
    "Step",
    "Subtitles",
    "Summary",
    "TableColumns",
    "TableRecords",
    "TableRows",
    "TextModel",
    "TopicSegments",
    "WithContext",
    "parse_steps",
]

CHUNKERS: dict[str, type[Step]] = {
    step.__name__: step
    for step in (
        Auto,
        ByBlock,
        ByCode,
        ByElement,
        ByHeading,
        ByPage,
        ByPath,
        ChatTurns,
        ContextualPrefix,
        FixedCharacters,
        FixedTokens,
        Keywords,
        LateContext,
        Lines,
        LogEntries,
        MailTurns,
        Paragraphs,
        ParentChild,
        Pictures,
        Propositions,
        QuestionsAndAnswers,
        Recursive,
        SemanticBreakpoints,
        SemanticClusters,
        SentenceWindow,
        Sentences,
        Slides,
        SlidingWindow,
        Subtitles,
        Summary,
        TableColumns,
        TableRecords,
        TableRows,
        TopicSegments,
        WithContext,
    )
}
"""The chunkers and transforms that come with the gateway, by name."""

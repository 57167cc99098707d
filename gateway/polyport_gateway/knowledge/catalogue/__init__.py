"""The catalogue: which bases there are, their documents, and the chunks that are searched; SQL, and the truth.

An index is derived from it. What an index has too many or too early is never seen, since every result is looked up
here, and only what is live is found: see `storage.schema.knowledge`.
"""

from .catalogue import Catalogue
from .documents import Failure
from .rows import (
    BaseCounts,
    BaseRow,
    ChangeRow,
    ChunkRow,
    DocumentBrief,
    DocumentPage,
    DocumentRow,
    Garbage,
    GenerationRow,
    NewChunk,
    NewDocument,
    Staged,
)

__all__ = [
    "BaseCounts",
    "BaseRow",
    "Catalogue",
    "ChangeRow",
    "ChunkRow",
    "DocumentBrief",
    "DocumentPage",
    "DocumentRow",
    "Failure",
    "Garbage",
    "GenerationRow",
    "NewChunk",
    "NewDocument",
    "Staged",
]

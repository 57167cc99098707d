"""What leads from one passage to another, found at ingestion without a model.

* `names`: proper names in a passage, and what Chinese quotes.
* `titles`: the names that a document's title goes by, and where they are mentioned.
* `references`: "see Table 3", "Appendix B", 见第三章, ``[12]``, hyperlinks.
* `index`: all of them as one table of clues, both ways.
"""

from .index import Clue, LinkIndex, LinkLimits, Passage

__all__ = ["Clue", "LinkIndex", "LinkLimits", "Passage"]

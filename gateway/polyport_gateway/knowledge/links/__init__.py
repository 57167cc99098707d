"""What leads from one passage to another, found at ingestion without a model.

* `names`: proper names in a passage, and what Chinese quotes.
* `titles`: the names that a document's title goes by, and where they are mentioned.
* `references`: "see Table 3", "Appendix B", 见第三章, ``[12]``, hyperlinks.
* `clues`: what they all come to, and what too many have to be one.
* `rows`: the clues of a passage by itself, one by one.
* `index`: all of them in memory, made as a whole.
* `store`: all of them in a database, added to and removed from; `settling` finds titles in its texts.
"""

from .clues import Clue, LinkLimits, Links, Passage, Surroundings
from .index import LinkIndex

__all__ = ["Clue", "LinkIndex", "LinkLimits", "Links", "Passage", "Surroundings"]

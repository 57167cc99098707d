"""Knowledge bases that are open: their settings, the indexes they share, and finding in one or many of them at once.

* `config`: what a base was registered as.
* `generation`: how one build of it is cut, embedded and indexed; another is built beside it, then switched to.
* `shelves`: the indexes. Bases of one kind share one: opening a hundred takes a hundred times as long as opening one.
* `models`: what is asked of embedders and rerankers, from the thread that searches.
* `finder`: a question to one shelf, about any number of its bases.
* `showing`: what was found, as callers see it.
"""

from .config import BaseConfig
from .finder import Finder, Found, Part
from .generation import EmbedderInfo, Generation
from .models import Models
from .shelves import Shelf, Shelves

__all__ = ["BaseConfig", "EmbedderInfo", "Finder", "Found", "Generation", "Models", "Part", "Shelf", "Shelves"]

"""`Catalogue`: all of it under one name."""

from __future__ import annotations

from .bases import Bases
from .changes import Changes
from .documents import Documents
from .passages import Passages
from .waste import Waste

__all__ = ["Catalogue"]


class Catalogue(Bases, Documents, Waste, Passages, Changes):
    """The relational catalogue of knowledge.

    Its methods block: call them from a worker thread, many in one go. They may be called from several at once.
    Every method raises `ServiceUnavailableError` when the database can't be used.

    Args:
        database: An open one.

    Example::

        catalogue = Catalogue(database)
        base = catalogue.create("handbook", {}, shelf="main")
        staged = catalogue.stage(base.id, base.generation, [(NewDocument(key="a.md", title="A", sha256=sha), chunks)])
        index.upsert(...)  # staged[0].chunks are the numbers of the chunks
        catalogue.publish(base.id, base.generation, staged)  # from here on they are seen
        while garbage := catalogue.garbage():
            for some in garbage:
                shelf(some.shelf).delete(some.chunks)
                catalogue.forget(some.chunks)
    """

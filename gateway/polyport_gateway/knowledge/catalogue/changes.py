"""The update log: lines are added, and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from polyport_gateway.storage.schema import knowledge_log, now_ms

from .records import Records, write_log
from .rows import ChangeRow

__all__ = ["Changes"]


class Changes(Records):
    """The update log of each base; what the catalogue itself does is in it already."""

    def log(
        self,
        base: int,
        action: str,
        *,
        document: str | None = None,
        source: str | None = None,
        job: str | None = None,
        by: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a line.

        Args:
            base: The base's number.
            action: ``rekeyed``, ``reindexed`` …
            document: The document's public id.
            source: Its key.
            job: The job that did it.
            by: The id of the key that asked for it.
            details: What else there is to say.
        """
        line = ChangeRow(0, base, now_ms(), action, document, source, job, by, details or {})
        self._write(lambda connection: write_log(connection, [line]))

    def changes(self, base: int, *, before: int | None = None, limit: int = 100) -> list[ChangeRow]:
        """Return the newest lines, the newest first; those of a deleted base are kept.

        Args:
            base: The base's number.
            before: Only those before the line of this number.
            limit: The most.
        """
        query = select(knowledge_log).where(knowledge_log.c.base == base)
        if before is not None:
            query = query.where(knowledge_log.c.id < before)
        query = query.order_by(knowledge_log.c.id.desc()).limit(limit)

        def work(connection: Connection) -> list[ChangeRow]:
            return [
                ChangeRow(
                    row.id, row.base, row.at, row.action, row.document, row.source, row.job, row.by, row.details or {}
                )
                for row in connection.execute(query)
            ]

        return self._read(work)

"""Stored answers of ``/v1/responses``, each seen by the key that made it and no other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, literal, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from polyport.errors import ConflictError
from polyport_gateway.storage.database import Database
from polyport_gateway.storage.retention import DAY_MS
from polyport_gateway.storage.schema import now_ms, responses

__all__ = ["ResponseStore", "StoredResponse"]

_LONGEST_HISTORY = 1000


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """One turn.

    Attributes:
        id: The response's id.
        owner: The id of the key that made it.
        created_at: Milliseconds since 1970, UTC.
        status: ``completed``, ``in_progress``, ``failed`` …
        model: The name that was called.
        body: The response object, as last sent.
        input_items: The items of this turn's input; those of earlier turns belong to theirs.
        previous_response_id: The turn before.
    """

    id: str
    owner: str
    created_at: int
    status: str
    model: str
    body: Mapping[str, Any]
    input_items: Sequence[Mapping[str, Any]]
    previous_response_id: str | None = None


class ResponseStore:
    """Keeps responses, for `retention_days` after each was made.

    Args:
        db: An open database.
        retention_days: None to keep them until they are deleted.
    """

    def __init__(self, db: Database, retention_days: int | None = None) -> None:
        self._db = db
        self._retention_days = retention_days

    async def put(self, response: StoredResponse) -> None:
        """Store a response, or what has become of one.

        Raises:
            ConflictError: The id is another owner's.
            ServiceUnavailableError: The database can't be written.
        """
        expires_at = None
        if self._retention_days is not None:
            expires_at = response.created_at + self._retention_days * DAY_MS
        values = {
            "id": response.id,
            "owner": response.owner,
            "created_at": response.created_at,
            "status": response.status,
            "previous_response_id": response.previous_response_id,
            "model": response.model,
            "expires_at": expires_at,
        }

        def store(connection: Connection) -> bool:
            # Encoded here, in the thread: a body may be megabytes.
            values["body"] = _encode(response.body)
            values["input_items"] = _encode(response.input_items)
            insert = postgresql.insert if self._db.dialect == "postgresql" else sqlite.insert
            upsert = insert(responses).values(values)
            changed = {name: upsert.excluded[name] for name in values if name not in ("id", "owner")}
            same_owner = responses.c.owner == upsert.excluded.owner
            upsert = upsert.on_conflict_do_update(index_elements=["id"], set_=changed, where=same_owner)
            return connection.execute(upsert.returning(responses.c.id)).one_or_none() is not None

        if not await self._db.run(store):
            raise ConflictError(f"a response with the id {response.id!r} exists already", param="id")

    async def get(self, id: str, owner: str) -> StoredResponse | None:  # noqa: A002
        """Return a response; None if it is missing, expired or another owner's."""
        if not _storable(id):
            return None
        query = select(responses).where(responses.c.id == id, responses.c.owner == owner, _alive())

        def load(connection: Connection) -> StoredResponse | None:
            row = connection.execute(query).one_or_none()
            return None if row is None else _stored(row)

        return await self._db.read(load)

    async def delete(self, id: str, owner: str) -> bool:  # noqa: A002
        """Delete a response; whether there was one to delete."""
        if not _storable(id):
            return False
        query = delete(responses).where(responses.c.id == id, responses.c.owner == owner, _alive())
        return await self._db.run(lambda connection: connection.execute(query).rowcount > 0)

    async def history(self, id: str, owner: str, limit: int = _LONGEST_HISTORY) -> list[StoredResponse]:  # noqa: A002
        """Return a response and the turns before it, oldest first.

        The chain ends where a turn is missing, expired or another owner's: then the first one returned still
        names a `previous_response_id`. It is empty if `id` itself is.

        Args:
            id: The newest turn.
            owner: The id of the key that asks.
            limit: The most turns returned; the newest ones.
        """
        if not _storable(id):
            return []
        return await self._db.read(lambda connection: _history(connection, id, owner, limit))


def _history(connection: Connection, newest: str, owner: str, limit: int) -> list[StoredResponse]:
    mine = (responses.c.owner == owner) & _alive()
    turn = (
        select(responses.c.id, responses.c.previous_response_id, literal(1).label("place"))
        .where(responses.c.id == newest, mine)
        .cte("turn", recursive=True)
    )
    # The limit also ends a chain that bites its own tail.
    turn = turn.union_all(
        select(responses.c.id, responses.c.previous_response_id, turn.c.place + 1).where(
            responses.c.id == turn.c.previous_response_id, mine, turn.c.place < limit
        )
    )
    found = connection.execute(select(turn.c.id).order_by(turn.c.place)).scalars()
    order = {id_: place for place, id_ in enumerate(dict.fromkeys(found))}
    rows = connection.execute(select(responses).where(responses.c.id.in_(order))).all()
    return [_stored(row) for row in sorted(rows, key=lambda row: order[row.id], reverse=True)]


def _storable(id_: str) -> bool:
    # PostgreSQL refuses a NUL even in what it is only asked to compare.
    return "\0" not in id_


def _alive() -> Any:
    return or_(responses.c.expires_at.is_(None), responses.c.expires_at > now_ms())


def _encode(value: Any) -> str:
    # Escaped to ASCII: PostgreSQL's text can't hold a lone surrogate, which a model's cut-off output may.
    return json.dumps(value, separators=(",", ":"))


def _stored(row: Row[tuple[object, ...]]) -> StoredResponse:
    return StoredResponse(
        id=row.id,
        owner=row.owner,
        created_at=row.created_at,
        status=row.status,
        model=row.model,
        body=json.loads(row.body),
        input_items=json.loads(row.input_items),
        previous_response_id=row.previous_response_id,
    )

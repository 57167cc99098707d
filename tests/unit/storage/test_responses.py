from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import update

from polyport.errors import ConflictError
from polyport_gateway.storage.database import Database
from polyport_gateway.storage.responses import ResponseStore, StoredResponse
from polyport_gateway.storage.retention import DAY_MS
from polyport_gateway.storage.schema import now_ms, responses

pytestmark = pytest.mark.anyio


def turn(name: str, previous: str | None = None, owner: str = "alice") -> StoredResponse:
    return StoredResponse(
        id=name,
        owner=owner,
        created_at=now_ms(),
        status="completed",
        model="qwen",
        body={"id": name, "text": "你好 \ud83d \x00"},
        input_items=[{"type": "message", "content": f"for {name}"}],
        previous_response_id=previous,
    )


async def test_comes_back_as_it_was_put(db: Database) -> None:
    store = ResponseStore(db)
    await store.put(turn("r1"))
    assert replace(turn("r1"), created_at=0) == replace(await store.get("r1", "alice"), created_at=0)  # type: ignore[type-var]


async def test_put_again_replaces_what_it_was(db: Database) -> None:
    store = ResponseStore(db)
    await store.put(replace(turn("r1"), status="in_progress"))
    await store.put(turn("r1"))
    stored = await store.get("r1", "alice")
    assert stored is not None
    assert stored.status == "completed"


async def test_others_see_change_and_delete_nothing(db: Database) -> None:
    store = ResponseStore(db)
    await store.put(turn("r1"))
    assert await store.get("r1", "bob") is None
    assert await store.history("r1", "bob") == []
    assert not await store.delete("r1", "bob")
    with pytest.raises(ConflictError):
        await store.put(turn("r1", owner="bob"))
    assert (await store.get("r1", "alice")).owner == "alice"  # type: ignore[union-attr]


async def test_history_is_the_chain_oldest_first(db: Database) -> None:
    store = ResponseStore(db)
    for name, previous in [("r3", "r2"), ("r1", None), ("r2", "r1"), ("other", "r1")]:
        await store.put(turn(name, previous))
    assert [t.id for t in await store.history("r3", "alice")] == ["r1", "r2", "r3"]
    assert [t.id for t in await store.history("r3", "alice", limit=2)] == ["r2", "r3"]
    assert await store.history("none", "alice") == []


async def test_history_ends_where_a_turn_is_missing_or_anothers(db: Database) -> None:
    store = ResponseStore(db)
    await store.put(turn("r1"))
    await store.put(turn("r2", "r1"))
    await store.put(turn("r3", "r2"))
    assert await store.delete("r1", "alice")
    assert not await store.delete("r1", "alice")
    history = await store.history("r3", "alice")
    assert [t.id for t in history] == ["r2", "r3"]
    assert history[0].previous_response_id == "r1"
    await store.put(turn("r1", owner="bob"))
    assert [t.id for t in await store.history("r3", "alice")] == ["r2", "r3"]


async def test_a_chain_that_bites_its_tail_ends(db: Database) -> None:
    store = ResponseStore(db)
    for name, previous in [("a", "c"), ("b", "a"), ("c", "b"), ("self", "self")]:
        await store.put(turn(name, previous))
    assert [t.id for t in await store.history("c", "alice")] == ["a", "b", "c"]
    assert [t.id for t in await store.history("self", "alice")] == ["self"]


async def test_expired_responses_are_gone(db: Database) -> None:
    store = ResponseStore(db, retention_days=30)
    await store.put(replace(turn("old"), created_at=now_ms() - 31 * DAY_MS))
    await store.put(turn("new", "old"))
    assert await store.get("old", "alice") is None
    assert [t.id for t in await store.history("new", "alice")] == ["new"]
    assert await db.read(lambda c: c.execute(responses.select()).all()) != []
    await db.run(lambda c: c.execute(update(responses).values(expires_at=None)))
    assert await store.get("old", "alice") is not None

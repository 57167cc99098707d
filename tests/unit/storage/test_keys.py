from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from polyport.errors import (
    AuthenticationError,
    BadRequestError,
    ConflictError,
    NotFoundError,
    ServiceUnavailableError,
)
from polyport_gateway.call import Caller
from polyport_gateway.storage.database import Database
from polyport_gateway.storage.keys import KeyStore
from polyport_gateway.storage.schema import api_keys

pytestmark = pytest.mark.anyio


@pytest.fixture
async def keys(db: Database) -> AsyncIterator[KeyStore]:
    store = KeyStore(db, refresh_s=0.05)
    await store.start()
    yield store
    await store.close()


async def eventually(check: Any, within_s: float = 3.0) -> None:
    deadline = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.02)


async def refused(keys: KeyStore, token: str) -> str:
    with pytest.raises(AuthenticationError) as caught:
        await keys.verify(token)
    assert caught.value.status == 401
    assert not token or token[-20:] not in caught.value.message
    return caught.value.message


async def test_a_key_is_shown_once_and_only_its_hash_is_kept(keys: KeyStore, db: Database, url: str) -> None:
    record, token = await keys.create("ci", ["add", "docs*"])
    assert re.fullmatch(r"pp_[a-z0-9]{12}_[A-Za-z0-9]{43}", token)
    assert await keys.verify(token) == Caller(record.id, "ci", frozenset({"add", "docs*"}))
    secret = token.rsplit("_", 1)[1]
    row = await db.read(lambda c: c.execute(api_keys.select()).one())
    assert row.secret_hash == hashlib.sha256(secret.encode()).hexdigest()
    for file in Path(url.removeprefix("sqlite:///")).parent.iterdir():
        assert secret.encode() not in file.read_bytes()


async def test_wrong_tokens_all_get_the_same_answer(keys: KeyStore) -> None:
    _, token = await keys.create("ci")
    prefix, key_id, secret = token.split("_")
    wrong_secret = ("b" if secret[0] == "a" else "a") + secret[1:]
    answers = {
        await refused(keys, wrong)
        for wrong in [
            "",
            "sk-proj-1234567890abcdefghijklmnop",
            "pp_x_y" + "z" * 20,
            token + "x",
            token + "\n",
            f"{prefix}_{'a' * 12}_{secret}",
            f"{prefix}_{key_id}_{wrong_secret}",
            "pp_\ud800" + "x" * 60,
        ]
    }
    assert len(answers) == 1
    assert "not valid" in answers.pop()


async def test_expired_and_revoked_keys_are_told_so_only_to_who_knows_the_secret(keys: KeyStore) -> None:
    soon = datetime.now(UTC) + timedelta(milliseconds=200)
    _, expiring = await keys.create("short", expires_at=soon)
    revoked, dead = await keys.create("dead")
    assert (await keys.verify(expiring)).name == "short"
    await keys.revoke(revoked.id)
    await asyncio.sleep(0.25)
    assert "expired" in await refused(keys, expiring)
    assert "revoked" in await refused(keys, dead)
    assert "not valid" in await refused(keys, dead[:-1] + ("a" if dead[-1] != "a" else "b"))


async def test_a_key_made_or_revoked_elsewhere(keys: KeyStore, db: Database) -> None:
    elsewhere = KeyStore(db)
    record, token = await elsewhere.create("theirs")
    assert (await keys.verify(token)).id == record.id  # at once, by a look-up
    await elsewhere.revoke("theirs")

    async def gone() -> bool:
        try:
            await keys.verify(token)
        except AuthenticationError:
            return True
        return False

    deadline = time.monotonic() + 2
    while not await gone():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    assert "revoked" in await refused(keys, token)


async def test_known_keys_cost_no_database_work(keys: KeyStore, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    _, token = await keys.create("hot")
    await keys.close()

    async def forbidden(*_: object) -> None:
        raise AssertionError("the hot path asked the database")

    monkeypatch.setattr(db, "read", forbidden)
    monkeypatch.setattr(db, "run", forbidden)
    for _ in range(100):
        assert (await keys.verify(token)).name == "hot"


async def test_guessed_ids_do_not_hammer_the_database(
    keys: KeyStore, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await keys.close()
    asked = 0
    real = db.read

    async def counting(work: Any) -> Any:
        nonlocal asked
        asked += 1
        return await real(work)

    monkeypatch.setattr(db, "read", counting)
    for i in range(500):
        await refused(keys, f"pp_{i:012d}_{'x' * 43}")
    assert 20 <= asked < 100


async def test_revoking_the_last_key_does_not_open_the_gateway(keys: KeyStore, db: Database) -> None:
    assert not keys.any_keys
    await keys.create("only")
    assert keys.any_keys
    await keys.revoke("only")
    assert keys.any_keys
    fresh = KeyStore(db)
    await fresh.start()
    assert fresh.any_keys
    await fresh.close()


async def test_a_key_made_during_a_reload_stays_known(
    keys: KeyStore, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await keys.close()
    real = db.read
    made: list[str] = []

    async def slow(work: Any) -> Any:
        rows = await real(work)
        if not made:
            made.append("")
            made[0] = (await keys.create("meanwhile"))[1]
        return rows

    monkeypatch.setattr(db, "read", slow)
    await keys._reload()
    assert keys.any_keys
    assert (await keys.verify(made[0])).name == "meanwhile"


async def test_while_the_database_is_gone_known_keys_work(
    keys: KeyStore, db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="polyport.keys")
    _, token = await keys.create("known")
    await db.run(lambda c: c.execute(text("ALTER TABLE api_keys RENAME TO hidden")))
    await eventually(lambda: keys._out_of_reach)
    assert (await keys.verify(token)).name == "known"
    with pytest.raises(ServiceUnavailableError):
        await keys.verify(f"pp_{'z' * 12}_{'x' * 43}")
    await db.run(lambda c: c.execute(text("ALTER TABLE hidden RENAME TO api_keys")))
    await eventually(lambda: not keys._out_of_reach)
    await refused(keys, f"pp_{'z' * 12}_{'x' * 43}")
    assert caplog.text.count("served from memory") == 1
    assert "read from the database again" in caplog.text


async def test_names_are_unique_among_live_keys(keys: KeyStore) -> None:
    first, _ = await keys.create("bob")
    with pytest.raises(ConflictError, match="'bob' exists already"):
        await keys.create("bob")
    await keys.revoke("bob")
    second, _ = await keys.create("bob")
    listed = await keys.list()
    assert [(key.id, key.state) for key in listed] == [(first.id, "revoked"), (second.id, "live")]


async def test_revoking(keys: KeyStore) -> None:
    record, _ = await keys.create("a")
    assert record.revoked_at is None
    revoked = await keys.revoke("a")
    assert revoked.id == record.id
    assert revoked.revoked_at is not None
    assert await keys.revoke(record.id) == revoked
    with pytest.raises(NotFoundError, match="'a'"):
        await keys.revoke("a")


async def test_an_id_goes_before_a_name_that_looks_like_it(keys: KeyStore) -> None:
    first, _ = await keys.create("a")
    await keys.create(first.id)
    assert (await keys.revoke(first.id)).name == "a"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": ""}, "1 to 64 printable"),
        ({"name": "x" * 65}, "1 to 64 printable"),
        ({"name": "a\x00b"}, "1 to 64 printable"),
        ({"name": "a", "allow": []}, "would allow nothing"),
        ({"name": "a", "allow": ["a*b"]}, r"'a\*b'"),
        ({"name": "a", "allow": [""]}, "names and prefixes"),
        ({"name": "a", "expires_at": datetime(2030, 1, 1)}, "time zone"),  # noqa: DTZ001
        ({"name": "a", "expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "in the future"),
    ],
)
async def test_what_can_not_be_used_is_named(keys: KeyStore, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequestError, match=words):
        await keys.create(**arguments)
    assert await keys.list() == []

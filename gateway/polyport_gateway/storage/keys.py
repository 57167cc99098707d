"""API keys: who may call, and which names.

A token reads ``pp_<public id>_<secret>``. The public id finds the key; of the secret only its SHA-256
is kept, so a token is shown once and never again.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import re
import secrets
import string
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, Row, func, or_, select
from sqlalchemy.exc import IntegrityError

from polyport.errors import (
    AuthenticationError,
    BadRequestError,
    CallError,
    ConflictError,
    NotFoundError,
    ServiceUnavailableError,
)
from polyport_gateway.call import Caller
from polyport_gateway.storage.database import Database
from polyport_gateway.storage.lookups import LookupGuard
from polyport_gateway.storage.schema import api_keys, now_ms

__all__ = ["KeyRecord", "KeyStore"]

_log = logging.getLogger("polyport.keys")

_ALPHABET = string.ascii_letters + string.digits
_ID_ALPHABET = string.ascii_lowercase + string.digits
_ID_LENGTH = 12
_SECRET_LENGTH = 43  # 43 · log2(62) = 256.03 bits
_TOKEN = re.compile(rf"pp_([a-z0-9]{{{_ID_LENGTH}}})_([A-Za-z0-9]{{{_SECRET_LENGTH}}})")
_DUMMY_HASH = hashlib.sha256(secrets.token_bytes(32)).hexdigest()
_LONGEST_NAME = 64
_REFRESH_S = 1.0
_RELOAD_EVERY = 30  # refreshes

_UNKNOWN = "The API key is not valid. Check that it was copied whole, and that it belongs to this gateway."
_REVOKED = "The API key was revoked. Ask the gateway's operator for a new one."
_EXPIRED = "The API key has expired. Ask the gateway's operator for a new one."


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key, without its secret.

    Attributes:
        id: The public part of its token.
        name: For people; unique among keys that aren't revoked.
        allow: Names it may use, ``prefix*`` among them; None for all.
        created_at: Milliseconds since 1970, UTC, like the others.
        expires_at: When it stops working by itself; None for never.
        revoked_at: When it was revoked; None while it isn't.
    """

    id: str
    name: str
    allow: tuple[str, ...] | None
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None

    @property
    def state(self) -> str:
        """``live``, ``expired`` or ``revoked``."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and now_ms() >= self.expires_at else "live"


@dataclass(frozen=True, slots=True)
class _Cached:
    record: KeyRecord
    secret_hash: str
    caller: Caller


class KeyStore:
    """Makes, revokes and checks keys.

    `verify` answers from memory. A task that `start` begins looks for changes every second, so that a
    key that another process revoked is refused within about a second; a key that another process made
    works at once, since an id that isn't in memory is looked up. While the database is out of reach the
    keys in memory go on working.

    Args:
        db: An open database.
        refresh_s: Seconds between looks for changes.
    """

    def __init__(self, db: Database, *, refresh_s: float = _REFRESH_S) -> None:
        self._db = db
        self._refresh_s = refresh_s
        self._keys: dict[str, _Cached] = {}
        self._seen: tuple[int, int] = (0, 0)
        self._since_reload = 0
        self._out_of_reach = False
        self._generation = 0
        self._guard = LookupGuard()
        self._task: asyncio.Task[None] | None = None

    @property
    def any_keys(self) -> bool:
        """Whether keys are asked for: there is one, or was. Revoking the last one doesn't open the gateway."""
        return bool(self._keys)

    async def start(self) -> None:
        """Load every key, and go on looking for changes.

        Raises:
            ServiceUnavailableError: The database can't be read.
        """
        await self._reload()
        self._task = asyncio.create_task(self._keep_fresh(), name="polyport-keys")

    async def close(self) -> None:
        """Stop looking for changes."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def verify(self, token: str) -> Caller:
        """Return who presents this token.

        Raises:
            AuthenticationError: It is malformed, unknown, expired or revoked.
            ServiceUnavailableError: It isn't in memory, and the database is out of reach.
        """
        found = _TOKEN.fullmatch(token)
        if found is None:
            raise AuthenticationError(_UNKNOWN)
        key_id, secret = found.groups()
        cached = self._keys.get(key_id)
        if cached is None:
            cached = await self._look_up(key_id)
        secret_hash = hashlib.sha256(secret.encode()).hexdigest()
        # Compared even when there is no such key, so that the time taken doesn't tell which ids exist.
        same = hmac.compare_digest(secret_hash, _DUMMY_HASH if cached is None else cached.secret_hash)
        if cached is None or not same:
            raise AuthenticationError(_UNKNOWN)
        record = cached.record
        if record.revoked_at is not None:
            raise AuthenticationError(_REVOKED)
        if record.expires_at is not None and now_ms() >= record.expires_at:
            raise AuthenticationError(_EXPIRED)
        return cached.caller

    async def _look_up(self, key_id: str) -> _Cached | None:
        if self._out_of_reach:
            raise ServiceUnavailableError(
                "The gateway can't check this API key at the moment; try again soon.", retry_after=self._refresh_s
            )
        if not self._guard.admit(key_id):
            return None
        rows = await self._db.read(lambda c: c.execute(select(api_keys).where(api_keys.c.id == key_id)).all())
        if not rows:
            self._guard.missed(key_id)
            return None
        return self._remember(_cached(rows[0]))

    def _remember(self, cached: _Cached) -> _Cached:
        self._keys[cached.record.id] = cached
        self._generation += 1
        return cached

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(self._refresh_s)
            try:
                await self._refresh()
            except CallError as error:
                if not self._out_of_reach:
                    self._out_of_reach = True
                    _log.error("API keys are served from memory: %s", self._db.explain(error))
            except Exception:  # noqa: BLE001 - the task must outlive whatever goes wrong once, or revoked keys would work for ever
                _log.exception("API keys could not be refreshed")
            else:
                if self._out_of_reach:
                    self._out_of_reach = False
                    _log.info("API keys are read from the database again")

    async def _refresh(self) -> None:
        # Keys are only ever added and revoked, so two counts tell whether anything happened. A full reload now
        # and then catches what people change by hand.
        self._since_reload += 1
        if self._since_reload < _RELOAD_EVERY and await self._db.read(_counts) == self._seen:
            return
        await self._reload()

    async def _reload(self) -> None:
        while True:
            generation = self._generation
            rows = await self._db.read(lambda c: c.execute(select(api_keys)).all())
            if generation == self._generation:  # else the rows may be older than a key made meanwhile
                break
        fresh = {cached.record.id: cached for cached in map(_cached, rows)}
        self._seen = (len(fresh), sum(cached.record.revoked_at is not None for cached in fresh.values()))
        self._since_reload = 0
        self._keys = fresh

    async def create(
        self,
        name: str,
        allow: Iterable[str] | None = None,
        expires_at: datetime | None = None,
    ) -> tuple[KeyRecord, str]:
        """Make a key.

        Args:
            name: For people; unique among keys that aren't revoked.
            allow: Names it may use, ``prefix*`` among them; None for all.
            expires_at: When it stops working by itself, with a time zone; None for never.

        Returns:
            The key, and its token, which can't be had again.

        Raises:
            BadRequestError: A name, a pattern or the time can't be used.
            ConflictError: Another key has that name.
        """
        record = KeyRecord(
            id="".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH)),
            name=_checked_name(name),
            allow=None if allow is None else _checked_patterns(allow),
            created_at=now_ms(),
            expires_at=None if expires_at is None else _checked_expiry(expires_at),
        )
        secret = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_LENGTH))
        secret_hash = hashlib.sha256(secret.encode()).hexdigest()
        insertion = api_keys.insert().values(
            id=record.id,
            name=record.name,
            secret_hash=secret_hash,
            allow=None if record.allow is None else list(record.allow),
            created_at=record.created_at,
            expires_at=record.expires_at,
        )

        try:
            await self._db.run(lambda connection: connection.execute(insertion))
        except IntegrityError as error:
            raise ConflictError(
                f"a key named {name!r} exists already; choose another name, or revoke that one first", param="name"
            ) from error
        self._remember(_Cached(record, secret_hash, _caller(record)))
        return record, f"pp_{record.id}_{secret}"

    async def list(self) -> list[KeyRecord]:
        """Return every key, revoked ones too, oldest first."""
        order = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
        rows = await self._db.read(lambda connection: connection.execute(order).all())
        return [_record(row) for row in rows]

    async def revoke(self, id_or_name: str) -> KeyRecord:
        """Revoke a key for good; one that is revoked already stays as it is.

        Raises:
            NotFoundError: No key has that id, and no live one that name.
        """

        def revoke(connection: Connection) -> _Cached:
            names_it = or_(
                api_keys.c.id == id_or_name, (api_keys.c.name == id_or_name) & api_keys.c.revoked_at.is_(None)
            )
            # A key's name may look like another's id: the id goes first.
            rows = connection.execute(select(api_keys).where(names_it)).all()
            row = min(rows, key=lambda row: row.id != id_or_name, default=None)
            if row is None:
                raise NotFoundError(
                    f"there is no key with the id or name {id_or_name!r}; `polyport keys list` shows all"
                )
            connection.execute(
                api_keys.update()
                .where(api_keys.c.id == row.id, api_keys.c.revoked_at.is_(None))
                .values(revoked_at=now_ms())
            )
            return _cached(connection.execute(select(api_keys).where(api_keys.c.id == row.id)).one())

        return self._remember(await self._db.run(revoke)).record


def _counts(connection: Connection) -> tuple[int, int]:
    counted = connection.execute(select(func.count(), func.count(api_keys.c.revoked_at)).select_from(api_keys)).one()
    return counted[0], counted[1]


def _record(row: Row[tuple[object, ...]]) -> KeyRecord:
    return KeyRecord(
        id=row.id,
        name=row.name,
        allow=None if row.allow is None else tuple(row.allow),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )


def _caller(record: KeyRecord) -> Caller:
    return Caller(id=record.id, name=record.name, allow=None if record.allow is None else frozenset(record.allow))


def _cached(row: Row[tuple[object, ...]]) -> _Cached:
    record = _record(row)
    return _Cached(record, row.secret_hash, _caller(record))


def _checked_name(name: str) -> str:
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise BadRequestError(
            f"a key's name has 1 to {_LONGEST_NAME} printable characters, got {name[:80]!r}", param="name"
        )
    return name


def _checked_patterns(allow: Iterable[str]) -> tuple[str, ...]:
    patterns = tuple(dict.fromkeys(allow))
    if not patterns:
        raise BadRequestError("an empty allow-list would allow nothing; leave it out to allow all", param="allow")
    for pattern in patterns:
        if not pattern.strip() or "*" in pattern[:-1] or not pattern.isprintable():
            raise BadRequestError(
                f"the allow-list takes names and prefixes that end in *, got {pattern!r}", param="allow"
            )
    return patterns


def _checked_expiry(expires_at: datetime) -> int:
    if expires_at.tzinfo is None:
        raise BadRequestError(f"a key's expiry needs a time zone, got {expires_at.isoformat()}", param="expires_at")
    if expires_at <= datetime.now(UTC):
        raise BadRequestError(f"a key's expiry lies in the future, got {expires_at.isoformat()}", param="expires_at")
    return int(expires_at.timestamp() * 1000)

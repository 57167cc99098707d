"""`Containers`: the sandbox's sessions as OpenAI's containers, with files that have ids."""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_bytes
from typing import TYPE_CHECKING, Literal
from weakref import WeakKeyDictionary, WeakSet

from polyport.errors import BadRequestError, NotFoundError, ServiceUnavailableError, UnsupportedOperationError
from polyport_gateway.call import Caller
from polyport_gateway.files.service import FileService
from polyport_gateway.sandboxes.service import SandboxService
from polyport_gateway.storage.files import StoredFile

if TYPE_CHECKING:
    from polyport_sandbox.session import Session
    from polyport_sandbox.types import FileInfo

__all__ = ["FOLDER", "SIZES", "ContainerFile", "ContainerSpec", "Containers"]

FOLDER = "/mnt/data"
"""Where a container's code finds its files, as OpenAI's models are used to."""

SIZES: Mapping[str, int] = {"1g": 1024, "4g": 4096, "16g": 16384, "64g": 65536}
"""OpenAI's memory limits in MiB."""

IDLE_S = 1200.0
_LIFETIME_S = 86_400.0
_CELL_S = 60.0
_MOST_GONE = 1000
_MOST_MINUTES = 1440
_LARGEST_BROUGHT = 64 << 20


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """What a container is to be.

    Attributes:
        name: Its name.
        memory: One of `SIZES`.
        allow_hosts: Domains that its code may reach; none for no network.
        minutes: How long it lives after it was last used.
        file_ids: Files of ``/v1/files`` that are put into it first.
    """

    name: str = "auto"
    memory: str = "1g"
    allow_hosts: tuple[str, ...] = ()
    minutes: int = int(IDLE_S / 60)
    file_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ContainerFile:
    """A file of a container.

    Attributes:
        id: ``cfile_…``; the same as long as the container has a file of this name.
        container_id: The container.
        name: Relative to `FOLDER`.
        size: Bytes.
        created_at: When it was last written, in seconds since the epoch.
        source: Who wrote it: ``user`` for an upload, ``assistant`` for the code.
    """

    id: str
    container_id: str
    name: str
    size: int
    created_at: int
    source: Literal["user", "assistant"]

    @property
    def path(self) -> str:
        """Where the code finds it, as far as text can say."""
        # A name may be any bytes, which no JSON holds.
        return f"{FOLDER}/{self.name}".encode("utf-8", "replace").decode("utf-8")

    @property
    def filename(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]


class Containers:
    """Each caller's sessions, whoever opened them, and what was left of those that have ended.

    Args:
        service: The sandbox.
        files: Where files of ``/v1/files`` are; None where there are none.
        rest_s: Seconds without use after which a container that a response made for itself makes room for another.
    """

    def __init__(self, service: SandboxService, files: FileService | None = None, *, rest_s: float = 60.0) -> None:
        self._service = service
        self._files = files
        self._rest_s = rest_s
        self._auto: WeakSet[Session] = WeakSet()
        # A session does not outlive the process, so neither need the ids of its files.
        self._key = token_bytes(32)
        self._seen: OrderedDict[str, Session] = OrderedDict()
        self._uploads: WeakKeyDictionary[Session, dict[str, tuple[int, float]]] = WeakKeyDictionary()

    async def check(self, caller: Caller, *, param: str | None = None) -> None:
        """Refuse whoever can't have a container now.

        Raises:
            UnsupportedOperationError: This gateway has no sandbox.
            NotFoundError: The caller may not run code.
            SandboxUnavailableError: The sandbox can't be opened; with what mends it.
        """
        self._service.require(param=param)
        self._service.check(caller)
        await self._service.box()

    def check_spec(self, spec: ContainerSpec, where: str = "") -> None:
        """Refuse what this gateway does not give.

        Args:
            spec: What is asked for.
            where: What stands before its members' names, such as ``tools.0.container.``.

        Raises:
            BadRequestError: It names the member, and what it may be.
        """
        if spec.minutes > _MOST_MINUTES:
            raise BadRequestError(
                f"{where}expires_after.minutes is {spec.minutes}; it may be at most {_MOST_MINUTES}.",
                param=f"{where}expires_after.minutes",
            )
        most = self._service.plan.max_limits.get("memory_mb", max(SIZES.values()))
        if SIZES[spec.memory] > most:
            fitting = [name for name, size in SIZES.items() if size <= most]
            may = f"it may be {' or '.join(fitting)}" if fitting else "a container needs at least 1g"
            raise BadRequestError(
                f"{where}memory_limit is {spec.memory}, and this gateway gives {most:g} MiB at most "
                f"(sandbox_max_memory_mb): {may}.",
                param=f"{where}memory_limit",
            )
        try:
            self._service.hosts(spec.allow_hosts)
        except BadRequestError as error:
            member = f"{where}network_policy.allowed_domains"
            raise BadRequestError(error.message.replace("allow_hosts", member), param=member) from error

    async def create(self, caller: Caller, spec: ContainerSpec) -> Session:
        """Open a container.

        Raises:
            BadRequestError: It can't be given as asked.
            NotFoundError: The caller has no such file.
            SandboxBusyError: There are too many.
            SandboxUnavailableError: Nothing can run.
        """
        self.check_spec(spec)
        brought = await self.brought(spec, caller)
        session = await self._open(caller, spec)
        try:
            await self.bring(session, brought)
        except BaseException:
            await session.aclose()
            raise
        self._note(session)
        return session

    async def brought(self, spec: ContainerSpec, caller: Caller, where: str = "") -> dict[str, StoredFile]:
        """Return the files that a container is to have, by the names that they will have there.

        Args:
            spec: What the container is to be.
            caller: Whose the files must be.
            where: What stands before the members' names, such as ``tools.0.container.``.

        Raises:
            UnsupportedOperationError: This gateway keeps no files.
            NotFoundError: The caller has no such file.
            BadRequestError: One is too large.
        """
        if not spec.file_ids:
            return {}
        found = await self._kept().find_all(spec.file_ids, caller, param=f"{where}file_ids")
        names: dict[str, StoredFile] = {}
        for file in found.values():
            if file.bytes > _LARGEST_BROUGHT:
                raise BadRequestError(
                    f"{file.id} has {file.bytes} bytes; a file that is put into a container may have "
                    f"{_LARGEST_BROUGHT}.",
                    param=f"{where}file_ids",
                )
            names[file.filename if file.filename not in names else f"{file.id}-{file.filename}"] = file
        return names

    async def bring(self, session: Session, files: Mapping[str, StoredFile]) -> None:
        """Put files into a container; those whose names are there already are left as they are."""
        if not files:
            return
        there = {info.name for info in await session.list()}
        for name, file in files.items():
            if name not in there:
                await self.add_file(session, name, await self._kept().read(file))

    async def bring_one(self, session: Session, file_id: str, caller: Caller) -> ContainerFile:
        """Put a file of ``/v1/files`` into a container.

        Raises:
            UnsupportedOperationError: This gateway keeps no files.
            NotFoundError: The caller has no such file.
            BadRequestError: It is too large.
        """
        brought = await self.brought(ContainerSpec(file_ids=(file_id,)), caller)
        ((name, file),) = brought.items()
        return await self.add_file(session, name, await self._kept().read(file))

    def _kept(self) -> FileService:
        if self._files is None:
            raise UnsupportedOperationError("This gateway keeps no files.", param="file_ids")
        return self._files

    async def create_auto(self, caller: Caller, spec: ContainerSpec) -> Session:
        """Open a container for a response's own use.

        A caller has only so many, and each conversation leaves one behind: where there are too many, the one of them
        that has rested longest makes room. Its conversation, if it goes on, gets a new one.

        Raises:
            BadRequestError: It can't be given as asked.
            SandboxBusyError: There are too many, and all are in use.
            SandboxUnavailableError: Nothing can run.
        """
        try:
            session = await self.create(caller, spec)
        except ServiceUnavailableError as error:
            if error.code != "sandbox_busy" or not await self._make_room(caller):
                raise
            session = await self.create(caller, spec)
        self._auto.add(session)
        return session

    async def _make_room(self, caller: Caller) -> bool:
        rested = time.time() - self._rest_s
        sessions = await self._service.sessions(caller)
        idle = [session for session in sessions if session in self._auto and session.last_active_at <= rested]
        if not idle:
            return False
        await min(idle, key=lambda session: session.last_active_at).aclose()
        return True

    async def _open(self, caller: Caller, spec: ContainerSpec) -> Session:
        wall_s = min(_CELL_S, self._service.plan.max_limits.get("wall_s", _CELL_S))
        return await self._service.open_session(
            caller,
            limits={"memory_mb": SIZES[spec.memory], "wall_s": wall_s},
            allow_hosts=spec.allow_hosts,
            idle_s=spec.minutes * 60.0,
            lifetime_s=_LIFETIME_S,
            name=spec.name,
        )

    async def find(self, container_id: str, caller: Caller) -> Session:
        """Return a container, one that has expired too.

        Raises:
            NotFoundError: The caller has none of that id.
        """
        for session in await self._service.sessions(caller):
            if session.id == container_id:
                self._note(session)
                return session
        gone = self._seen.get(container_id)
        if gone is not None and gone.caller == caller.id:
            return gone
        raise NotFoundError(
            f"Container with id {container_id[:80]!r} not found.", param="container_id", code="container_not_found"
        )

    async def running(self, container_id: str, caller: Caller) -> Session:
        """Return a container that can be used.

        Raises:
            NotFoundError: The caller has none of that id, or it has expired.
        """
        session = await self.find(container_id, caller)
        if session.closed:
            raise NotFoundError(
                f"Container {container_id!r} has expired, and its files are gone; create a new one.",
                param="container_id",
                code="container_expired",
            )
        return session

    async def of(self, caller: Caller) -> list[Session]:
        """Return the caller's containers, oldest first, those that have expired among them."""
        for session in await self._service.sessions(caller):
            self._note(session)
        mine = [session for session in self._seen.values() if session.caller == caller.id]
        return sorted(mine, key=lambda session: (session.created_at, session.id))

    async def delete(self, container_id: str, caller: Caller) -> None:
        """End a container and forget it.

        Raises:
            NotFoundError: The caller has none of that id.
        """
        session = await self.find(container_id, caller)
        self._seen.pop(container_id, None)
        await session.aclose()

    def matches(self, session: Session, spec: ContainerSpec) -> bool:
        """Whether a container is as one made to this measure would be."""
        same_hosts = set(session.allow_hosts) == set(spec.allow_hosts)
        return not session.closed and session.limits.memory_mb == SIZES[spec.memory] and same_hosts

    # Files.

    async def add_file(self, session: Session, name: str, data: bytes) -> ContainerFile:
        """Write a file that the user brings.

        Raises:
            InvalidRunError: Its name could leave the folder, or it is too large.
        """
        await session.upload({name: data})
        for info in await session.list():
            if info.name == name:
                self._uploads.setdefault(session, {})[name] = (info.size, info.modified)
                return self._file(session, info)
        raise NotFoundError(f"The file {name!r} was gone as soon as it was written.", code="file_not_found")

    async def files(self, session: Session) -> list[ContainerFile]:
        """Return a container's files, the oldest first."""
        found = [self._file(session, info) for info in await session.list() if not info.is_folder]
        return sorted(found, key=lambda file: (file.created_at, file.name))

    async def file(self, session: Session, file_id: str) -> ContainerFile:
        """Return one.

        Raises:
            NotFoundError: There is none of that id.
        """
        for info in await session.list():
            if not info.is_folder and hmac.compare_digest(self._file_id(session, info.name), _ascii(file_id)):
                return self._file(session, info)
        raise NotFoundError(
            f"File with id {file_id[:80]!r} not found in container {session.id!r}.",
            param="file_id",
            code="file_not_found",
        )

    def _file(self, session: Session, info: FileInfo) -> ContainerFile:
        uploaded = self._uploads.get(session, {}).get(info.name)
        return ContainerFile(
            id=self._file_id(session, info.name),
            container_id=session.id,
            name=info.name,
            size=info.size,
            created_at=int(info.modified),
            # What was uploaded and then written again by the code is the code's.
            source="user" if uploaded == (info.size, info.modified) else "assistant",
        )

    def _file_id(self, session: Session, name: str) -> str:
        text = f"{session.id}\0{name}".encode("utf-8", "surrogatepass")
        return f"cfile_{hmac.new(self._key, text, sha256).hexdigest()[:32]}"

    def _note(self, session: Session) -> None:
        self._seen.setdefault(session.id, session)
        if len(self._seen) <= _MOST_GONE:
            return
        gone = [identity for identity, session in self._seen.items() if session.closed]
        for identity in gone[: len(self._seen) - _MOST_GONE]:
            del self._seen[identity]


def _ascii(text: str) -> str:
    # compare_digest takes no other text.
    return text if text.isascii() else ""

"""E2B: each one-shot and each session in a sandbox of theirs, which is killed at the end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import AsyncGenerator, Mapping
from typing import Any, cast

from polyport_sandbox.errors import InvalidRunError, SandboxError, SessionClosedError
from polyport_sandbox.types import FileInfo, Language, RunEvent, RunRequest, SessionRequest

from .base import RemoteProvider, code_text, guarded, refuse
from .e2b_api import E2BApi, E2BBox
from .e2b_run import Cell
from .recorder import Recorder
from .service import Service, checked_url, read_key

__all__ = ["E2BProvider", "E2BSession"]

_log = logging.getLogger(__name__)

LANGUAGES = {
    "python": "main.py",
    "javascript": "main.js",
    "typescript": "main.ts",
    "bash": "main.sh",
    "r": "main.R",
    "java": "Main.java",
}
SPARE_S = 60.0
"""Seconds beyond a run's limit after which its sandbox ends by itself, should nobody be left to kill it."""
SESSION_SPARE_S = 5
"""Seconds beyond a session's lifetime after which its sandbox ends by itself, within what every plan allows."""
EVERY_PLAN_S = 3600
GIVE_WAY_S = 2.0
"""Seconds that an interrupted kernel gets to be ready again before it is started anew."""


class E2BProvider(RemoteProvider):
    """Run code in E2B's code interpreter, or in a service that speaks the same API.

    What differs from the local sandbox, for all that the service can't be told:

    - It knows no limits: `memory_mb`, `cpus` and `pids` are its template's. `wall_s` and those on output are kept from
      here, by ending the sandbox (in a session: interrupting the kernel) when they are reached.
    - Code runs as a notebook's cell. There is no standard input, and the exit code is made up: 0, 1 where an exception
      ended it, or what ``sys.exit`` said. Output is text, so bytes that are not UTF-8 are lost.
    - Without `allow_hosts` a sandbox is made with no way to the internet. Hosts can't be held to a port.
    - A string that is the last expression's value comes without its quotes: the service takes them off.
    - A kernel that dies says neither why nor how: the status is ``killed``, also where memory ran out.

    Args:
        api_key: E2B's key.
        api_key_env: The environment variable that has the key where `api_key` is None.
        domain: Where the service is.
        url: The address of its API; ``https://api.<domain>`` where None.
        sandbox_url: The address of a sandbox's ports, where it is not ``https://{port}-{sandbox_id}.<domain>``; these
            two words in it are filled in.
        template: What sandboxes are made of.
        folder: The working folder inside.
        timeout_s: Seconds for a connection, and for an answer of the API.
    """

    name = "E2B"

    def __init__(
        self,
        *,
        api_key: str | None = None,
        api_key_env: str = "E2B_API_KEY",
        domain: str = "e2b.app",
        url: str | None = None,
        sandbox_url: str | None = None,
        template: str = "code-interpreter-v1",
        folder: str = "/home/user",
        timeout_s: float = 30.0,
    ) -> None:
        super().__init__()
        self._key = (api_key, api_key_env)
        self._url = checked_url(url or f"https://api.{domain}", what="E2B's url")
        if sandbox_url is not None:
            checked_url(sandbox_url.replace("{port}", "1").replace("{sandbox_id}", "a"), what="E2B's sandbox_url")
            sandbox_url = sandbox_url.rstrip("/")
        self._where: dict[str, Any] = {"domain": domain, "sandbox_url": sandbox_url, "folder": folder.rstrip("/")}
        self._template = template
        self._timeout_s = timeout_s
        self._languages = {name: Language(name, filename, ("e2b", name)) for name, filename in LANGUAGES.items()}
        self._boxes: Service | None = None
        self._open: set[E2BSession] = set()

    @property
    def api(self) -> E2BApi:
        """The calls there are."""
        return E2BApi(self.service, cast(Service, self._boxes), **self._where)

    async def aclose(self) -> None:
        """Kill every sandbox of this provider and close the connections."""
        await asyncio.gather(*(session.aclose() for session in list(self._open)), return_exceptions=True)
        await super().aclose()
        boxes, self._boxes = self._boxes, None
        if boxes is not None:
            await boxes.aclose()

    async def open_session(self, request: SessionRequest, *, caller: str) -> E2BSession:
        """Make a sandbox and keep it."""
        refuse(request, network=True)
        box = await self._make(_service_lifetime(request.lifetime_s), request.allow_hosts)
        try:
            before = {info.name for info in await self.api.list(box)}
            session = E2BSession(self, box, before)
            await session.upload(request.files)
        except BaseException:
            await self.end(box)
            raise
        self._open.add(session)
        return session

    async def end(self, box: E2BBox) -> None:
        """Kill a sandbox; one that can't be killed ends by itself, at the time it was made with."""

        async def kill() -> None:
            try:
                await self.api.kill(box)
            except SandboxError as error:
                _log.warning("E2B sandbox %s was not killed and ends by itself: %s", box.id, type(error).__name__)

        await self.finish(kill())

    def forget(self, session: E2BSession) -> None:
        """Take a session that ended off the list."""
        self._open.discard(session)

    def _connect(self) -> Service:
        key = cast(str, read_key(*self._key, needed_by=self.name))
        hint = f"check the API key (api_key=…, or {self._key[1]}) and the account's credit"
        self._boxes = Service(self.name, self._url, headers={}, timeout_s=self._timeout_s, key_hint=hint)
        return Service(self.name, self._url, headers={"x-api-key": key}, timeout_s=self._timeout_s, key_hint=hint)

    async def _greet(self) -> None:
        await self.api.check()

    def _allows_network(self) -> bool:
        return True

    async def _make(self, lifetime_s: float, allow_hosts: tuple[str, ...]) -> E2BBox:
        for host in allow_hosts:
            if ":" in host:
                raise InvalidRunError(f"E2B can't hold {host!r} to a port; name the host alone", param="allow_hosts")
        making = asyncio.ensure_future(
            self.api.create(self._template, timeout_s=math.ceil(lifetime_s), allow_hosts=allow_hosts)
        )
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            self.later(self._unmake(making))  # it may be there already, and cost
            raise

    async def _unmake(self, making: asyncio.Future[E2BBox]) -> None:
        with contextlib.suppress(SandboxError):
            await self.end(await making)

    async def _run(self, request: RunRequest, recorder: Recorder) -> AsyncGenerator[RunEvent]:
        check_cell(request)
        box = await self._make(request.limits.wall_s + SPARE_S, request.allow_hosts)
        try:
            for name, content in request.files.items():
                await self.api.upload(box, name, content)
            before = {info.name: info for info in await self.api.list(box)}
            cell = Cell(request, recorder)
            async with contextlib.aclosing(cell.stream(self.api, box, context=None)) as events:
                async for event in events:
                    yield event
            if cell.finished:
                await self._keep_files(box, before, recorder)
            yield recorder.end(*cell.status(), detail=cell.detail)
        finally:
            await self.end(box)

    async def _keep_files(self, box: E2BBox, before: Mapping[str, FileInfo], recorder: Recorder) -> None:
        """Bring out what is new or changed, by size and time."""
        for info in await self.api.list(box):
            if info.is_folder or before.get(info.name) == info:
                continue
            problem = recorder.no_room(info.size)
            if problem is not None:
                recorder.skip(info.name, problem)
                continue
            try:
                recorder.file(info.name, await self.api.download(box, info.name, max_bytes=info.size))
            except SandboxError as error:  # it may be gone, or have grown, by a process left behind
                recorder.skip(info.name, str(error))


class E2BSession:
    """A sandbox of theirs, kept: a kernel for each context and language, and one working folder.

    Args:
        provider: Whose it is.
        box: The sandbox.
        before: What its template has in the working folder; it is not listed.
    """

    def __init__(self, provider: E2BProvider, box: E2BBox, before: set[str]) -> None:
        self._provider = provider
        self._box = box
        self._before = before
        self._contexts: dict[tuple[str, str], str] = {}
        self._closed = False

    async def stream(self, request: RunRequest) -> AsyncGenerator[RunEvent]:
        """Run one cell."""
        check_cell(request)
        recorder = Recorder(request.limits)
        async with contextlib.aclosing(guarded(self._run(request, recorder), recorder)) as events:
            async for event in events:
                yield event

    async def upload(self, files: Mapping[str, bytes]) -> None:
        """Write files by relative name."""
        async with self._here():
            for name, content in files.items():
                await self._api.upload(self._box, name, content)
                self._before.discard(name)

    async def download(self, name: str, *, max_bytes: int) -> bytes:
        """Read one regular file."""
        async with self._here():
            return await self._api.download(self._box, name, max_bytes=max_bytes)

    async def list(self, folder: str = "") -> list[FileInfo]:
        """What a folder holds, without what the template brought."""
        async with self._here():
            return [info for info in await self._api.list(self._box, folder) if info.name not in self._before]

    async def delete(self, name: str) -> None:
        """Delete a file or a folder."""
        async with self._here():
            await self._api.remove(self._box, name)

    async def restart(self, context: str | None = None) -> None:
        """Start kernels anew; files stay."""
        async with self._here():
            for (name, _), identity in list(self._contexts.items()):
                if context is None or name == context:
                    await self._api.restart_context(self._box, identity)

    async def aclose(self) -> None:
        """Kill the sandbox."""
        if not self._closed:
            self._closed = True
            self._provider.forget(self)
            await self._provider.end(self._box)

    @property
    def _api(self) -> E2BApi:
        return self._provider.api

    async def _run(self, request: RunRequest, recorder: Recorder) -> AsyncGenerator[RunEvent]:
        async with self._here():
            identity = await self._context(request)
            cell = Cell(request, recorder)
            try:
                async with contextlib.aclosing(cell.stream(self._api, self._box, context=identity)) as events:
                    async for event in events:
                        yield event
            finally:
                if not cell.finished:
                    await self._provider.finish(self._settle(identity, cell))
            yield recorder.end(*cell.status(), detail=cell.detail)

    async def _context(self, request: RunRequest) -> str:
        key = (request.context, request.language.name)
        if key not in self._contexts:
            self._contexts[key] = await self._api.create_context(self._box, request.language.name)
        return self._contexts[key]

    async def _settle(self, identity: str, cell: Cell) -> None:
        """See that an interrupted kernel is ready again, and start it anew where it is not."""
        began = time.monotonic()
        try:
            async with (
                asyncio.timeout(GIVE_WAY_S),
                self._api.execute(self._box, "", context=identity, language=None, max_line=1 << 16) as messages,
            ):
                async for _ in messages:
                    pass
        except (TimeoutError, SandboxError):
            with contextlib.suppress(SandboxError):  # where it fails, the next cell says so
                await self._api.restart_context(self._box, identity)
            cell.detail = (
                f"the kernel did not give way in {time.monotonic() - began:.1f} s and was started anew: "
                "its variables are gone, files are kept"
            )

    @contextlib.asynccontextmanager
    async def _here(self) -> AsyncGenerator[None]:
        """Tell a failure of a sandbox that is gone from any other."""
        if self._closed:
            raise SessionClosedError("this session is closed")
        try:
            yield
        except SessionClosedError:
            self._gone()
            raise
        except InvalidRunError:
            raise
        except SandboxError as error:
            if await self._lives():
                raise
            self._gone()
            raise SessionClosedError("the sandbox is gone: it was killed, or its lifetime ended") from error

    async def _lives(self) -> bool:
        try:
            return await self._api.alive(self._box)
        except SandboxError:
            return True  # as far as anybody knows

    def _gone(self) -> None:
        self._closed = True
        self._provider.forget(self)


def check_cell(request: RunRequest) -> None:
    """Refuse what a cell has not.

    Raises:
        InvalidRunError: For standard input, and code that is not text.
    """
    if request.stdin:
        raise InvalidRunError("E2B's code interpreter has no standard input; put it into a file", param="stdin")
    code_text(request)


def _service_lifetime(lifetime_s: float) -> int:
    """A little longer than the session's own, so that it is the session that says how it ended."""
    asked = math.ceil(lifetime_s)
    return max(asked, min(asked + SESSION_SPARE_S, EVERY_PLAN_S))

"""The local provider: hardened single-use containers of a Docker daemon."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from typing import Literal

from polyport_sandbox.base import ProviderSession
from polyport_sandbox.errors import InvalidRunError, SandboxError, SandboxUnavailableError
from polyport_sandbox.images.build import DEFAULT_IMAGE
from polyport_sandbox.types import LANGUAGES, Language, Limits, RunEvent, RunRequest, SessionRequest

from .admission import Admission
from .container import Container, NeverStartedError
from .doctor import Report, examine
from .engine import DEFAULT_SOCKET, Engine, EngineError
from .hardening import resource_settings
from .image_ids import ImageIds
from .orphans import owner, remove_orphans
from .pool import Pool
from .session import DockerSession

__all__ = ["DockerProvider"]

TRIES = 3
RETRY_S = 0.5


class DockerProvider:
    """Run code in containers of the Docker daemon on this machine.

    Args:
        image: The image of languages that name none; `polyport_sandbox.images.build.build` makes it. Its name is looked
            up when the provider opens: an image that takes the name later is used from the next opening on.
        socket: The daemon's Unix socket.
        gvisor: ``"auto"`` uses gVisor where Docker offers a ``runsc`` that keeps the limits, ``"require"`` refuses to
            run without it, ``"never"`` leaves it. Not the default: a start takes longer, its own threads count as the
            run's, so that a flood of processes ends the container and the run as ``sandbox_error``, and peak memory
            is not told. And gVisor lets code open the supervisor's pipes under ``/proc/1/fd``, which Linux refuses:
            it can break its own run with that, and in a session read what the session is sent later, but it can't
            make up a run's result: reports carry a number that was read from the pipe before any of the code ran.
        pool_size: Containers of `image` kept ready.
        max_running: Runs at once.
        max_waiting: Runs that may wait for their turn.
        max_waiting_per_caller: Of these, one caller's.
        limits: The limits that containers in the pool are made with: a run with the same ones starts soonest.
        max_limits: What a run may ask for at most.
        languages: More languages, or others in the place of the built-in ones.
        patience_s: Seconds for which a run waits while the daemon does not answer, as during its restart.
    """

    def __init__(
        self,
        *,
        image: str = DEFAULT_IMAGE,
        socket: str = DEFAULT_SOCKET,
        gvisor: Literal["auto", "require", "never"] = "never",
        pool_size: int = 2,
        max_running: int = 8,
        max_waiting: int = 256,
        max_waiting_per_caller: int = 64,
        limits: Limits | None = None,
        max_limits: Limits | None = None,
        languages: tuple[Language, ...] = (),
        patience_s: float = 15.0,
    ) -> None:
        self._image = image
        self._socket = socket
        self._gvisor = gvisor
        self._pool_size = pool_size
        self._limits = limits or Limits()
        self._max_limits = max_limits
        self._patience_s = patience_s
        self._languages = {**LANGUAGES, **{language.name: language for language in languages}}
        self._admission = Admission(max_running, waiting=max_waiting, waiting_per_caller=max_waiting_per_caller)
        self._engine: Engine | None = None
        self._images: ImageIds | None = None
        self._pools: dict[str, Pool] = {}
        self._in_use: dict[Container, Pool] = {}
        self._runtime: str | None = None
        self._doubtful: set[str] = set()
        self._sessions: set[DockerSession] = set()

    async def open(self) -> None:
        """Examine the daemon, clear what a crash left and start filling the pool."""
        report = await examine(socket=self._socket, image=self._image, gvisor=self._gvisor)
        report.raise_if_unfit()
        self._runtime = report.runtime
        engine = Engine(self._socket)
        images = ImageIds(engine)
        try:
            await images.identity(self._image)
            await remove_orphans(engine)
        except BaseException:
            await engine.aclose()
            raise
        self._engine, self._images = engine, images
        self._pool(self._image).fill()

    async def aclose(self) -> None:
        """Remove every container of this provider, with what runs in it."""
        for session in list(self._sessions):
            await session.aclose()
        for container in list(self._in_use):
            self._discard(container)
        await asyncio.gather(*(pool.aclose() for pool in self._pools.values()))
        self._pools.clear()  # it may be opened again
        if self._engine is not None:
            await self._clear_doubtful(self._engine)
            await self._engine.aclose()
            self._engine = None

    async def __aenter__(self) -> DockerProvider:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def doctor(self) -> Report:
        """Say what is missing, and what mends it."""
        return await examine(socket=self._socket, image=self._image, gvisor=self._gvisor)

    @property
    def ready(self) -> int:
        """How many containers of the default image stand ready."""
        return self._pools[self._image].ready if self._image in self._pools else 0

    def language(self, name: str) -> Language | None:
        """How a language is run."""
        return self._languages.get(name)

    def languages(self) -> list[str]:
        """The names of the languages there are."""
        return sorted(self._languages)

    async def stream(self, request: RunRequest, *, caller: str) -> AsyncGenerator[RunEvent]:
        """Run once in a container that nothing ran in before and nothing will run in after."""
        self._check_limits(request.limits)
        asked = time.monotonic()
        await self._admission.enter(caller)
        try:
            async with contextlib.aclosing(self._run(request, asked)) as events:
                async for event in events:
                    yield event
        finally:
            self._admission.leave()

    async def _run(self, request: RunRequest, asked: float) -> AsyncGenerator[RunEvent]:
        pool = self._pool(request.language.image or self._image)
        lost: NeverStartedError | None = None
        for _ in range(TRIES + pool.ready):  # all that stood ready may be lost at once, when the daemon restarts
            container = await self._take(pool, request.language.image or self._image, request.limits, asked)
            try:
                async with contextlib.aclosing(container.stream(request, time.monotonic() - asked)) as events:
                    async for event in events:
                        yield event
                return
            except NeverStartedError as error:
                lost = error
            finally:
                self._discard(container)
        raise SandboxError(f"The run was not started: {TRIES} containers were lost one after another: {lost}")

    async def open_session(self, request: SessionRequest, *, caller: str) -> ProviderSession:
        """Give a container of its own to one run after another.

        It waits its turn among the runs while it is opened, and takes no run's place afterwards.
        """
        self._check_limits(request.limits)
        asked = time.monotonic()
        await self._admission.enter(caller)
        try:
            return await self._opened(request, asked)
        finally:
            self._admission.leave()

    async def _opened(self, request: SessionRequest, asked: float) -> DockerSession:
        pool = self._pool(self._image)
        lost: NeverStartedError | None = None
        for _ in range(TRIES + pool.ready):
            container = await self._take(pool, self._image, request.limits, asked)
            try:
                nonce = await container.open_session(request)
            except NeverStartedError as error:
                self._discard(container)
                lost = error
                continue
            except BaseException:
                self._discard(container)
                raise
            return self._kept(container, nonce)
        raise SandboxError(f"The session was not opened: {TRIES} containers were lost one after another: {lost}")

    def _kept(self, container: Container, nonce: bytes) -> DockerSession:
        def ended() -> None:
            self._sessions.discard(session)
            self._discard(container)

        session = DockerSession(container, nonce, ended)
        self._sessions.add(session)
        return session

    async def _take(self, pool: Pool, image: str, limits: Limits, asked: float) -> Container:
        """Get a container, sitting out a restart of the daemon."""
        # gVisor can't change a running container's limits: a run with others than the pool's gets one made for it.
        made_for_it = self._runtime == "runsc" and resource_settings(limits) != resource_settings(self._limits)
        while True:
            try:
                container = await (self._make(image, limits) if made_for_it else pool.take())
                self._in_use[container] = pool
                return container
            except SandboxUnavailableError:
                if self._engine is None or time.monotonic() - asked > self._patience_s:
                    raise
            await asyncio.sleep(RETRY_S)

    def _discard(self, container: Container) -> None:
        """Remove a container that was taken, once."""
        pool = self._in_use.pop(container, None)
        if pool is not None:
            pool.discard(container)

    def _check_limits(self, limits: Limits) -> None:
        most = self._max_limits
        for name in vars(limits) if most is not None else ():
            asked, allowed = getattr(limits, name), getattr(most, name)
            if asked > allowed:
                raise InvalidRunError(f"limits.{name} is {asked}, and at most {allowed} may be asked for", param=name)

    def _pool(self, image: str) -> Pool:
        if image not in self._pools:
            if self._engine is None:
                raise SandboxUnavailableError("The sandbox is not open.", mend="async with Sandbox() as box: …")
            # Others than the default image are made as they are asked for.
            self._pools[image] = Pool(
                lambda: self._make(image, self._limits),
                size=self._pool_size if image == self._image else 0,
                on_left=self._doubtful.add,
            )
        return self._pools[image]

    async def _make(self, image: str, limits: Limits) -> Container:
        engine, images = self._engine, self._images
        if engine is None or images is None:
            raise SandboxUnavailableError("The sandbox is closed.", mend="open a new one")

        async def make() -> Container:
            return await Container.ready(
                engine,
                await images.identity(image),
                limits,
                owner=owner(),
                runtime=self._runtime,
                doubtful=self._doubtful,
                image_name=image,
            )

        try:
            container = await make()
        except EngineError as error:
            if error.status != 404:
                raise
            images.forget(image)  # it may have been removed
            container = await make()
        await self._clear_doubtful(engine)  # Docker answers again
        return container

    async def _clear_doubtful(self, engine: Engine) -> None:
        """Remove what could not be removed when its time came, as far as Docker answers now."""
        while self._doubtful:
            name = self._doubtful.pop()
            try:
                await engine.remove(name)
            except SandboxError:
                self._doubtful.add(name)
                return

    async def when_ready(self, count: int, *, within_s: float = 60.0) -> None:
        """Wait until `count` containers of the default image stand ready, `pool_size` at most.

        Raises:
            TimeoutError: If they don't in time.
        """
        async with asyncio.timeout(within_s):
            await self._pool(self._image).when_ready(min(count, self._pool_size))

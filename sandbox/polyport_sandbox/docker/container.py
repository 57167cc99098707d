"""One container: made ready ahead of time, given one job or one session, removed."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator
from typing import Any

from polyport_sandbox.errors import SandboxError, SandboxUnavailableError
from polyport_sandbox.types import EndEvent, Limits, RunEvent, RunRequest, RunResult, SessionRequest, Usage

from .channels import Channels
from .collector import Collector
from .engine import Engine, EngineError
from .hardening import container_settings, resource_settings
from .link import BROKEN, Answer, Exchange, Link
from .outlets import handler_for, openings_for
from .protocol import Openings, ProtocolError, encode_job, encode_session

__all__ = ["GRACE_S", "Container", "NeverStartedError"]

READY_WITHIN_S = 30.0
GRACE_S = 10.0  # for setting up, collecting files and reporting, beside the code's own time


class NeverStartedError(SandboxError):
    """The container was lost before the code began, so the same run may safely be given to another."""


class Container:
    """A hardened container whose supervisor waits for its job. Make one with `Container.ready`."""

    def __init__(self, engine: Engine, identity: str, limits: Limits, link: Link) -> None:
        self._engine = engine
        self._limits = limits
        self._removed = False
        self._channels: Channels | None = None
        self.link = link
        self.identity = identity

    @classmethod
    async def ready(
        cls,
        engine: Engine,
        image: str,
        limits: Limits,
        *,
        owner: str,
        runtime: str | None,
        doubtful: set[str],
        image_name: str = "",
    ) -> Container:
        """Create and start a container and wait until its supervisor, and the kernel beside it, stand ready.

        `doubtful` gets the name of one that may have been made and could not be removed, for Docker did not answer.
        """
        settings = container_settings(image, limits, owner=owner, runtime=runtime, image_name=image_name)
        name = f"polyport-sandbox-{secrets.token_hex(8)}"
        creating = asyncio.create_task(engine.create(settings, name=name))
        link: Link | None = None
        try:
            identity = await asyncio.shield(creating)
            link = Link(await engine.attach(identity))
            container = cls(engine, identity, limits, link)
            await engine.start(identity)
            async with asyncio.timeout(READY_WITHIN_S):
                await container._expect_ready()
        except BaseException:
            if link is not None:
                await link.aclose()
            # A create that nobody waits for any more happens all the same, and may do so after a removal: see it out.
            await asyncio.shield(_forget(engine, name, creating, doubtful))
            raise
        return container

    async def _expect_ready(self) -> None:
        why = "ended before it was ready"
        try:
            first = await self.link.first()
        except ProtocolError as error:
            first, why = None, f"did not speak as ours do ({error})"
        except BROKEN as error:
            first, why = None, f"was lost before it was ready ({error!r})"
        if first is None:
            raise SandboxUnavailableError(
                f"A sandbox container {why}: {self.link.said or 'it said nothing'}.",
                mend="python -m polyport_sandbox build",
            )

    async def stream(self, request: RunRequest, queued_s: float) -> AsyncGenerator[RunEvent]:
        """Do the one job.

        Raises:
            NeverStartedError: If the container was lost before the code began; nothing was yielded then.
        """
        nonce = secrets.token_bytes(16)
        collector = Collector(nonce, request.limits)
        try:
            await self._fit(request.limits)
            openings = self._lead_out(request, nonce)
            exchange = Exchange(self.link, collector)
            self.link.start()
            deadline = asyncio.get_running_loop().time() + request.limits.wall_s + GRACE_S
            await self.link.write(encode_job(request, nonce, openings), GRACE_S)
            while (event := await exchange.next(deadline)) is not None:
                yield event
            result = await self._concluded(collector, queued_s)
        except TimeoutError:
            # The supervisor should have ended it long before; whatever held it up ends with the container.
            if not collector.started:
                raise NeverStartedError("the container did not take the job in time") from None
            usage = Usage(wall_s=request.limits.wall_s, queued_s=queued_s)
            result = collector.partial("timeout", "the supervisor did not report in time", usage=usage)
        except ProtocolError as error:
            result = collector.partial("sandbox_error", f"the supervisor's report can't be trusted: {error}")
        except (*BROKEN, EngineError, SandboxUnavailableError) as error:
            if not collector.started:
                raise NeverStartedError(f"the container was lost before the run began: {error!r}") from error
            result = collector.partial("sandbox_error", f"the container was lost during the run: {error!r}")
        yield EndEvent(result)

    async def _concluded(self, collector: Collector, queued_s: float) -> RunResult:
        if self.link.error is not None:
            raise self.link.error
        if collector.done is not None:
            return collector.result(queued_s)
        return await self.ended_early(collector, queued_s)

    async def open_session(self, request: SessionRequest) -> bytes:
        """Begin a session; return its nonce.

        Raises:
            NeverStartedError: If the container was lost before that.
            SandboxError: If the files could not be put in place.
        """
        nonce = secrets.token_bytes(16)
        try:
            await self._fit(request.limits)
            openings = self._lead_out(request, nonce)
            answer = Answer(self.link, nonce)
            self.link.start()
            await self.link.write(encode_session(request, nonce, openings), GRACE_S)
            await answer.end("", GRACE_S)
        except ProtocolError as error:
            raise SandboxError(f"The session could not begin: {error}") from error
        except (TimeoutError, EOFError, *BROKEN, EngineError, SandboxUnavailableError) as error:
            raise NeverStartedError(f"the container was lost before the session began: {error!r}") from error
        return nonce

    def _lead_out(self, request: RunRequest | SessionRequest, nonce: bytes) -> Openings:
        """Serve what leads out of the container, and say what is to be offered inside it."""
        openings = openings_for(request)
        if openings.listen:
            self._channels = Channels(self.link, nonce, openings.listen, handler_for(request))
        return openings

    async def _fit(self, limits: Limits) -> None:
        """Change the container's own limits where this run's differ from those it was made with."""
        wanted = resource_settings(limits)
        if wanted != resource_settings(self._limits):
            await self._engine.update(self.identity, wanted)

    async def ended_early(self, collector: Collector, queued_s: float) -> RunResult:
        """Say what became of a run whose supervisor went away without its report."""
        usage = Usage(queued_s=queued_s)
        if self._removed:
            return collector.partial("killed", "the sandbox was closed", usage=usage)
        state = await self._final_state()
        if state.get("OOMKilled"):
            return collector.partial("out_of_memory", usage=usage)
        if not collector.started:
            raise NeverStartedError("the container ended before the run began")
        if state.get("ExitCode") == 137:
            return collector.partial("killed", "the container was killed from outside", usage=usage)
        detail = f"the supervisor ended with {state.get('ExitCode')}: {self.link.said}"
        return collector.partial("sandbox_error", detail)

    async def _final_state(self) -> dict[str, Any]:
        """The state Docker reports once it has noticed the end; streams close a little earlier than that."""
        state: dict[str, Any] = {}
        for _ in range(50):
            state = (await self._engine.inspect(self.identity))["State"]
            if not state.get("Running"):
                break
            await asyncio.sleep(0.02)
        return state

    async def remove(self) -> None:
        """Kill the container with all that runs in it, and remove it."""
        self._removed = True
        if self._channels is not None:
            await self._channels.aclose()
        await self.link.aclose()
        await self._engine.remove(self.identity)


async def _forget(engine: Engine, name: str, creating: asyncio.Task[str], doubtful: set[str]) -> None:
    await asyncio.wait({creating}, timeout=READY_WITHIN_S)
    if not creating.done():
        creating.cancel()
    elif not creating.cancelled():
        creating.exception()  # seen, where it was not raised already
    try:
        await engine.remove(name)  # by its name: its id may never have come
    except SandboxError:
        doubtful.add(name)

"""One single-use container: made ready ahead of time, given one job, removed."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import Any

import httpcore
import httpx

from .engine import Attachment, Engine, EngineError
from .errors import SandboxError, SandboxUnavailableError
from .hardening import container_settings, resource_settings
from .protocol import Collector, DockerStreams, FrameReader, ProtocolError, encode_job
from .types import Limits, RunRequest, RunResult, Usage

__all__ = ["Container", "NeverStartedError"]

READY_WITHIN_S = 30.0
GRACE_S = 10.0  # for setting up, collecting files and reporting, beside the code's own time
CHUNK = 1 << 16
_BROKEN = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError)


class NeverStartedError(SandboxError):
    """The container was lost before the code began, so the same run may safely be given to another."""


class Container:
    """A hardened container whose supervisor waits for its job. Make one with `Container.ready`."""

    def __init__(
        self, engine: Engine, identity: str, limits: Limits, streams: Attachment, response: httpx.Response
    ) -> None:
        self._engine = engine
        self._limits = limits
        self._connection = streams
        self._response = response
        self._streams = DockerStreams()
        self._frames = FrameReader()
        self.identity = identity

    @classmethod
    async def ready(cls, engine: Engine, image: str, limits: Limits, *, owner: str, runtime: str | None) -> Container:
        """Create and start a container and wait until its supervisor answers."""
        settings = container_settings(image, limits, owner=owner, runtime=runtime)
        name = f"polyport-sandbox-{secrets.token_hex(8)}"
        try:
            identity = await engine.create(settings, name=name)
            streams, response = await engine.attach(identity)
            container = cls(engine, identity, limits, streams, response)
            await engine.start(identity)
            async with asyncio.timeout(READY_WITHIN_S):
                await container._expect_ready()
        except BaseException:
            # By name: a create that was cancelled may still have happened.
            await asyncio.shield(_forget(engine, name))
            raise
        return container

    async def _expect_ready(self) -> None:
        while True:
            data = await self._connection.read(CHUNK)
            if not data:
                raise SandboxUnavailableError(
                    "A sandbox container ended before it was ready:"
                    f" {self._streams.stderr.decode(errors='replace') or 'it said nothing'}.",
                    mend="python -m polyport_sandbox build",
                )
            if next(self._frames.feed(self._streams.feed(data)), None) is not None:
                return

    async def run(self, request: RunRequest, queued_s: float) -> RunResult:
        """Do the one job.

        Raises:
            NeverStartedError: If the container was lost before the code began.
        """
        nonce = secrets.token_bytes(16)
        collector = Collector(nonce, request.limits)
        try:
            await self._fit(request.limits)
            async with asyncio.timeout(request.limits.wall_s + GRACE_S):
                await self._connection.write(encode_job(request, nonce), GRACE_S)
                await self._collect(collector)
            if collector.done is not None:
                return collector.result(queued_s)
            return await self._ended_early(collector, queued_s)
        except TimeoutError:
            # The supervisor should have ended it long before; whatever held it up ends with the container.
            if not collector.started:
                raise NeverStartedError("the container did not take the job in time") from None
            usage = Usage(wall_s=request.limits.wall_s, queued_s=queued_s)
            return collector.partial("timeout", "the supervisor did not report in time", usage=usage)
        except ProtocolError as error:
            return collector.partial("sandbox_error", f"the supervisor's report can't be trusted: {error}")
        except (*_BROKEN, EngineError, SandboxUnavailableError) as error:
            if not collector.started:
                raise NeverStartedError(f"the container was lost before the run began: {error!r}") from error
            return collector.partial("sandbox_error", f"the container was lost during the run: {error!r}")

    async def _fit(self, limits: Limits) -> None:
        """Change the container's own limits where this run's differ from those it was made with."""
        wanted = resource_settings(limits)
        if wanted != resource_settings(self._limits):
            await self._engine.update(self.identity, wanted)

    async def _collect(self, collector: Collector) -> None:
        while collector.done is None:
            data = await self._connection.read(CHUNK)
            if not data:
                return
            for frame in self._frames.feed(self._streams.feed(data)):
                collector.add(frame)

    async def _ended_early(self, collector: Collector, queued_s: float) -> RunResult:
        """Say what became of a run whose supervisor went away without its report."""
        state = await self._final_state()
        if state.get("OOMKilled"):
            return collector.partial("out_of_memory", usage=Usage(queued_s=queued_s))
        if not collector.started:
            raise NeverStartedError("the container ended before the run began")
        said = self._streams.stderr.decode(errors="replace").strip()
        if state.get("ExitCode") == 137:
            return collector.partial("killed", "the container was killed from outside", usage=Usage(queued_s=queued_s))
        return collector.partial("sandbox_error", f"the supervisor ended with {state.get('ExitCode')}: {said}")

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
        with contextlib.suppress(*_BROKEN, httpx.HTTPError):
            await self._response.aclose()
        await self._engine.remove(self.identity)


async def _forget(engine: Engine, name: str) -> None:
    with contextlib.suppress(SandboxError):
        await engine.remove(name)

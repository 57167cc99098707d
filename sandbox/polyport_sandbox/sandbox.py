"""The two doors: `Sandbox` for asyncio, `SyncSandbox` for everyone else."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Mapping
from typing import Any

from .base import Provider, load_provider
from .errors import InvalidRunError, SandboxError, SandboxUnavailableError
from .files import check_files
from .types import EndEvent, Limits, RunRequest, RunResult

__all__ = ["Sandbox", "SyncSandbox"]


class Sandbox:
    r"""Run untrusted code and get back what it wrote, and nothing else.

    Args:
        provider: A provider's name, or one of your own.
        **options: What the named provider takes; `DockerProvider` says what ``"docker"`` does.

    Example:
        ::

            async with Sandbox() as box:
                result = await box.run("print(6*7)", language="python", limits=Limits(wall_s=5))
                assert result.status == "ok" and result.stdout == b"42\n"
    """

    def __init__(self, provider: str | Provider = "docker", **options: Any) -> None:
        self.provider = load_provider(provider, **options) if isinstance(provider, str) else provider

    async def __aenter__(self) -> Sandbox:
        await self.provider.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.provider.aclose()

    async def run(
        self,
        code: str | bytes,
        *,
        language: str = "python",
        files: Mapping[str, bytes] | None = None,
        stdin: bytes = b"",
        limits: Limits | None = None,
        caller: str = "",
    ) -> RunResult:
        """Run `code` once, in a place of its own that is gone afterwards.

        Args:
            code: The program.
            language: What it is written in.
            files: Put into its working folder, by relative name. What it leaves there comes back in the result.
            stdin: What it can read from its standard input.
            limits: What it may use.
            caller: Whose run it is: callers take turns when runs have to wait.

        Raises:
            InvalidRunError: For an unknown language or bad files; nothing was started.
            SandboxBusyError: If too many runs wait already.
            SandboxUnavailableError: If nothing can run.
        """
        limits = limits or Limits()
        how = self.provider.language(language)
        if how is None:
            known = ", ".join(self.provider.languages())
            raise InvalidRunError(f"unknown language {language!r}; this sandbox runs {known}", param="language")
        try:
            text = code.encode() if isinstance(code, str) else code
        except UnicodeEncodeError as error:
            raise InvalidRunError(f"the code is not valid Unicode: {error}", param="code") from error
        files = dict(files or {})
        check_files(text, how, files, stdin, limits)
        async with contextlib.aclosing(
            self.provider.stream(RunRequest(text, how, files, stdin, limits), caller=caller)
        ) as events:
            async for event in events:
                if isinstance(event, EndEvent):
                    return event.result
        raise SandboxError("The provider's stream ended without an end.")


class SyncSandbox:
    """`Sandbox` for code without an event loop: the same arguments, results and errors. Safe to share by threads.

    Example:
        ::

            with SyncSandbox() as box:
                print(box.run("print(6*7)").stdout_text)
    """

    def __init__(self, provider: str | Provider = "docker", **options: Any) -> None:
        self._sandbox = Sandbox(provider, **options)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> SyncSandbox:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="polyport-sandbox", daemon=True)
        self._thread.start()
        try:
            self._wait(self._sandbox.__aenter__())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._wait(self._sandbox.__aexit__())
        finally:
            self._stop()

    def run(
        self,
        code: str | bytes,
        *,
        language: str = "python",
        files: Mapping[str, bytes] | None = None,
        stdin: bytes = b"",
        limits: Limits | None = None,
        caller: str = "",
    ) -> RunResult:
        """Run `code` once; see `Sandbox.run`."""
        run = self._sandbox.run(code, language=language, files=files, stdin=stdin, limits=limits, caller=caller)
        result: RunResult = self._wait(run)
        return result

    def _wait(self, coroutine: Any) -> Any:
        if self._loop is None:
            coroutine.close()
            raise SandboxUnavailableError("The sandbox is not open.", mend="with SyncSandbox() as box: …")
        future: concurrent.futures.Future[Any] = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # Ctrl-C while waiting: the run is killed too
            raise

    def _stop(self) -> None:
        loop, thread = self._loop, self._thread
        self._loop = self._thread = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

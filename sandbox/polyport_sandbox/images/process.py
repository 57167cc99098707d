"""Programs that the making of an image runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

from polyport_sandbox.errors import SandboxError

__all__ = ["find", "output_of", "run_command", "run_to_end"]

Value = TypeVar("Value")

_CHUNK = 1 << 20
_KEPT = 1500  # characters of a failed program's last words


def find(program: str) -> str | None:
    """Find a program, also where only root's path has it."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


async def run_command(*command: str, environment: Mapping[str, str] | None = None, check: bool = True) -> bytes:
    """Run a program and return what it wrote.

    Raises:
        SandboxError: If it fails, with its last words.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=None if environment is None else dict(environment),
        start_new_session=True,  # Ctrl-C is ours to pass on: to it and all that it started
    )
    try:
        said, _ = await process.communicate()
    except BaseException:
        await _end(process)
        raise
    if check and process.returncode != 0:
        tail = said.decode(errors="replace").strip()[-_KEPT:]
        raise SandboxError(f"{Path(command[0]).name} failed with {process.returncode}: {tail}")
    return said


async def output_of(*command: str) -> AsyncIterator[bytes]:
    """Run a program and yield what it writes, as it comes.

    Raises:
        SandboxError: If it fails.
    """
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None  # noqa: S101 - asked for above
    try:
        while part := await process.stdout.read(_CHUNK):
            yield part
        if await process.wait() != 0:
            raise SandboxError(f"{Path(command[0]).name} failed with {process.returncode}")
    finally:
        await _end(process)


def run_to_end(work: Coroutine[Any, Any, Value]) -> Value:
    """Run from a command: SIGTERM cancels it as Ctrl-C does, so that nothing half-made stays.

    Raises:
        SystemExit: After a SIGTERM.
    """

    async def run() -> Value:
        task = asyncio.ensure_future(work)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await task

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        raise SystemExit(128 + signal.SIGTERM) from None


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.shield(process.wait())

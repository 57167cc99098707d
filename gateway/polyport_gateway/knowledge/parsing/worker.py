"""The child process: reads one file after another, within limits, without network and without new programs.

Run as ``python -m polyport_gateway.knowledge.parsing.worker`` by the pool; it ends when its input does.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Mapping
from typing import Any, BinaryIO

from polyport_gateway.knowledge.documents import ParsingLimitError, UnreadableDocumentError
from polyport_gateway.knowledge.ocr import stop_reading_at
from polyport_gateway.knowledge.readers import ReadOptions, read, readers

from .frames import HEAD, answer, options_of, pack, written_error

__all__ = ["main"]

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_NEW_USER, _NEW_NET = 0x10000000, 0x40000000
_REFUSED = ("socket.connect", "socket.bind", "socket.getaddrinfo", "subprocess.Popen", "os.system", "os.exec",
            "os.posix_spawn", "os.fork", "os.forkpty", "os.kill", "os.killpg")  # fmt: skip
_WARM_UP = (
    (b"<p>a<table><tr><td>b</table>", "a.html"),
    (b"# a\n", "a.md"),
    (b"a,b\n1,2\n", "a.csv"),
    (b"caf\xe9 a", "a.txt"),
    (b"%PDF-1.4 ", "a.pdf"),  # it has no pages, and its reader is loaded to say so
)
_FILE_BYTES = 1 << 30


def main() -> None:
    """Serve until the input ends."""
    source, target = _pipes()
    _confine()
    readers()
    for data, name in _WARM_UP:
        # What is not installed is no reason not to start.
        with contextlib.suppress(Exception):
            read(data, name)
    target.write(pack({"ready": True}))
    target.flush()
    while head := source.read(HEAD.size):
        header_size, body_size = HEAD.unpack(head)
        header, body = json.loads(source.read(header_size)), source.read(body_size)
        target.write(_served(header, body))
        target.flush()


def _served(header: Mapping[str, Any], body: bytes) -> bytes:
    name, options = header["name"], options_of(header["options"])
    unlimited = resource.getrlimit(resource.RLIMIT_AS)
    _limit(header["cpu_s"], header["memory_mb"])
    stop_reading_at(time.monotonic() + header["wall_s"])
    try:
        return _read(body, name, options)
    except MemoryError:
        resource.setrlimit(resource.RLIMIT_AS, unlimited)
        return written_error(ParsingLimitError(name, f"reading it took more than {header['memory_mb']} MiB of memory."))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, unlimited)


def _read(body: bytes, name: str, options: ReadOptions) -> bytes:
    gc.disable()  # a million cells would be looked through again and again
    try:
        return answer(read(body, name, options))
    except UnreadableDocumentError as error:
        return written_error(error)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - the edge of this process; a missing extra says which line installs it
        return pack({"error": "failed", "reason": str(error), "page": None})
    finally:
        gc.enable()


def _pipes() -> tuple[BinaryIO, BinaryIO]:
    # What a library prints must not get between the frames, nor what it complains about into a log.
    source, target = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.close(null)
    return source, target


def _confine() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_BYTES, _FILE_BYTES))
    if sys.platform == "linux":
        library = ctypes.CDLL(None, use_errno=True)
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        # A namespace with no network; where the kernel grants none, the hook below still refuses.
        if library.unshare(_NEW_NET) != 0:
            library.unshare(_NEW_USER | _NEW_NET)
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _REFUSED:
        raise PermissionError(f"A reader may not do this: {event}")


def _limit(cpu_s: float, memory_mb: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + cpu_s) + 1, hard))
    resource.setrlimit(
        resource.RLIMIT_AS, (_address_space() + memory_mb * 1024 * 1024, resource.getrlimit(resource.RLIMIT_AS)[1])
    )


def _address_space() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - in the hot path
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 1 << 30


if __name__ == "__main__":
    main()

"""Floods: of processes, threads, memory, files, descriptors and messages."""

from __future__ import annotations

import threading
import time

from polyport_sandbox import Limits, RunResult

from .case import SYSCALL, Attack, Target, ended
from .host import Counted, counted, cpu_seconds

__all__ = ["FLOODS"]

BOMB = ":(){ :|:& };:; sleep 30"
HARMLESS_HERE = "unbounded: it would endanger the machine where nothing holds it"


def _full(result: RunResult) -> None:
    assert b"TRIED" in result.stdout, result
    assert b"full" in result.stdout, result
    assert b"BREACH" not in result.stdout, result.stdout_text[:200]


def _full_or_ended(result: RunResult) -> None:
    """Under gVisor the limit is the container's own: a flood ends it, or is told no."""
    assert b"BREACH" not in result.stdout, result.stdout_text[:200]
    assert b"full" in result.stdout or result.status != "ok", result


def _in_its_own_memory(result: RunResult) -> None:
    """gVisor keeps no count of files: they are memory of the container, which is limited."""
    assert b"TRIED" in result.stdout, result
    assert result.status in ("ok", "timeout", "out_of_memory"), result


def _ended_anyhow(result: RunResult) -> None:
    assert b"BREACH" not in result.stdout, result.stdout_text[:200]
    assert result.status != "ok", result


def _fork_bomb(target: Target) -> None:
    """The host stays bounded, the kernel refused the bomb its processes, and another run goes on beside it."""
    before = set(target.containers())
    seen: dict[str, Counted] = {}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            for container in target.containers():
                if (now := counted(container)) is not None:
                    most = max(now.now, seen[container].now if container in seen else 0)
                    seen[container] = Counted(most, now.most, now.refused)

    results: list[RunResult] = []
    watcher = threading.Thread(target=watch)
    bomb = threading.Thread(target=lambda: results.append(target.run(BOMB, language="bash", limits=Limits(wall_s=2))))
    watcher.start()
    bomb.start()
    try:
        time.sleep(0.5)
        began = time.monotonic()
        beside = target.run("print(6*7)")
        took = time.monotonic() - began
    finally:
        bomb.join(30)
        over.set()
        watcher.join(30)
    assert results, "the bomb's run never came back"
    assert beside.stdout == b"42\n", f"the run beside it: {beside}"
    assert took < 6, f"the run beside it took {took:.1f} s"
    if target.runtime == "runc":
        assert results[0].status in ("timeout", "error", "ok", "killed"), results[0]
    assert seen, "no container was seen"
    for container, found in seen.items():
        assert found.now <= found.most < 1024, f"{container[:12]}: {found}"
    assert max(found.refused for found in seen.values()) > 0, f"the limit was never met: {seen}"
    deadline = time.monotonic() + 10
    while any((now := counted(c)) is not None and now.now > 8 for c in set(seen) - before):
        if target.runtime == "runsc":
            break  # gVisor's own threads are counted too
        assert time.monotonic() < deadline, "processes of the bomb are left"
        time.sleep(0.1)


SPIN = (
    "import os, time\nbegan = time.monotonic()\nfor _ in range(3):\n    if os.fork() == 0: break\n"
    "while time.monotonic() - began < 4: pass"
)


def _spin(target: Target) -> None:
    """The host's own count is asked: a kernel in between, as gVisor's is, may count as it likes."""
    run = threading.Thread(target=lambda: target.run(SPIN))
    run.start()
    try:
        time.sleep(1.2)
        before = {container: cpu_seconds(container) for container in target.containers()}
        began = time.monotonic()
        time.sleep(1.8)
        took = time.monotonic() - began
        used = [
            now - then
            for container, then in before.items()
            if then is not None and (now := cpu_seconds(container)) is not None
        ]
    finally:
        run.join(30)
    assert used, "no container was seen"
    assert max(used) > 0.2, f"nothing spun: {used}"
    assert max(used) < 1.4 * took, f"BREACH: {max(used):.1f} s of processor time in {took:.1f} s"


FLOODS = [
    Attack(
        "fork bomb",
        "the kernel refuses it more than its share; another run beside it answers; nothing of it is left",
        play=_fork_bomb,
        at_most_s=60,
        own=HARMLESS_HERE,
    ),
    Attack(
        "fork flood",
        "fewer than 128 processes, then a refusal",
        "import os, time\nn = 0\nprint('TRIED', flush=True)\ntry:\n    while n < 128:\n        if os.fork() == 0:\n"
        "            time.sleep(20)\n            os._exit(0)\n        n += 1\n    print('BREACH', n)\nexcept OSError:\n    print('full', n)",
        _full,
        on_runsc=_full_or_ended,
    ),
    Attack(
        "thread flood",
        "fewer than 1,000 threads, then a refusal",
        "import threading, time, os\nn = 0\nprint('TRIED', flush=True)\ntry:\n    while n < 1000:\n"
        "        threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n        n += 1\n"
        "    print('BREACH')\nexcept RuntimeError:\n    print('full', n, flush=True)\nos._exit(0)",
        _full,
        on_runsc=_full_or_ended,
    ),
    Attack(
        "memory flood",
        "ended for memory before it has four times its 256 MiB",
        "x = []\nfor _ in range(128): x.append(bytearray(b'x') * (8 << 20))\nprint('BREACH')",
        ended("out_of_memory"),
    ),
    Attack(
        "memory flood by many processes",
        "together they get no more than one would",
        "import os, time\nchildren = []\nfor _ in range(30):\n    child = os.fork()\n    if child == 0:\n"
        "        x = bytearray(b'x') * (20 << 20)\n        time.sleep(2)\n        os._exit(0)\n    children.append(child)\n"
        "x = bytearray(b'x') * (100 << 20)\nif not any(os.waitpid(c, 0)[1] for c in children): print('BREACH')\n"
        "else: os._exit(1)",
        ended("out_of_memory", "error", "timeout"),
        on_runsc=_ended_anyhow,
    ),
    *[
        Attack(
            f"{'working folder' if where == '.' else where} flood",
            "a file system of its own, with a size",
            f"print('TRIED')\ntry:\n    with open('{where}/x', 'wb', 0) as out:\n        for _ in range(400):\n"
            "            out.write(bytes(1 << 20))\n    print('BREACH')\nexcept OSError as error:\n    print('full', error)\n"
            f"import os; os.remove('{where}/x')",
            _full,
        )
        for where in (".", "/tmp", "/dev/shm")
    ],
    Attack(
        "memfd flood",
        "counted as memory",
        "import os\nfd = os.memfd_create('x')\nos.posix_fallocate(fd, 0, 1)\n"
        "for _ in range(600): os.write(fd, bytes(1 << 20))\nprint('BREACH')",
        ended("out_of_memory", "error", "killed"),
    ),
    Attack(
        "inode flood",
        "fewer than 100,000 files; under gVisor, whose files are its own memory, within that",
        "import os\nprint('TRIED', flush=True)\nn = 0\ntry:\n    while n < 100_000:\n"
        "        os.close(os.open(f'/tmp/{n}', os.O_CREAT))\n        n += 1\n    print('BREACH')\n"
        "except OSError as error:\n    print('full', n, error)",
        _full,
        on_runsc=_in_its_own_memory,
    ),
    Attack(
        "descriptor flood",
        "fewer than 100,000 open files",
        "import os\nprint('TRIED', flush=True)\nn = 0\ntry:\n    while n < 100_000:\n        os.dup(1)\n        n += 1\n"
        "    print('BREACH')\nexcept OSError as error:\n    os.write(1, b'full')",
        _full,
    ),
    Attack(
        "message queues, by call and by file",
        "no queue can be made: what they hold would be the kernel's memory",
        SYSCALL + "attempt('mq_open', 240, ctypes.c_char_p(b'/q'), os.O_CREAT | os.O_RDWR, 0o600, 0)\n"
        "attempt('msgget', 68, 1, 0o1600)\n"
        "try:\n    os.close(os.open('/dev/mqueue/q', os.O_CREAT | os.O_RDWR))\n    print('BREACH file')\n"
        "except OSError as error: print(error)",
    ),
    Attack(
        "System V shared memory and semaphores",
        "none can be made",
        SYSCALL + "attempt('shmget', 29, 1, 1 << 20, 0o1600)\nattempt('semget', 64, 1, 1, 0o1600)",
    ),
    Attack(
        "sparse file bomb",
        "a file of a terabyte can't be made, and its size is not believed",
        "import os\nprint('TRIED')\ntry:\n    os.truncate(os.open('bomb', os.O_CREAT | os.O_RDWR), 1 << 40)\n    print('BREACH')\n"
        "except OSError as error: print(error)",
        lambda result: ended("ok", "error", "killed")(result),
    ),
    Attack(
        "processor spin",
        "one processor's worth of the host's time, however many processes spin",
        play=_spin,
        limits=Limits(wall_s=8),
    ),
]

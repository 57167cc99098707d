"""What outlives its run, what will not end, and attacks on the supervisor."""

from __future__ import annotations

import secrets
import time

from polyport_sandbox import Limits, RunResult

from .case import READ, SYSCALL, Attack, Target, ended, held, said
from .host import processes_with

__all__ = ["PROCESSES"]

OWN = "about our own supervisor"


def _daemons_end(target: Target) -> None:
    """The host is asked whether anything of it still runs once the run is over."""
    marker = f"marker{secrets.token_hex(8)}"
    code = (
        "import os, sys, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
        f"        os.execvp('python3', ['python3', '-c', 'import time; time.sleep(120)', '{marker}'])\n    os._exit(0)\n"
        "time.sleep(0.5)\nprint('over')"
    )
    began = time.monotonic()
    result = target.run(code)
    took = time.monotonic() - began
    assert result.status == "ok", result
    assert b"over" in result.stdout
    assert took < 8, f"the daemon held the run for {took:.1f} s"
    _gone(marker)


def _timed_out_ends(target: Target) -> None:
    marker = f"marker{secrets.token_hex(8)}"
    code = f"import os\nos.execvp('python3', ['python3', '-c', 'import time; time.sleep(120)', '{marker}'])"
    result = target.run(code, limits=Limits(wall_s=1))
    assert result.status == "timeout", result
    _gone(marker)


def _timed_out_ends_in_a_session(target: Target) -> None:
    """A cell's timeout ends what the cell started, though the session goes on."""
    marker = f"marker{secrets.token_hex(8)}"
    code = f"import subprocess\nsubprocess.run(['python3', '-c', 'import time; time.sleep(120)', '{marker}'])"
    with target.place() as place:
        result = place.run(code, wall_s=2)
        assert result.status == "timeout", result
        if target.runtime == "runc":
            _gone(marker)


def _gone(marker: str) -> None:
    deadline = time.monotonic() + 5
    while left := list(processes_with(marker)):
        assert time.monotonic() < deadline, f"BREACH: {len(left)} processes still run"
        time.sleep(0.05)


def _own_death(result: RunResult) -> None:
    """Under gVisor nothing keeps code from ending process 1: that ends the container, and is told as such."""
    assert b"BREACH" not in result.stdout, result
    assert result.status != "ok" or b"still here" in result.stdout, result


def _not_believed(result: RunResult) -> None:
    assert b"FORGED" not in result.stdout, "BREACH: a forged frame was believed"
    if b"BREACH fd" in result.stdout or result.status == "sandbox_error":
        assert result.status == "sandbox_error", result
    else:
        held(result)


MEMORY_OF = (
    "import os\nprint('TRIED')\ntry:\n    maps = open('/proc/{0}/maps').read().splitlines()\nexcept OSError: maps = []\n"
    "read = 0\ntry:\n    memory = os.open('/proc/{0}/mem', os.O_RDONLY)\nexcept OSError: memory = -1\n"
    "for line in maps if memory >= 0 else []:\n    low = int(line.split('-')[0], 16)\n"
    "    try: read += len(os.pread(memory, 4096, low))\n    except (OSError, OverflowError): pass\n"
    "if read: print('BREACH memory', read)\n"
)

PROCESSES = [
    Attack(
        "SIGTERM and all other signals ignored",
        "ended at its time",
        "import signal, time\nfor n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n    except (OSError, ValueError): pass\n"
        "end = time.monotonic() + 60\nwhile time.monotonic() < end: pass\nprint('BREACH')",
        ended("timeout"),
        limits=Limits(wall_s=1),
        at_most_s=15,
    ),
    Attack("a daemon forked twice", "it neither holds the run open nor outlives it", play=_daemons_end),
    Attack("outliving a timeout", "nothing of it runs on the host once the run is over", play=_timed_out_ends),
    Attack(
        "outliving a cell's timeout",
        "what the cell started is ended, though the session goes on",
        play=_timed_out_ends_in_a_session,
        needs=frozenset({"session"}),
    ),
    Attack(
        "zombies",
        "they are collected, or die with the run",
        "import os\nfor _ in range(200):\n    try:\n        if os.fork() == 0: os._exit(0)\n    except OSError: break\nprint('over')",
        said(b"over"),
    ),
    Attack("sleep", "ended at its time", "sleep 60", ended("timeout"), "bash", Limits(wall_s=1), 15),
    Attack("stopping itself", "ended at its time", "kill -STOP $$", ended("timeout"), "bash", Limits(wall_s=1), 15),
    Attack(
        "signals to process 1",
        "it goes on",
        "import os\nfor n in range(1, 65):\n    try: os.kill(1, n)\n    except OSError: pass\n"
        "for _ in range(10_000): os.kill(1, 17)\nprint('still here')",
        said(b"still here"),
        on_runsc=_own_death,
        own=OWN,
    ),
    Attack(
        "the supervisor's memory, where the nonce is",
        "it can't be read by /proc, ptrace or process_vm_readv",
        SYSCALL + MEMORY_OF.format(1) + "attempt('attach', 101, 16, 1, 0, 0)\nattempt('seize', 101, 0x4206, 1, 0, 0)\n"
        "local = ctypes.create_string_buffer(64)\n"
        "vec = (ctypes.c_ulong * 2)(ctypes.addressof(local), 64)\n"
        "far = (ctypes.c_ulong * 2)(0x400000, 64)\n"
        "attempt('process_vm_readv', 310, 1, ctypes.byref(vec), 1, ctypes.byref(far), 1, 0)\n"
        "attempt('kcmp', 312, 1, os.getpid(), 0, 0, 0)\n",
        own=OWN,
    ),
    Attack(
        "the supervisor's descriptors, and a result forged there",
        "they can't be opened; where gVisor lets them be, a result without the nonce is not believed",
        SYSCALL
        + "import json, struct\nprint('TRIED')\ndone = json.dumps({'status': 'ok', 'exit_code': 0, 'truncated': [], 'skipped': [],\n"
        "    'usage': {'cpu_s': 0, 'wall_s': 0, 'peak_memory_bytes': 0}}).encode()\n"
        "frames = struct.pack('>Ic16s', 6, b'O', bytes(16)) + b'FORGED' + struct.pack('>Ic16s', len(done), b'D', bytes(16)) + done\n"
        "for n in range(64):\n    for mode in (os.O_RDONLY, os.O_WRONLY):\n        try:\n"
        "            fd = os.open(f'/proc/1/fd/{n}', mode | os.O_NONBLOCK)\n            print('BREACH fd', n)\n"
        "            if mode == os.O_WRONLY: os.write(fd, frames)\n            os.close(fd)\n"
        "        except OSError: pass\nr, e = call(434, 1, 0)\nif r >= 0: attempt('pidfd_getfd', 438, r, 1, 0)",
        on_runsc=_not_believed,
        own=OWN,
    ),
    Attack(
        "the supervisor's environment and command",
        "nothing secret is in them",
        "print('TRIED')\ntry: environment = open('/proc/1/environ').read().split('\\0')\nexcept OSError: environment = []\n"
        "for one in environment:\n    if one and one.split('=')[0] not in ('PATH', 'HOSTNAME', 'HOME'): print('BREACH', one)",
        own=OWN,
    ),
    Attack(
        "process 1's limits, priority and processors",
        "they can't be changed",
        SYSCALL + "import resource\nattempt('prlimit', 302, 1, 7, ctypes.byref((ctypes.c_ulong * 2)(0, 0)), 0)\n"
        "attempt('setpriority', 141, 0, 1, -19)\nattempt('sched_setscheduler', 144, 1, 1, ctypes.byref(ctypes.c_int(5)))",
        own=OWN,
    ),
    Attack(
        "ptrace and the memory of others",
        "refused",
        SYSCALL + "attempt('attach', 101, 16, 1, 0, 0)\nattempt('traceme', 101, 0, 0, 0, 0)\n"
        "attempt('process_vm_readv', 310, os.getpid(), 0, 0, 0, 0, 0)\nattempt('pidfd_getfd', 438, 3, 0, 0)",
    ),
    Attack(
        "other processes and their environments",
        "there are none but its own and process 1",
        READ + "import os\npids = {int(p) for p in os.listdir('/proc') if p.isdigit()}\nprint('TRIED', pids)\n"
        "for pid in pids - {1, os.getpid()}:\n    look(f'/proc/{pid}/environ', f'/proc/{pid}/cmdline')\n"
        "for line in open('/proc/1/environ') if os.access('/proc/1/environ', os.R_OK) else []:\n"
        "    for word in ('SECRET', 'TOKEN', 'KEY=', 'PASSWORD'):\n        if word in line: print('BREACH', word)",
    ),
    Attack(
        "inherited descriptors",
        "stdin, stdout and stderr, and the three pipes by which a kernel tells what it displays; none of the supervisor's",
        "import os, stat\nprint('TRIED', flush=True)\nfound = set()\n"
        "for n in range(1 << 16):\n    try: found.add((n, stat.S_IFMT(os.fstat(n).st_mode)))\n    except OSError: pass\n"
        "pipes = {1100, 1101, 1102}\n"
        "for n, kind in found:\n    if n > 2 and not (n in pipes and kind == stat.S_IFIFO): print('BREACH', n, oct(kind))\n"
        "seen = {int(n) for n in os.listdir('/proc/self/fd')}\n"
        "if len(seen - {0, 1, 2} - pipes) > 1: print('BREACH', seen)\n"  # the one is the listing's own
        "import subprocess\nchild = subprocess.run(['python3', '-Sc', 'import os; print(*os.listdir(\"/proc/self/fd\"))'],\n"
        "    capture_output=True, text=True, close_fds=False).stdout.split()\n"
        "if len(child) > 4 or pipes & set(map(int, child)): print('BREACH in a child', child)",
        held,
    ),
]

"""The attacks: each a program, and what must hold after it.

A program prints ``TRIED`` once it got as far as its attack (so that one which merely failed to start proves nothing)
and ``BREACH`` if the attack succeeded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from polyport_sandbox import Limits, RunResult

MIB = 1 << 20

SYSCALL = """
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    return result, errno.errorcode.get(ctypes.get_errno(), "") if result < 0 else ""
def attempt(what, number, *arguments):
    result, error = call(number, *arguments)
    print("TRIED", what, error)
    if result >= 0:
        print("BREACH", what)
"""

READ = """
def look(*paths):
    for path in paths:
        print("TRIED", path)
        try:
            with open(path, "rb") as source:
                content = source.read(4096)
        except OSError:
            continue
        if content.strip(b"\\0 \\n"):
            print("BREACH", path, content[:80])
"""


def held(result: RunResult) -> None:
    """The attack was made and came to nothing."""
    assert b"TRIED" in result.stdout, result
    assert b"BREACH" not in result.stdout, result.stdout_text
    assert result.status in ("ok", "error"), result


def ended(*statuses: str) -> Callable[[RunResult], None]:
    """The run ended with one of these statuses, and without a breach."""

    def check(result: RunResult) -> None:
        assert result.status in statuses, result
        assert b"BREACH" not in result.stdout, result.stdout_text

    return check


def said(text: bytes, status: str = "ok") -> Callable[[RunResult], None]:
    """It printed this and ended so."""

    def check(result: RunResult) -> None:
        assert result.status == status, result
        assert text in result.stdout, result
        assert b"BREACH" not in result.stdout

    return check


@dataclass(frozen=True)
class Attack:
    name: str
    code: str
    holds: Callable[[RunResult], None] = held
    language: str = "python"
    limits: Limits = field(default_factory=lambda: Limits(wall_s=8))
    at_most_s: float = 20.0


def _output_of_a_gigabyte(result: RunResult) -> None:
    assert result.status == "output_limit"
    assert len(result.stdout) == MIB
    assert result.stdout_truncated
    assert not result.stderr_truncated


def _invalid_utf8(result: RunResult) -> None:
    assert result.status == "ok"
    assert result.stdout == bytes(range(256)) * 4
    assert result.stdout_text


def _flooded(result: RunResult) -> None:
    assert b"TRIED" in result.stdout, result
    assert b"full" in result.stdout, result
    assert b"BREACH" not in result.stdout


ATTACKS = [
    # floods
    Attack("fork bomb", ":(){ :|:& };:; sleep 30", ended("timeout", "error", "ok"), "bash", Limits(wall_s=2)),
    Attack(
        "fork flood in python",
        "import os, time\nn = 0\ntry:\n    while True:\n        if os.fork() == 0:\n            time.sleep(60)\n"
        "        n += 1\nexcept BlockingIOError:\n    print('TRIED full' if n < 64 else 'BREACH', n)",
        _flooded,
    ),
    Attack(
        "thread flood",
        "import threading, time\nn = 0\ntry:\n    while n < 500:\n"
        "        threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n        n += 1\n"
        "    print('BREACH')\nexcept RuntimeError:\n    print('TRIED full', n, flush=True)\nimport os\nos._exit(0)",
        _flooded,
    ),
    Attack("memory flood", "x = []\nwhile True: x.append(bytearray(b'x') * (8 << 20))", ended("out_of_memory")),
    Attack(
        "memory flood by many processes",
        "import os, time\nfor _ in range(30):\n    if os.fork() == 0:\n        x = bytearray(b'x') * (20 << 20)\n"
        "        time.sleep(60)\nx = bytearray(b'x') * (100 << 20)\ntime.sleep(60)",
        ended("out_of_memory", "timeout"),
        limits=Limits(wall_s=4),
    ),
    *[
        Attack(
            f"{where} flood",
            f"print('TRIED')\ntry:\n    with open('{where}/x', 'wb', 0) as out:\n        for _ in range(400):\n"
            "            out.write(bytes(1 << 20))\n    print('BREACH')\nexcept OSError as error:\n    print('full', error)",
            _flooded,
        )
        for where in ("/work", "/tmp", "/dev/shm")
    ],
    Attack(
        "memfd flood",
        "import os\nfd = os.memfd_create('x')\nos.posix_fallocate(fd, 0, 1)\n"
        "for _ in range(600): os.write(fd, bytes(1 << 20))\nprint('BREACH')",
        ended("out_of_memory", "error", "killed"),
    ),
    Attack(
        "inode flood",
        "import os\nprint('TRIED')\nn = 0\ntry:\n    while n < 100_000:\n        os.close(os.open(f'/tmp/{n}', os.O_CREAT))\n"
        "        n += 1\n    print('BREACH')\nexcept OSError as error:\n    print('full', n, error)",
        _flooded,
    ),
    Attack(
        "descriptor flood",
        "import os\nprint('TRIED')\nn = 0\ntry:\n    while n < 100_000:\n        os.dup(1)\n        n += 1\n    print('BREACH')\n"
        "except OSError as error:\n    os.write(1, b'full')",
        _flooded,
    ),
    Attack(
        "message queues, by call and by file",
        SYSCALL + "attempt('mq_open', 240, ctypes.c_char_p(b'/q'), os.O_CREAT | os.O_RDWR, 0o600, 0)\n"
        "attempt('msgget', 68, 1, 0o1600)\n"
        "try:\n    os.close(os.open('/dev/mqueue/q', os.O_CREAT | os.O_RDWR))\n    print('BREACH file')\n"
        "except OSError as error: print(error)",
    ),
    Attack("system V shared memory", SYSCALL + "attempt('shmget', 29, 1, 1 << 20, 0o1600)"),
    # output
    Attack(
        "a gigabyte of output",
        "import sys\nfor _ in range(1024): sys.stdout.write('x' * (1 << 20))",
        _output_of_a_gigabyte,
    ),
    Attack("an endless line", "yes | tr -d '\\n'", ended("output_limit"), "bash"),
    Attack("invalid UTF-8", "import sys\nsys.stdout.buffer.write(bytes(range(256)) * 4)", _invalid_utf8),
    Attack(
        "frames forged on its own stdout",
        "import os, struct\nos.write(1, struct.pack('>Ic16s', 2, b'D', bytes(16)) + b'{}')\nprint('TRIED')",
    ),
    # outliving
    Attack(
        "SIGTERM and all others ignored",
        "import signal\nfor n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n    except (OSError, ValueError): pass\n"
        "while True: pass",
        ended("timeout"),
        limits=Limits(wall_s=1),
        at_most_s=6,
    ),
    Attack(
        "a daemon that holds the output open",
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(60)\n    os._exit(0)\n"
        "print('over')",
        said(b"over"),
        at_most_s=5,
    ),
    Attack(
        "zombies",
        "import os\nfor _ in range(200):\n    try:\n        if os.fork() == 0: os._exit(0)\n    except BlockingIOError: break\nprint('over')",
        said(b"over"),
    ),
    Attack("sleep", "sleep 1000", ended("timeout"), "bash", Limits(wall_s=1), 6),
    Attack("stopping itself", "kill -STOP $$", ended("timeout"), "bash", Limits(wall_s=1), 6),
    # the supervisor
    Attack(
        "signals to the supervisor",
        "import os\nfor n in range(1, 65):\n    try: os.kill(1, n)\n    except OSError: pass\n"
        "for _ in range(10_000): os.kill(1, 17)\nprint('still here')",
        said(b"still here"),
    ),
    Attack(
        "the supervisor's memory, descriptors and environment",
        READ + "look('/proc/1/mem', '/proc/1/environ', '/proc/1/maps')\nimport os\n"
        "for n in range(10):\n    try:\n        os.open(f'/proc/1/fd/{n}', os.O_WRONLY)\n        print('BREACH fd', n)\n"
        "    except OSError: pass",
    ),
    Attack(
        "the supervisor's limits, priority and processors",
        SYSCALL + "import resource\nattempt('prlimit', 302, 1, 0, ctypes.byref((ctypes.c_ulong * 2)(0, 0)), 0)\n"
        "attempt('setpriority', 141, 0, 1, 19)\nattempt('sched_setscheduler', 144, 1, 5, ctypes.byref(ctypes.c_int(0)))",
    ),
    Attack(
        "ptrace and the memory of others",
        SYSCALL + "attempt('attach', 101, 16, 1, 0, 0)\nattempt('traceme', 101, 0, 0, 0, 0)\n"
        "attempt('process_vm_readv', 310, os.getpid(), 0, 0, 0, 0, 0)\nattempt('pidfd_getfd', 438, 3, 0, 0)",
    ),
    # the kernel
    Attack(
        "user and other namespaces",
        SYSCALL + "attempt('unshare', 272, 0x10000000)\nattempt('unshare net', 272, 0x40000000)\n"
        "r, e = call(56, 0x10000000 | 17, 0, 0, 0, 0)\nif r == 0: os._exit(0)\nprint('TRIED clone', e)\nif r > 0: print('BREACH')\n"
        "r, e = call(435, ctypes.byref((ctypes.c_ulong * 8)(0x10000000)), 64)\nif r == 0: os._exit(0)\nif r > 0: print('BREACH clone3')",
    ),
    Attack("io_uring", SYSCALL + "attempt('io_uring_setup', 425, 1, ctypes.byref((ctypes.c_char * 120)()))"),
    Attack(
        "keyrings",
        SYSCALL + "attempt('add_key', 248, b'user', b'x', b'y', 1, -3)\nattempt('keyctl', 250, 0, -3, 1)",
    ),
    Attack(
        "bpf, perf, userfaultfd, open_by_handle_at",
        SYSCALL + "b = ctypes.byref((ctypes.c_char * 128)())\nattempt('bpf', 321, 0, b, 128)\n"
        "attempt('perf', 298, b, 0, -1, -1, 0)\nattempt('userfaultfd', 323, 0)\nattempt('handle', 304, -100, b, 0)",
    ),
    Attack(
        "mount, chroot, pivot_root, setns",
        SYSCALL + "attempt('mount', 165, b'none', b'/work', b'tmpfs', 0, 0)\nattempt('chroot', 161, b'/work')\n"
        "attempt('pivot_root', 155, b'/work', b'/work')\nattempt('fsopen', 430, b'tmpfs', 0)\nattempt('setns', 308, 0, 0)",
    ),
    Attack(
        "another architecture's system calls",
        "import ctypes, mmap\nprint('TRIED', flush=True)\n"
        "code = bytes([0xB8, 20, 0, 0, 0, 0xCD, 0x80, 0xC3])  # getpid by int 0x80\n"
        "page = mmap.mmap(-1, 4096, prot=7)\npage.write(code)\n"
        "address = ctypes.addressof(ctypes.c_char.from_buffer(page))\n"
        "if ctypes.CFUNCTYPE(ctypes.c_int)(address)() > 0: print('BREACH')",
        ended("killed", "ok"),
    ),
    Attack(
        "raw, packet, netlink and vsock sockets",
        "import socket\nfor family, kind in ((2, 3), (17, 3), (16, 3), (40, 1), (38, 5)):\n    print('TRIED', family)\n"
        "    try:\n        socket.socket(family, kind)\n        print('BREACH', family)\n    except OSError: pass",
    ),
    # becoming someone
    Attack(
        "becoming root",
        "import os\nprint('TRIED', os.getuid())\nif os.getuid() == 0: print('BREACH')\n"
        "for change in (os.setuid, os.setgid, os.seteuid):\n    try:\n        change(0)\n        print('BREACH')\n"
        "    except OSError: pass\n"
        "status = open('/proc/self/status').read()\n"
        "for line in ('CapEff:\\t0000000000000000', 'CapBnd:\\t0000000000000000', 'NoNewPrivs:\\t1', 'Seccomp:\\t2'):\n"
        "    if line not in status: print('BREACH', line)",
    ),
    Attack(
        "set-user-id programs",
        "find / -xdev -perm /6000 -type f 2>/dev/null | sed 's/^/BREACH /'\n"
        "cp /bin/bash /work/b; chmod 4755 /work/b; /work/b -p -c 'test $(id -u) = 0 && echo BREACH'; echo TRIED",
        language="bash",
    ),
    # what can be read and written
    Attack(
        "secrets of the kernel and the machine",
        READ
        + "look('/proc/kcore', '/proc/kallsyms', '/proc/keys', '/proc/sched_debug', '/proc/timer_list', '/proc/config.gz',\n"
        "     '/proc/slabinfo', '/proc/modules', '/sys/kernel/notes', '/etc/shadow', '/dev/mem', '/dev/kmsg')",
    ),
    Attack(
        "writing to the root, /proc and /sys",
        "for p in /x /etc/x /usr/x /dev/x /run/x /var/x /proc/sys/kernel/core_pattern /proc/sysrq-trigger"
        " /sys/fs/cgroup/x /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/release_agent; do\n"
        "  echo TRIED; (echo x > $p) 2>/dev/null && echo BREACH $p; done; true",
        language="bash",
    ),
    Attack(
        "making cgroups, for their release_agent",
        "for d in /sys/fs/cgroup /sys/fs/cgroup/*; do echo TRIED; mkdir $d/x 2>/dev/null && echo BREACH $d; done; true",
        language="bash",
    ),
    Attack(
        "docker.sock and other sockets of the host",
        "find / -xdev -type s 2>/dev/null | sed 's/^/BREACH /'; test -e /var/run/docker.sock && echo BREACH; echo TRIED",
        language="bash",
    ),
    Attack(
        "block devices",
        "mknod /work/sda b 8 0 2>/dev/null && echo BREACH; find /dev -type b | sed 's/^/BREACH /'; echo TRIED",
        language="bash",
    ),
    Attack(
        "environment",
        "import os\nprint('TRIED')\nwelcome = {'PATH', 'HOME', 'TMPDIR', 'LANG', 'PYTHONDONTWRITEBYTECODE', 'LC_CTYPE'}\n"
        "if set(os.environ) - welcome: print('BREACH', set(os.environ) - welcome)",
    ),
    Attack(
        "inherited descriptors",
        "import os\nprint('TRIED', flush=True)\nfor n in range(3, 1024):\n    try:\n        os.fstat(n)\n        print('BREACH', n)\n"
        "    except OSError: pass",
    ),
    Attack(
        "a network",
        "import os\nprint('TRIED', flush=True)\n"
        "names = [l.split(':')[0].strip() for l in open('/proc/net/dev').readlines()[2:]]\n"
        "if names != ['lo']: print('BREACH', names)\n"
        "if len(open('/proc/net/route').readlines()) > 1: print('BREACH route')",
    ),
    Attack(
        "abstract sockets of the host",
        "import os\nprint('TRIED')\nif len(open('/proc/net/unix').readlines()) > 1: print('BREACH')",
    ),
    Attack(
        "other processes",
        "import os\npids = {int(p) for p in os.listdir('/proc') if p.isdigit()}\nprint('TRIED', pids)\n"
        "if pids - {1, os.getpid()}: print('BREACH')",
    ),
]

"""System calls and rights that a run has no use for."""

from __future__ import annotations

from polyport_sandbox import RunResult

from .case import SYSCALL, Attack, ended

__all__ = ["KERNEL"]

# gVisor of 2022 has no such line in /proc/self/status, so the kernel is asked itself.
RIGHTS = """
import ctypes, os
print('TRIED', os.getuid())
if os.getuid() == 0: print('BREACH root')
for change in (os.setuid, os.setgid, os.seteuid):
    try:
        change(0)
        print('BREACH', change.__name__)
    except OSError: pass
status = open('/proc/self/status').read()
for line in ('CapEff:\\t0000000000000000', 'CapBnd:\\t0000000000000000', 'CapInh:\\t0000000000000000'):
    if line not in status: print('BREACH', line)
libc = ctypes.CDLL(None)
if libc.prctl(39, 0, 0, 0, 0) != 1: print('BREACH new privileges')
if libc.prctl(21, 0, 0, 0, 0) != 2: print('BREACH no filter')
"""


def _rights_under_gvisor(result: RunResult) -> None:
    """Its kernel answers PR_GET_SECCOMP as it likes; that the filter holds is shown by every refused call."""
    assert b"TRIED" in result.stdout, result
    assert b"BREACH" not in result.stdout.replace(b"BREACH no filter", b""), result.stdout_text


KERNEL = [
    Attack(
        "user and other namespaces",
        "none can be made",
        SYSCALL + "attempt('unshare', 272, 0x10000000)\nattempt('unshare net', 272, 0x40000000)\n"
        "r, e = call(56, 0x10000000 | 17, 0, 0, 0, 0)\nif r == 0: os._exit(0)\nprint('TRIED clone', e)\nif r > 0: print('BREACH')\n"
        "r, e = call(435, ctypes.byref((ctypes.c_ulong * 8)(0x10000000)), 64)\nif r == 0: os._exit(0)\nif r > 0: print('BREACH clone3')",
    ),
    Attack(
        "io_uring",
        "refused",
        SYSCALL + "attempt('io_uring_setup', 425, 1, ctypes.byref((ctypes.c_char * 120)()))",
    ),
    Attack(
        "keyrings",
        "refused",
        SYSCALL + "attempt('add_key', 248, b'user', b'x', b'y', 1, -3)\nattempt('keyctl', 250, 0, -3, 1)\n"
        "attempt('request_key', 249, b'user', b'x', 0, 0)",
    ),
    Attack(
        "bpf",
        "refused",
        SYSCALL + "b = ctypes.create_string_buffer(128)\nctypes.c_uint.from_buffer(b, 0).value = 2\n"
        "for at, value in ((4, 4), (8, 4), (12, 1)): ctypes.c_uint.from_buffer(b, at).value = value\n"
        "attempt('bpf map', 321, 0, ctypes.byref(b), 128)\nattempt('bpf program', 321, 5, ctypes.byref(b), 128)",
    ),
    Attack(
        "perf, userfaultfd, open_by_handle_at, kexec, modules",
        "refused",
        SYSCALL + "b = ctypes.byref((ctypes.c_char * 128)())\nattempt('perf', 298, b, 0, -1, -1, 0)\n"
        "attempt('userfaultfd', 323, 0)\nattempt('handle', 304, -100, b, 0)\nattempt('kexec', 246, 0, 0, 0, 0)\n"
        "attempt('init_module', 175, b, 0, b'')\nattempt('syslog', 103, 3, b, 100)",
    ),
    Attack(
        "mount, chroot, pivot_root, setns",
        "refused",
        SYSCALL + "attempt('mount', 165, b'none', b'/tmp', b'tmpfs', 0, 0)\nattempt('chroot', 161, b'/tmp')\n"
        "attempt('pivot_root', 155, b'/tmp', b'/tmp')\nattempt('fsopen', 430, b'tmpfs', 0)\nattempt('setns', 308, 0, 0)\n"
        "attempt('open_tree', 428, -100, b'/', 1)",
    ),
    Attack(
        "another architecture's system calls",
        "killed, or they don't exist",
        "import ctypes, mmap\nprint('TRIED', flush=True)\n"
        "code = bytes([0xB8, 20, 0, 0, 0, 0xCD, 0x80, 0xC3])  # getpid by int 0x80\n"
        "page = mmap.mmap(-1, 4096, prot=7)\npage.write(code)\n"
        "address = ctypes.addressof(ctypes.c_char.from_buffer(page))\n"
        "if ctypes.CFUNCTYPE(ctypes.c_int)(address)() > 0: print('BREACH')",
        ended("killed", "ok"),
    ),
    Attack(
        "raw, packet, netlink, vsock and crypto sockets",
        "refused",
        "import socket\nfor family, kind in ((2, 3), (17, 3), (16, 3), (40, 1), (38, 5)):\n    print('TRIED', family)\n"
        "    try:\n        socket.socket(family, kind)\n        print('BREACH', family)\n    except OSError: pass",
    ),
    Attack(
        "becoming root", "no root, no capability, no new privileges, a filter", RIGHTS, on_runsc=_rights_under_gvisor
    ),
    Attack(
        "set-user-id programs",
        "there are none, and one made here gives nothing",
        "find / -xdev -perm /6000 -type f 2>/dev/null | sed 's/^/BREACH /'\n"
        "cp /bin/bash /tmp/b; chmod 4755 /tmp/b; /tmp/b -p -c 'test $(id -u) = 0 && echo BREACH root'; rm -f /tmp/b; echo TRIED",
        language="bash",
    ),
    Attack(
        "the clock, the host's name and a restart",
        "they can't be set",
        SYSCALL + "import time\nclock = (ctypes.c_long * 2)(int(time.time()), 0)\n"
        "attempt('sethostname', 170, b'polyport-x', 10)\nattempt('adjtimex', 159, ctypes.byref((ctypes.c_uint * 64)(0x8000)))\n"
        "attempt('reboot', 169, 0xfee1dead, 672274793, 0, 0)",
        own="it would set the machine's clock where nothing holds it",
    ),
]

"""Landlock (https://docs.kernel.org/userspace-api/landlock.html): a process gives up files, sockets and signals.

It needs no privilege, holds below Python, and can't be undone. A kernel without it leaves things as they are.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

__all__ = ["confine", "readable_by_python"]

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION, _PATH_BENEATH = 1, 1
_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_WITHIN_FOLDERS = sum(1 << bit for bit in range(4, 14))  # making, removing and moving files
_TRUNCATE = 1 << 14
_BY_VERSION = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_TCP = 0b11  # binding and connecting
_OTHERS = 0b11  # abstract sockets and signals of processes outside


def readable_by_python() -> list[str]:
    """Return what an interpreter and its packages are read from; it holds nothing of a user's."""
    system = ["/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/proc/self", "/proc/cpuinfo",
              "/proc/meminfo", "/sys/devices/system", "/dev/null", "/dev/zero", "/dev/urandom"]  # fmt: skip
    return [*system, sys.prefix, sys.base_prefix, sys.exec_prefix, *filter(None, sys.path)]


def confine(readable: Iterable[str], writable: Iterable[str] = ()) -> bool:
    """Leave this process the files below some paths, and no TCP; tell whether the kernel could.

    Args:
        readable: Files and folders; what does not exist is passed over.
        writable: Folders in which files may be made, changed and removed.
    """
    library = ctypes.CDLL(None, use_errno=True)
    version = library.syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    if version < 1:
        return False
    files = _BY_VERSION[min(version, 5)]
    rules = struct.pack("=QQQ", files, _TCP if version >= 4 else 0, _OTHERS if version >= 6 else 0)
    rules = rules[: 24 if version >= 6 else 16 if version >= 4 else 8]
    number = library.syscall(_CREATE, rules, ctypes.c_size_t(len(rules)), ctypes.c_uint32(0))
    if number < 0:
        return False
    try:
        for path in readable:
            _allow(library, number, path, files & (_READ_FILE | _READ_DIR))
        for path in writable:
            allowed = _READ_FILE | _READ_DIR | _WRITE_FILE | _WITHIN_FOLDERS | _TRUNCATE
            _allow(library, number, path, files & allowed)
        return bool(library.syscall(_RESTRICT, ctypes.c_int(number), ctypes.c_uint32(0)) == 0)
    finally:
        os.close(number)


def _allow(library: ctypes.CDLL, rules: int, path: str, access: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not Path(path).is_dir():
            access &= ~(_READ_DIR | _WITHIN_FOLDERS)
        rule = struct.pack("=Qi", access, place)
        library.syscall(_ADD, ctypes.c_int(rules), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint32(0))
    finally:
        os.close(place)

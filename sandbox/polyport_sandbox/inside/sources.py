"""The programs that run inside a container, as texts: they travel in its command, so that no image holds an old one.

Nothing else in this folder's neighbours imports them; they import nothing of ours.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

__all__ = ["supervisor_config", "supervisor_source", "tools_module"]

ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/work",
    "TMPDIR": "/tmp",  # noqa: S108 - inside the container, a tmpfs of its own
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
}

# The parts of each program, in the order in which they make one, and what binds them.
_SUPERVISOR = ("process.py", "report.py", "files.py", "channels.py", "loop.py", "supervisor.py")
_KERNEL = ("displays.py", "kernel.py")
_PART_IMPORT = re.compile(
    r"^from __future__ import annotations\n|^from (?:\.\w+|typing|collections\.abc) import (?:\([^)]*\)|[^\n(]*)\n",
    re.MULTILINE,
)
# Annotations are never looked at, and `typing` would take longer to load than all the rest: an alias is a string.
_HEAD = "from __future__ import annotations\n"


@cache
def supervisor_source() -> str:
    """Return the supervisor and its parts as one text."""
    return _joined(_SUPERVISOR)


@cache
def supervisor_config() -> str:
    """Return what the supervisor is told before there is any job: how kernels start, and in which environment."""
    kernels = {"python": ["python3", "-u", "-c", _joined(_KERNEL)], "javascript": ["node", "-e", _read("kernel.js")]}
    return json.dumps({"kernels": kernels, "env": ENVIRONMENT})


@cache
def tools_module() -> str:
    """Return the module by which sandboxed Python calls the host's tools."""
    return _read("polyport_tools.py")


def _joined(names: tuple[str, ...]) -> str:
    parts = [_PART_IMPORT.sub("", _read(name)) for name in names]
    return _HEAD + "\n".join(parts)


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")

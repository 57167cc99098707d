"""Names of files in an archive: decoded, made harmless, and each there once."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath

from polyport_gateway.knowledge.readers.text import guessed_encoding

__all__ = ["decoded", "distinct", "harmless", "is_of_a_system"]

_TWO_BYTES = frozenset({"gb18030", "big5hkscs", "euc_kr", "cp949", "euc_jp", "shift_jis", "cp932"})
_LONGEST = 1000
_JOINER = "\u200d"  # what holds an emoji together
_SYSTEM = re.compile(r"(?:^|/)(?:__MACOSX/|\.DS_Store$|Thumbs\.db$|desktop\.ini$|\._[^/]+$)", re.IGNORECASE)


def decoded(raw: Sequence[bytes], fallback: str = "cp437") -> list[str]:
    """Decode names that do not say which encoding they are in; those of one archive are in the same.

    Args:
        raw: The names.
        fallback: What they are in when nothing speaks for UTF-8 or an East Asian encoding.
    """
    telling = [name for name in raw if not name.isascii()]
    return [name.decode(_encoding(telling, fallback), "replace") for name in raw] if telling else _ascii(raw)


def _ascii(raw: Sequence[bytes]) -> list[str]:
    return [name.decode("ascii") for name in raw]


def _encoding(telling: Sequence[bytes], fallback: str) -> str:
    for candidate in ("utf-8", guessed_encoding(b"\n".join(telling))):
        if candidate == "utf-8" or candidate in _TWO_BYTES:
            try:
                for name in telling:
                    name.decode(candidate)
            except UnicodeDecodeError:
                continue
            return candidate
    return fallback


def harmless(name: str) -> str:
    """Return a name that leads nowhere outside, and shows what it is: no ``..``, no drive, no control characters."""
    kept = "".join(
        character for character in name if character == _JOINER or unicodedata.category(character) not in _HIDDEN
    )
    parts = (part.strip() for part in re.split(r"[/\\]", kept))
    return "/".join(part for part in parts if part and not re.fullmatch(r"\.+|[A-Za-z]:", part))[:_LONGEST] or "unnamed"


_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def distinct(name: str, taken: set[str]) -> str:
    """Return the name, numbered if it is taken, and take it."""
    path, number, found = PurePosixPath(name), 1, name
    while found in taken:
        number += 1
        found = str(path.with_name(f"{path.stem} ({number}){path.suffix}"))
    taken.add(found)
    return found


def is_of_a_system(name: str) -> bool:
    """Tell whether a file is one that an operating system keeps for itself."""
    return _SYSTEM.search(name) is not None

"""Single values: bytes as base64, numbers, and a value shown in a message."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any

__all__ = ["decode", "encode", "encode_files", "finite", "short"]


def encode(data: bytes) -> str:
    """Write bytes as base64."""
    return base64.b64encode(data).decode("ascii")


def encode_files(files: Mapping[str, bytes]) -> dict[str, str]:
    """Write each file's bytes as base64."""
    return {name: encode(content) for name, content in files.items()}


def decode(value: Any) -> bytes:
    """Read base64; raise TypeError or ValueError for anything else."""
    if not isinstance(value, str):
        raise TypeError(f"{short(value)} is not base64 text")
    return base64.b64decode(value, validate=True)


def short(value: Any) -> str:
    """Show a value in a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


def finite(value: Any) -> float:
    """Read a number; raise TypeError for anything else, infinities and NaN too."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"{short(value)} is not a number")
    return float(value)

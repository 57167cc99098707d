"""Readers: one per format, chosen by what the file is; others come by the entry points ``polyport.readers``."""

from .base import Reader, ReadOptions
from .detect import Detected, detect
from .registry import engines, read, readers

__all__ = ["Detected", "ReadOptions", "Reader", "detect", "engines", "read", "readers"]

"""Word documents."""

from .reader import DocxReader

__all__ = ["DocxReader"]

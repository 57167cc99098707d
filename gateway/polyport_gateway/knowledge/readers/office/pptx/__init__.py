"""PowerPoint presentations."""

from .reader import PptxReader

__all__ = ["PptxReader"]

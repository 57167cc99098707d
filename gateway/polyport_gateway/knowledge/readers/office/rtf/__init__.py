"""Rich Text Format."""

from .reader import RtfReader

__all__ = ["RtfReader"]

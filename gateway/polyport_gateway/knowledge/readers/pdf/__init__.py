"""PDF."""

from .reader import PdfReader

__all__ = ["PdfReader"]

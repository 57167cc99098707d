"""EPUB 2 and 3 (https://www.w3.org/TR/epub-33/)."""

from .reader import EpubReader

__all__ = ["EpubReader"]

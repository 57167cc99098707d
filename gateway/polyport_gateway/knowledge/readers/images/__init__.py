"""Pictures: PNG, JPEG, TIFF, BMP, WEBP and GIF, their text by OCR."""

from .reader import ImageReader

__all__ = ["ImageReader"]

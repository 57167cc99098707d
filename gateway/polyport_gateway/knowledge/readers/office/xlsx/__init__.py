"""Excel workbooks."""

from .reader import XlsxReader

__all__ = ["XlsxReader"]

"""Excel workbooks in the binary format of Excel 97 to 2003, and older."""

from .reader import XlsReader

__all__ = ["XlsReader"]

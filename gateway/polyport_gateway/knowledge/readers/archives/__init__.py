"""Archives and compressed files: every file in them is read as if it stood alone."""

from .compressed import CompressedReader
from .tar import TarReader
from .zip import ZipReader

__all__ = ["CompressedReader", "TarReader", "ZipReader"]

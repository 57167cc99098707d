"""Safe parsing: each file in a child process that may take only so much, and never the service with it."""

from .limits import ParseLimits
from .pool import ParserPool

__all__ = ["ParseLimits", "ParserPool"]

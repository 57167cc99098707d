"""OpenDocument texts, spreadsheets and presentations."""

from .reader import OdfReader

__all__ = ["OdfReader"]

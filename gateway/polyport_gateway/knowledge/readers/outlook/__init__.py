"""Outlook's messages (MS-OXMSG, over MS-CFB)."""

from .reader import OutlookReader

__all__ = ["OutlookReader"]

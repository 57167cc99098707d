"""Where the containers' endpoints are; what they are made of is loaded when one is first asked."""

from __future__ import annotations

__all__ = ["PATHS"]

_ALL = "/v1/containers"
_ONE = f"{_ALL}/{{container_id}}"
_FILES = f"{_ONE}/files"
_FILE = f"{_FILES}/{{file_id}}"

PATHS = (
    ("POST", _ALL),
    ("GET", _ALL),
    ("GET", _ONE),
    ("DELETE", _ONE),
    ("POST", _FILES),
    ("GET", _FILES),
    ("GET", _FILE),
    ("GET", f"{_FILE}/content"),
    ("DELETE", _FILE),
)

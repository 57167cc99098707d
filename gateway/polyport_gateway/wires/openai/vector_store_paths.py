"""Where the vector stores' endpoints are; what they are made of is loaded when one is first asked."""

from __future__ import annotations

__all__ = ["PATHS"]

_ALL = "/v1/vector_stores"
_ONE = f"{_ALL}/{{vector_store_id}}"
_FILES = f"{_ONE}/files"
_FILE = f"{_FILES}/{{file_id}}"
_BATCHES = f"{_ONE}/file_batches"
_BATCH = f"{_BATCHES}/{{batch_id}}"

PATHS = (
    ("POST", _ALL),
    ("GET", _ALL),
    ("GET", _ONE),
    ("POST", _ONE),
    ("DELETE", _ONE),
    ("POST", f"{_ONE}/search"),
    ("POST", _FILES),
    ("GET", _FILES),
    ("GET", _FILE),
    ("POST", _FILE),
    ("DELETE", _FILE),
    ("GET", f"{_FILE}/content"),
    ("POST", _BATCHES),
    ("GET", _BATCH),
    ("POST", f"{_BATCH}/cancel"),
    ("GET", f"{_BATCH}/files"),
)

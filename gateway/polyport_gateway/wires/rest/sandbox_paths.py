"""Where the sandbox's endpoints are; what they are made of is loaded when one is first asked."""

from __future__ import annotations

__all__ = ["PATHS"]

_ALL = "/v1/sandbox/sessions"
_ONE = f"{_ALL}/{{session_id}}"
_FILES = f"{_ONE}/files"
_FILE = f"{_FILES}/{{path:path}}"

PATHS = (
    ("POST", "/v1/sandbox/run"),
    ("GET", _ALL),
    ("POST", _ALL),
    ("GET", _ONE),
    ("DELETE", _ONE),
    ("POST", f"{_ONE}/run"),
    ("POST", f"{_ONE}/interrupt"),
    ("POST", f"{_ONE}/restart"),
    ("GET", _FILES),
    ("GET", _FILE),
    ("PUT", _FILE),
    ("DELETE", _FILE),
)

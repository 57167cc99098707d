"""Where the files' endpoints are; what they are made of is loaded when one is first asked."""

from __future__ import annotations

__all__ = ["PATHS", "UPLOAD_PATHS"]

_ALL = "/v1/files"
_ONE = f"{_ALL}/{{file_id}}"

PATHS = (
    ("POST", _ALL),
    ("GET", _ALL),
    ("GET", _ONE),
    ("DELETE", _ONE),
    ("GET", f"{_ONE}/content"),
)

_UPLOADS = "/v1/uploads"
_UPLOAD = f"{_UPLOADS}/{{upload_id}}"

UPLOAD_PATHS = (
    ("POST", _UPLOADS),
    ("POST", f"{_UPLOAD}/parts"),
    ("POST", f"{_UPLOAD}/complete"),
    ("POST", f"{_UPLOAD}/cancel"),
)

"""Where the endpoints of knowledge bases are; what they are made of is loaded when one is first asked."""

from __future__ import annotations

__all__ = ["PATHS"]

_ALL = "/v1/knowledge"
_JOB = f"{_ALL}/jobs/{{job_id}}"
_ONE = f"{_ALL}/{{name}}"
_DOCUMENTS = f"{_ONE}/documents"
_DOCUMENT = f"{_DOCUMENTS}/{{document:path}}"

PATHS = (
    ("GET", _ALL),
    ("POST", _ALL),
    ("POST", f"{_ALL}/search"),
    ("POST", f"{_ALL}/ask"),
    ("GET", f"{_ALL}/jobs"),
    ("GET", _JOB),
    ("GET", f"{_JOB}/events"),
    ("POST", f"{_JOB}/cancel"),
    ("GET", _ONE),
    ("PATCH", _ONE),
    ("DELETE", _ONE),
    ("POST", f"{_ONE}/search"),
    ("POST", f"{_ONE}/ask"),
    ("POST", f"{_ONE}/refresh"),
    ("POST", f"{_ONE}/reindex"),
    ("POST", f"{_ONE}/rekey"),
    ("POST", f"{_ONE}/remove"),
    ("GET", f"{_ONE}/changes"),
    ("GET", _DOCUMENTS),
    ("POST", _DOCUMENTS),
    # Before what it would be taken for: a key may hold slashes.
    ("GET", f"{_DOCUMENT}/text"),
    ("GET", _DOCUMENT),
    ("PATCH", _DOCUMENT),
    ("DELETE", _DOCUMENT),
)

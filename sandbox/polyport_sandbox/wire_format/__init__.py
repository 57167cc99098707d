"""How requests, results and events look as JSON: in a gateway's REST API, and for the provider that calls one.

Bytes are base64. What the code wrote is there twice, as text (bytes that are not UTF-8 become U+FFFD) and, under a
name ending in ``_base64``, exactly. A request is read strictly: an unknown member is refused, since it may be a limit
that was misspelt. An answer is read leniently: an unknown member comes from a newer gateway.

An event is a name and a value: ``stdout`` and ``stderr`` ``{"text", "base64"}``, ``display`` and ``result`` a display,
``error`` an uncaught exception ``{"name", "value", "traceback"}``, ``end`` the whole result. A stream that fails rather
than ends has as its last event ``error`` with ``{"error": …}``, an OpenAI error object, as on every other wire;
`is_failure` tells the two apart.
"""

from __future__ import annotations

from .requests import (
    RunFields,
    SessionFields,
    limits_from_json,
    limits_to_json,
    run_from_json,
    run_to_json,
    session_from_json,
    session_to_json,
)
from .results import (
    event_from_json,
    event_to_json,
    file_info_from_json,
    file_info_to_json,
    is_failure,
    result_from_json,
    result_to_json,
)

__all__ = [
    "RunFields",
    "SessionFields",
    "event_from_json",
    "event_to_json",
    "file_info_from_json",
    "file_info_to_json",
    "is_failure",
    "limits_from_json",
    "limits_to_json",
    "result_from_json",
    "result_to_json",
    "run_from_json",
    "run_to_json",
    "session_from_json",
    "session_to_json",
]

"""Take secrets out of text before it is written anywhere."""

from __future__ import annotations

import re

__all__ = ["redact"]

_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    # Our own tokens keep their public id, which is what a person looks for in a log.
    (re.compile(r"\bpp_([a-z0-9]{6,})_[A-Za-z0-9]{8,}"), r"pp_\1_***"),
    # A signed URL of a sandbox's file.
    (re.compile(r"\bv1_[A-Za-z0-9+/%]{30,}"), "v1_***"),
    (re.compile(r"\bsk-[A-Za-z0-9_-]{8,}"), "sk-***"),
    (re.compile(r"(?i)\b(Bearer|Basic)\s+(?!\*)[A-Za-z0-9._~+/=-]{6,}"), r"\1 ***"),
    (re.compile(r"(\w://[^\s/:@]*):[^\s/@]+@"), r"\1:***@"),
    (
        re.compile(
            r"(?i)\b((?:\w+[_-])?(?:api[_-]?key|secret|password|passwd|token))(?P<mark>[\"']?\s*[=:]\s*[\"']?)"
            r"(?!\*)[^\s\"'&,;})\]]+"
        ),
        r"\1\g<mark>***",
    ),
)


def redact(text: str) -> str:
    """Return the text with every key, token and password in it masked.

    >>> redact("GET /?api_key=abc123 with Bearer abcdef")
    'GET /?api_key=*** with Bearer ***'
    """
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text

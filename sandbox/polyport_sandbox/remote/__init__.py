"""Sandboxes of others, over HTTP: E2B, SandboxFusion, Piston, and another Polyport gateway.

Each is a `Provider` of its own module, found by the entry points ``polyport.sandboxes``; httpx is all they need. Their
docstrings say which limits each service keeps by itself, which of ours it can't be told, and what is refused for that.
"""

from __future__ import annotations

__all__: list[str] = []

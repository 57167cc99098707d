"""What `serve` prints once it answers."""

from __future__ import annotations

import re
from collections import Counter

from polyport_gateway.catalog import Catalog
from polyport_gateway.cli.output import style

__all__ = ["banner"]

_KINDS = {
    "function": ("function", "functions"),
    "pipeline": ("pipeline", "pipelines"),
    "model": ("model", "models"),
    "agent": ("agent", "agents"),
    "knowledge": ("knowledge base", "knowledge bases"),
}


def banner(catalog: Catalog, url: str, *, keys: bool) -> str:
    """Return the lines that tell a person where everything is.

    Args:
        catalog: What is served.
        url: Where, without a trailing slash.
        keys: Whether callers need a key.
    """
    counts: Counter[str] = Counter(capability.kind for capability in catalog)
    bases = [name for name in (f"{capability.name}_search" for capability in catalog) if name in catalog]
    counts["knowledge"] = len(bases)  # each is two tools
    served = ", ".join(f"{counts[kind]} {names[counts[kind] != 1]}" for kind, names in _KINDS.items() if counts[kind])
    header = ' --header "Authorization: Bearer YOUR_KEY"' if keys else ""
    key = "YOUR_KEY" if keys else "none"
    rows = [
        ("OpenAI", f"{url}/v1"),
        ("MCP", f"{url}/mcp"),
        ("REST", f"{url}/v1/functions"),
        ("API", f"{url}/openapi.json"),
    ]
    hints = [
        ("Claude Code", f"claude mcp add --transport http {_slug(catalog.name)} {url}/mcp{header}"),
        ("OpenAI SDK", f"export OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY={key}"),
        ("Shell", f"polyport list --url {url}"),
    ]
    lines = [
        f"{style(catalog.name, bold=True)} is served at {style(url, fg='cyan', bold=True)}",
        f"  {served or 'nothing is registered yet'}",
        "",
        *(f"  {style(f'{label:<13}', dim=True)}{value}" for label, value in rows),
        "",
        *(f"  {style(f'{label:<13}', dim=True)}{value}" for label, value in hints),
        "",
        "  Every caller needs a key." if keys else "  No key is needed: only this machine can reach it.",
        f"  {style('Stop with Ctrl-C.', dim=True)}",
    ]
    return "\n".join(lines)


def _slug(name: str) -> str:
    """Return a name that Claude Code takes for a server: ASCII letters, digits, `-` and `_`."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", name).strip("-") or "polyport"

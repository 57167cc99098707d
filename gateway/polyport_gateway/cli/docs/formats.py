"""``polyport docs formats``."""

from __future__ import annotations

from polyport_gateway.cli.output import print_json, print_table
from polyport_gateway.reading.listing import describe_formats

__all__ = ["list_formats"]


def list_formats(*, as_json: bool) -> None:
    """List every format that is recognised: whether it is read, by what, or what it lacks."""
    found = sorted(describe_formats(), key=lambda item: not item.readable)
    if as_json:
        for item in found:
            print_json(item.model_dump(mode="json"))
        return
    rows = []
    for item in found:
        state = "yes" if item.readable else "no"
        how = item.reader or "there is no reader for it"
        if item.missing:
            how = f"needs {', '.join(item.missing)}: {item.install}"
        rows.append([item.name, state, " ".join(item.extensions), how])
    print_table(["format", "read", "endings", "by"], rows)

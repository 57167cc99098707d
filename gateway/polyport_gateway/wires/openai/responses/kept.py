"""What is kept of a response's items and not shown: for later turns, and for callers who ask for it afterwards."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from polyport.types.responses import KeptItem, OutputItem

__all__ = ["KEPT", "OUTPUTS", "RESULTS", "keep", "kept_of", "show", "show_item"]

KEPT = "kept"

OUTPUTS = "code_interpreter_call.outputs"
"""What ``include`` calls the outputs of code."""

RESULTS = "file_search_call.results"
"""What it calls the results of a search."""

_INCLUDED = {"code_interpreter_call": (OUTPUTS, "outputs"), "file_search_call": (RESULTS, "results")}


def keep(body: dict[str, Any], output: Collection[OutputItem]) -> dict[str, Any]:
    """Return a response as it is kept: with what later turns need of its calls and its caller is not shown."""
    items = [
        {**shown, KEPT: item.kept} if isinstance(item, KeptItem) and item.kept else shown
        for shown, item in zip(body["output"], output, strict=True)
    ]
    return {**body, "output": items}


def kept_of(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what was kept of an item; nothing for one that its caller sent."""
    kept = item.get(KEPT)
    return kept if isinstance(kept, Mapping) else {}


def show(body: Mapping[str, Any], include: Collection[str] = ()) -> dict[str, Any]:
    """Return a response that was kept as its caller sees it."""
    return {**body, "output": [show_item(item, include) for item in body.get("output", ())]}


def show_item(item: Mapping[str, Any], include: Collection[str] = ()) -> dict[str, Any]:
    """Return an item that was kept as its caller sees it."""
    shown = dict(item)
    kept = shown.pop(KEPT, None)
    wanted, member = _INCLUDED.get(str(item.get("type")), ("", ""))
    if kept and wanted in include and shown.get(member) is None:
        shown[member] = kept.get(member)
    return shown

"""Files inside a file: their blocks become part of the document around them."""

from __future__ import annotations

from dataclasses import replace

from polyport_gateway.knowledge.documents import (
    DocumentBuilder,
    Heading,
    Parsed,
    Provenance,
    Skipped,
    UnreadableDocumentError,
)

from .base import ReadOptions

__all__ = ["add_member", "read_member"]


def add_member(
    builder: DocumentBuilder,
    data: bytes,
    name: str,
    options: ReadOptions,
    warnings: list[str],
    *,
    title: str | None,
) -> list[Skipped]:
    """Read a file inside a file, and add what it holds.

    Args:
        builder: Of the document around it.
        data: The inner file.
        name: Its name.
        options: `read` reads it; without it, and at `max_depth` 0, it is left out.
        warnings: Its own are added to these.
        title: A heading to put above it.

    Returns:
        What was left out of it, or itself.
    """
    parsed = read_member(data, name, options)
    if isinstance(parsed, Skipped):
        return [parsed]
    part = None if title is None else name
    if title is not None:
        builder.add(Heading(text=title, level=2, provenance=Provenance(part=part)))
    for asset in parsed.document.assets.values():
        builder.keep(asset)
    for block in parsed.document.blocks:
        inner = "/".join(filter(None, (part, block.provenance.part))) or None
        placed = replace(block, provenance=replace(block.provenance, part=inner))
        if part is not None and isinstance(placed, Heading):
            placed = replace(placed, level=placed.level + 2)
        builder.add(placed)
    warnings += [f"{name}: {warning}" for warning in parsed.receipt.warnings]
    return [replace(item, part="/".join(filter(None, (part, item.part))) or None) for item in parsed.receipt.skipped]


def read_member(data: bytes, name: str, options: ReadOptions) -> Parsed | Skipped:
    """Read a file inside a file by itself; one that can't be read is told of.

    Args:
        data: The inner file.
        name: Its name.
        options: Of the file around it.
    """
    if options.read is None or options.max_depth < 1:
        why = "no reader was given." if options.read is None else "files inside files go no deeper than `max_depth`."
        return Skipped("file", why, part=name)
    try:
        # What the outer file was to be read as says nothing of the inner one.
        return options.read(data, name, replace(options, max_depth=options.max_depth - 1, strict=False, format=None))
    except UnreadableDocumentError as error:
        return Skipped("file", error.reason, page=error.page, part=name)

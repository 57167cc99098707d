"""Files inside a file: their blocks become part of the document around them."""

from __future__ import annotations

from dataclasses import replace

from polyport.errors import MissingDependencyError
from polyport_gateway.knowledge.documents import (
    DocumentBuilder,
    Heading,
    Parsed,
    Picture,
    Provenance,
    Skipped,
    UnreadableDocumentError,
    UnsupportedFormatError,
)

from .base import ReadOptions
from .detect import detect

__all__ = ["add_member"]


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
    if options.read is None or options.max_depth < 1:
        why = "no reader was given." if options.read is None else "files inside files go no deeper than `max_depth`."
        return [Skipped("file", why, part=name)]
    part = None if title is None else name
    if options.budget is not None:
        # A format that is unpacked by a reader of its own is held to what is left, too.
        options = replace(options, max_unpacked_bytes=max(options.budget.left, 1))
    try:
        parsed = options.read(data, name, replace(options, max_depth=options.max_depth - 1, strict=False))
    except UnsupportedFormatError as error:
        mime = detect(data, name).mime
        if not mime.startswith("image/"):
            return [Skipped("file", error.reason, part=name)]
        _title(builder, title, part)
        # What it shows can't be read, but it is not lost.
        sha256 = builder.keep(data) if options.pictures else ""
        builder.add(Picture(sha256=sha256, mime=mime, alt=name, provenance=Provenance(part=part)))
        return []
    except MissingDependencyError as error:
        return [Skipped("file", str(error), part=name)]
    except UnreadableDocumentError as error:
        return [Skipped("file", error.reason, page=error.page, part=name)]
    _title(builder, title, part)
    _append(builder, parsed, part)
    warnings += [f"{name}: {warning}" for warning in parsed.receipt.warnings]
    return [replace(item, part="/".join(filter(None, (part, item.part))) or None) for item in parsed.receipt.skipped]


def _title(builder: DocumentBuilder, title: str | None, part: str | None) -> None:
    if title is not None:
        builder.add(Heading(text=title, level=2, provenance=Provenance(part=part)))


def _append(builder: DocumentBuilder, parsed: Parsed, part: str | None) -> None:
    for asset in parsed.document.assets.values():
        builder.keep(asset)
    for block in parsed.document.blocks:
        inner = "/".join(filter(None, (part, block.provenance.part))) or None
        placed = replace(block, provenance=replace(block.provenance, part=inner))
        if part is not None and isinstance(placed, Heading):
            placed = replace(placed, level=placed.level + 2)
        builder.add(placed)
    if part is None:
        for key, value in parsed.document.metadata.items():
            builder.metadata.setdefault(key, value)
    elif parsed.document.metadata:
        members = builder.metadata.setdefault("members", {})
        assert isinstance(members, dict)  # noqa: S101 - nobody else sets it
        members[part] = dict(parsed.document.metadata)

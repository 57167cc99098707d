"""A document as JSON and back, nothing lost.

A value that is the default is left out; a cell is a list, cut where only defaults follow. Spans are not written, for
they follow from the rest: on reading, the blocks are placed anew.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from typing import Any

from .blocks import BLOCKS, Block, Table
from .builder import DocumentBuilder
from .document import Document
from .grid import Cell, TableGrid
from .values import Box, Mark, Provenance, Source, Span, TimeSpan

__all__ = ["VERSION", "canonical", "dumps", "from_plain", "loads", "to_plain"]

VERSION = 1
_DERIVED = ("span", "index")
_NO_CELL = Cell(0, 0)
_NESTED, _LAST = Cell._fields.index("nested"), Cell._fields.index("span")


def dumps(document: Document) -> str:
    """Write a document as JSON."""
    plain = to_plain(document)
    plain["assets"] = {key: base64.b64encode(data).decode() for key, data in document.assets.items()}
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))


def loads(data: str | bytes) -> Document:
    """Read a document's JSON.

    Raises:
        ValueError: It is not one.
    """
    try:
        plain = json.loads(data)
        assets = {key: base64.b64decode(value, validate=True) for key, value in plain["assets"].items()}
        return from_plain(plain, assets)
    except (AttributeError, KeyError, TypeError, IndexError, binascii.Error, RecursionError) as error:
        raise ValueError(f"This is not a document's JSON: {type(error).__name__}: {error}") from None


def canonical(document: Document) -> bytes:
    """Return the bytes whose hash is the content's: all but the file and the id."""
    plain = to_plain(document)
    del plain["id"], plain["source"]
    plain["assets"] = sorted(document.assets)
    return json.dumps(plain, ensure_ascii=True, separators=(",", ":"), sort_keys=True).encode()


def to_plain(document: Document) -> dict[str, Any]:
    """Return a document without its assets as plain values."""
    return {
        "version": VERSION,
        "id": document.id,
        "source": asdict(document.source),
        "language": document.language,
        "metadata": dict(document.metadata),
        "blocks": [_block(block) for block in document.blocks],
    }


def from_plain(plain: Mapping[str, Any], assets: Mapping[str, bytes]) -> Document:
    """Make a document of what `to_plain` gave, and its assets.

    Raises:
        ValueError: Of another version, or the values contradict each other.
    """
    if plain["version"] != VERSION:
        raise ValueError(f"A document's JSON of version {plain['version']!r}; version {VERSION} is understood.")
    builder = DocumentBuilder(Source(**plain["source"]))
    builder.language = plain["language"]
    for value in plain["blocks"]:
        builder.add(_read_block(value))
    for data in assets.values():
        builder.keep(data)
    return builder.build(metadata=plain["metadata"], id=plain["id"])


def _block(block: Block) -> dict[str, Any]:
    plain: dict[str, Any] = {"kind": block.kind}
    for item in fields(block):
        value = getattr(block, item.name)
        if item.name in _DERIVED or (item.default is not MISSING and value == item.default):
            continue
        if isinstance(value, Provenance):
            value = {key: part for key, part in zip(_PROVENANCE, _parts(value), strict=True) if part is not None}
        elif isinstance(value, TableGrid):
            value = {"rows": value.rows, "columns": value.columns, "cells": [_cell(cell) for cell in value.cells]}
        plain[item.name] = value
    if isinstance(block, Table):
        plain.pop("text", None)  # its caption and grid say it
    return plain


_PROVENANCE = tuple(item.name for item in fields(Provenance))


def _parts(value: Provenance) -> list[Any]:
    return [getattr(value, name) for name in _PROVENANCE]


def _cell(cell: Cell) -> list[Any]:
    if cell[5:_LAST] == _NO_CELL[5:_LAST]:
        return list(cell[:5])
    values: list[Any] = list(cell[:_LAST])
    if cell.nested:
        values[_NESTED] = [_block(block) for block in cell.nested]
    while len(values) > 2 and values[-1] == _NO_CELL[len(values) - 1]:
        values.pop()
    return values


def _read_block(plain: Mapping[str, Any]) -> Block:
    values = dict(plain)
    kind = BLOCKS.get(values.pop("kind"))
    if kind is None:
        raise ValueError(f"There is no block of kind {plain['kind']!r}.")
    if "marks" in values:
        values["marks"] = tuple(Mark(*mark) for mark in values["marks"])
    if "provenance" in values:
        values["provenance"] = _read_provenance(values["provenance"])
    if "grid" in values:
        grid = values["grid"]
        values["grid"] = TableGrid(grid["rows"], grid["columns"], tuple(_read_cell(cell) for cell in grid["cells"]))
    return kind(**values)


def _read_provenance(plain: Mapping[str, Any]) -> Provenance:
    values = dict(plain)
    if "bbox" in values:
        values["bbox"] = Box(*values["bbox"])
    if "source_span" in values:
        values["source_span"] = Span(*values["source_span"])
    if "time" in values:
        values["time"] = TimeSpan(*values["time"])
    return Provenance(**values)


def _read_cell(values: list[Any]) -> Cell:
    if len(values) > _NESTED:
        values = [*values[:_NESTED], tuple(_read_block(block) for block in values[_NESTED])]
    return Cell(*values)

"""What the readers of archives have in common: from members to one document."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from polyport_gateway.knowledge.documents import (
    DocumentBuilder,
    EncryptedDocumentError,
    Parsed,
    ParsingLimitError,
    Receipt,
    Skipped,
    UnreadableDocumentError,
    source_of,
)
from polyport_gateway.knowledge.readers.base import Budget, ReadOptions
from polyport_gateway.knowledge.readers.detect import FORMATS
from polyport_gateway.knowledge.readers.members import add_member

from .names import distinct, harmless, is_of_a_system

__all__ = ["Member", "budget_of", "gather", "inner_options"]

ENCRYPTED = "it is encrypted, and the `password` is missing or wrong."


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive.

    Args:
        name: As it is written there, decoded.
        size: Bytes it unpacks to, as the archive says.
        read: Unpacks it.
        refused: Why it is not unpacked.
    """

    name: str
    size: int
    read: Callable[[], bytes]
    refused: str | None = None


def budget_of(options: ReadOptions) -> Budget:
    """Return what may still be unpacked."""
    return options.budget or Budget(options.max_unpacked_bytes)


def inner_options(options: ReadOptions) -> ReadOptions:
    """Return the options for a file inside: what was said of the archive's own bytes does not hold for it."""
    return replace(options, format=None, encoding=None, budget=budget_of(options), resource=None)


def gather(
    data: bytes,
    name: str,
    options: ReadOptions,
    members: Iterable[Member],
    *,
    reader: str,
    format: str,  # noqa: A002
    skipped: list[Skipped],
) -> Parsed:
    """Read the members of an archive.

    Args:
        data: The archive.
        name: Its name.
        options: How the members are read.
        members: In their order.
        reader: Name of the reader.
        format: In the terms of `detect`.
        skipped: What is known to be missing; looked at when all members are read.

    Raises:
        UnreadableDocumentError: There is no file in it, or none that can be read.
    """
    started = time.perf_counter()
    options = inner_options(options)
    builder = DocumentBuilder(source_of(data, name, FORMATS[format][0]))
    warnings: list[str] = []
    taken: set[str] = set()
    left_out: list[Skipped] = []
    ours = found = 0
    for member in members:
        shown = harmless(member.name)
        if is_of_a_system(shown):
            ours += 1
            continue
        found += 1
        if shown != member.name.removeprefix("./"):
            warnings.append(f"A name that leads outside, or can't be shown, was made harmless: {shown!r}.")
        shown = distinct(shown, taken)
        left_out += _one(builder, member, shown, options, warnings)
    left_out += skipped
    if ours:
        warnings.append(f"{ours} files that an operating system keeps for itself were not read.")
    _refuse_nothing(builder, name, left_out, found)
    document = builder.build()
    seconds = time.perf_counter() - started
    receipt = Receipt.of(
        document, reader=reader, format=format, skipped=left_out, warnings=warnings, seconds=seconds
    )  # fmt: skip
    return Parsed(document, receipt)


def _one(
    builder: DocumentBuilder, member: Member, name: str, options: ReadOptions, warnings: list[str]
) -> list[Skipped]:
    if member.refused is not None:
        return [Skipped("file", member.refused, part=name)]
    try:
        if options.max_depth >= 1:  # else it is not worth unpacking
            budget_of(options).take(member.size, name)
        data = member.read()
    except UnreadableDocumentError as error:
        return [Skipped("file", error.reason, part=name)]
    return add_member(builder, data, name, options, warnings, title=name)


def _refuse_nothing(builder: DocumentBuilder, name: str, skipped: list[Skipped], found: int) -> None:
    if not found and not skipped:
        raise UnreadableDocumentError(name, "it is an archive without a file.")
    if len(builder) or not skipped:
        return
    first = skipped[0]
    where = f"{first.part!r}: " if first.part else ""
    reason = f"none of its {found:,} files could be read; {where}{first.why}"
    if all(item.why == ENCRYPTED for item in skipped):
        raise EncryptedDocumentError(name, reason)
    raise (ParsingLimitError if "max_unpacked_bytes" in first.why else UnreadableDocumentError)(name, reason)

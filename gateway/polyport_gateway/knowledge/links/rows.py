"""What a passage has, row by row: a pure function of the passage alone, so that any batch can be done by itself.

A clue's key is a digest of what it is compared by. So it has one length, however long an address is, may be kept by
any database (labels hold a null character, to tell them from names), and a row takes little. At 72 bits, some two of
ten million clues share a key with a chance of one in a hundred million.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from enum import IntEnum
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from .clues import Passage
from .names import names
from .references import address_key, addresses, is_label, labels, own_labels
from .titles import aliases, key_of

__all__ = ["Evidence", "Role", "Row", "digest", "evidence_of", "rows_of"]


class Role(IntEnum):
    """What a passage is to a clue: one row for each of its clues, but that it may both bear it and have it small."""

    HELD = 0
    """Mentions it: a name by its form, a label, an address."""
    BORNE = 1
    """Has it for a name: its title or its last heading, or what that goes by."""
    MARKED = 2
    """Is what a label or an address leads to."""
    TITLED = 3
    """Mentions what is a title in the knowledge base, written as a name."""
    SMALL = 4
    """Has a title's words, but nowhere written as a name."""
    KNOWN = 5
    """Book-keeping of `settling`: a name that all passages have been searched for."""
    SETTLED = 6
    """Book-keeping of `settling`: the last passage that was searched."""


class Row(NamedTuple):
    """A row of the table, but for the knowledge base."""

    key: str
    chunk: int
    role: int
    written: str


class Evidence(NamedTuple):
    """What a passage says of clues by itself: how each is written, by what it is compared by.

    Args:
        names: What it is called by.
        marks: The labels and addresses that lead to it.
        held: What it mentions and does not bear.
    """

    names: dict[str, str]
    marks: dict[str, str]
    held: dict[str, str]


def evidence_of(passage: Passage) -> Evidence:
    """Return what a passage says of clues."""
    own: dict[str, str] = {}
    for title in dict.fromkeys((passage.title, *passage.heading_path[-1:])):
        for key, name in aliases(title).items():
            own.setdefault(key, name)
    marks: dict[str, str] = {}
    if passage.document_id:
        for label in sorted(own_labels(passage.text, passage.heading_path)):
            marks[f"{passage.document_id}\0{label}"] = label.title()
    if passage.address:
        marks[f"\0{address_key(passage.address)}"] = passage.title or passage.address
    held: dict[str, str] = {}
    for key, text in _mentioned(passage):
        if key not in own and key not in marks:
            held.setdefault(key, text)
    return Evidence(own, marks, held)


def _mentioned(passage: Passage) -> Iterator[tuple[str, str]]:
    for name in names(passage.text):
        if not is_label(name):
            yield key_of(name), name
    if passage.document_id:
        for label, text in labels(passage.text):
            yield f"{passage.document_id}\0{label}", text
    for address in addresses(passage.text):
        yield f"\0{address}", address


def rows_of(passages: Iterable[tuple[int, Passage]]) -> Iterator[Row]:
    """Yield the rows of passages, each given with the number of its chunk."""
    for chunk, passage in passages:
        found = evidence_of(passage)
        for role, clues in ((Role.BORNE, found.names), (Role.MARKED, found.marks), (Role.HELD, found.held)):
            for key, written in clues.items():
                yield Row(digest(key), chunk, int(role), storable(written))


@lru_cache(maxsize=1 << 16)
def digest(key: str) -> str:
    """Return the twelve characters that a clue is kept by."""
    raw = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=9).digest()
    return urlsafe_b64encode(raw).decode("ascii")


def storable(text: str) -> str:
    """Return a text as every database takes it: no null characters, no halves of surrogate pairs."""
    if text.isascii():
        return text.replace("\0", " ") if "\0" in text else text
    return text.replace("\0", " ").encode("utf-8", "replace").decode("utf-8")

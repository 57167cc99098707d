"""What a PDF says of itself: properties, language, outline."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

import pypdfium2.raw as pdfium

from polyport_gateway.knowledge.documents import JSON

__all__ = ["OutlineEntry", "language_of", "level_of_title", "outline_of", "properties_of", "titles_by_page"]

_MOST_ENTRIES, _DEEPEST = 20_000, 12
_KEYS = {
    "Title": "title", "Author": "author", "Subject": "subject", "Keywords": "keywords", "Creator": "creator",
    "Producer": "producer", "CreationDate": "created", "ModDate": "modified",
}  # fmt: skip
_DATE = re.compile(r"D:(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:([Zz+-])(?:(\d\d)'?(\d\d)?)?)?")


class OutlineEntry(NamedTuple):
    """A bookmark.

    Args:
        level: From 1.
        title: Its text.
        page: Where it leads, from 1.
    """

    level: int
    title: str
    page: int | None


def properties_of(document: Any) -> dict[str, JSON]:
    """Return title, author, dates and so on, those that are set."""
    found: dict[str, JSON] = {}
    for key, value in document.get_metadata_dict(skip_empty=True).items():
        value = value.replace("\x00", "").strip()
        if value and key in _KEYS:
            found[_KEYS[key]] = _date(value) if key.endswith("Date") else value
    return found


def _date(text: str) -> str:
    """Return a date (ISO 32000-1, 7.9.4) as ISO 8601 has it; as it is where it is none."""
    match = _DATE.match(text)
    if not match:
        return text
    numbers = [int(part) if part else low for part, low in zip(match.groups()[:6], (1, 1, 1, 0, 0, 0), strict=True)]
    sign, hours, minutes = match.groups()[6:]
    try:
        zone = None
        if sign:
            offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
            zone = timezone(-offset if sign == "-" else offset)
        return datetime(*numbers, tzinfo=zone).isoformat()  # type: ignore[arg-type, misc]
    except ValueError:
        return text


def language_of(document: Any) -> str | None:
    """Return the language that the catalogue names, as ISO 639-1."""
    get = getattr(pdfium, "FPDFCatalog_GetLanguage", None)
    if get is None:
        return None
    size = get(document, None, 0)
    if not 2 < size <= 256:
        return None
    buffer = ctypes.create_string_buffer(size)
    get(document, ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)), size)
    match = re.match(r"[A-Za-z]{2}(?=$|[-_])", buffer.raw.decode("utf-16-le", "replace").strip("\x00 "))
    return match.group().lower() if match else None


def outline_of(document: Any) -> tuple[OutlineEntry, ...]:
    """Return the bookmarks in order; no more than a person could have made."""
    entries: list[OutlineEntry] = []
    for bookmark in document.get_toc(max_depth=_DEEPEST):
        if len(entries) >= _MOST_ENTRIES:
            break
        target = bookmark.get_dest()
        index = target.get_index() if target else None
        title = " ".join(bookmark.get_title().replace("\x00", "").split())
        if title:
            entries.append(OutlineEntry(bookmark.level + 1, title, None if index is None else index + 1))
    return tuple(entries)


def titles_by_page(entries: tuple[OutlineEntry, ...]) -> Mapping[int, Mapping[str, int]]:
    """Return the level of each title, letters and digits only, on the page that it leads to."""
    found: dict[int, dict[str, int]] = {}
    for level, title, page in entries:
        if page is not None:
            found.setdefault(page, {}).setdefault(_plain_title(title), level)
    return found


def level_of_title(text: str, titles: Mapping[str, int]) -> int | None:
    """Return the level of a text among the titles of a page; the outline may leave a section's number out."""
    level = titles.get(_plain_title(text))
    return level if level is not None else titles.get(_plain_title(re.sub(r"^[\dA-Z]{1,3}(?:\.\d+)*\.?\s+", "", text)))


def _plain_title(title: str) -> str:
    """Return what two ways of writing a title have in common."""
    return "".join(character for character in title.casefold() if character.isalnum())

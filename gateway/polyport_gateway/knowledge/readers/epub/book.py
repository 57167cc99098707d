"""What a book says of itself: its metadata, its files, the order to read them in, and its table of contents."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from polyport_gateway.knowledge.documents import JSON, UnreadableDocumentError
from polyport_gateway.knowledge.readers.office.package import Package
from polyport_gateway.knowledge.readers.office.xml import Element, MalformedXmlError, local, parse

__all__ = ["Book", "Entry", "Item", "open_book", "resolved"]

_DOCTYPE = re.compile(rb"<!DOCTYPE[^\[>]*>")  # one that declares nothing; NCX files have it
_OPS = "{http://www.idpf.org/2007/ops}"
_SINGLE = {"title": "title", "language": "language", "publisher": "publisher", "date": "date",
           "identifier": "identifier", "description": "description", "rights": "rights"}  # fmt: skip
_SEVERAL = {"creator": "author", "contributor": "contributors", "subject": "subjects"}
_FONTS_ONLY = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
_MOST_ENTRIES = 10_000


@dataclass(frozen=True, slots=True)
class Item:
    """A file of the book.

    Args:
        part: Its place in the container.
        mime: As the book says.
        properties: Such as ``nav`` or ``cover-image``.
    """

    part: str
    mime: str
    properties: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the table of contents.

    Args:
        title: What it says.
        level: 1 for the widest.
        target: Part it leads to, and a place in it after ``#``.
    """

    title: str
    level: int
    target: str


@dataclass(frozen=True, slots=True)
class Book:
    """A book as its package document describes it.

    Args:
        metadata: Title, authors and so on.
        spine: The files to be read, in order.
        items: All files, by part.
        outline: Its table of contents.
        cover: Part of the cover's picture.
        encrypted: Parts that can't be read.
    """

    metadata: Mapping[str, JSON]
    spine: tuple[Item, ...]
    items: Mapping[str, Item]
    outline: tuple[Entry, ...] = ()
    cover: str | None = None
    encrypted: frozenset[str] = field(default_factory=frozenset)


def open_book(package: Package, warnings: list[str]) -> Book:
    """Read what a book says of itself.

    Raises:
        UnreadableDocumentError: It has no package document, or no file to read.
    """
    place = _package_document(package)
    root = _xml(package, place)
    folder = posixpath.dirname(place)
    by_id, items = {}, {}
    for entry in _all(root, "item"):
        part = resolved(folder, entry.get("href", ""))
        item = Item(part, entry.get("media-type", ""), frozenset(entry.get("properties", "").split()))
        by_id[entry.get("id", "")] = items[part] = item
    spine = tuple(by_id[key] for entry in _all(root, "itemref") if (key := entry.get("idref", "")) in by_id)
    if not spine:
        raise UnreadableDocumentError(package.name, "its package document names no file to read.")
    cover = next((item.part for item in items.values() if "cover-image" in item.properties), None)
    named = next((entry.get("content", "") for entry in _all(root, "meta") if entry.get("name") == "cover"), None)
    if cover is None and named in by_id:
        cover = by_id[named].part
    outline: tuple[Entry, ...] = ()
    try:
        outline = _outline(package, root, by_id, items)
    except UnreadableDocumentError as error:
        warnings.append(f"The table of contents can't be read: {error.reason}")
    return Book(_metadata(root), tuple(dict.fromkeys(spine)), items, outline, cover, _encrypted(package))


def resolved(folder: str, link: str) -> str:
    """Return the part that a link in a folder leads to."""
    path = unquote(link.partition("#")[0])
    return posixpath.normpath(posixpath.join(folder, path)).lstrip("/") if path else ""


def _xml(package: Package, part: str) -> Element:
    try:
        return parse(_DOCTYPE.sub(b"", package.read(part), count=1))
    except MalformedXmlError as error:
        raise UnreadableDocumentError(package.name, f"its part {part!r} is not readable: {error}.") from None


def _all(root: Element, name: str) -> Iterator[Element]:
    return (element for element in root.iter() if isinstance(element.tag, str) and local(element) == name)


def _package_document(package: Package) -> str:
    if package.has("META-INF/container.xml"):
        for entry in _all(_xml(package, "META-INF/container.xml"), "rootfile"):
            place = resolved("", entry.get("full-path", ""))
            if package.has(place):
                return place
    found = next((part for part in package.parts if part.lower().endswith(".opf")), None)
    if found is None:
        raise UnreadableDocumentError(package.name, "it has no package document, so it is no EPUB, or a damaged one.")
    return found


def _metadata(root: Element) -> dict[str, JSON]:
    found: dict[str, JSON] = {}
    several: dict[str, list[str]] = {}
    section = next(_all(root, "metadata"), None)
    for entry in section.iter() if section is not None else ():
        key, text = local(entry), " ".join((entry.text or "").split())
        if not text or "purl.org/dc" not in entry.tag:
            continue
        if key in _SINGLE:
            found.setdefault(_SINGLE[key], text)
        elif key in _SEVERAL:
            several.setdefault(_SEVERAL[key], []).append(text)
    found.update({key: ", ".join(values) if key == "author" else values for key, values in several.items()})
    return found


def _outline(
    package: Package, root: Element, by_id: Mapping[str, Item], items: Mapping[str, Item]
) -> tuple[Entry, ...]:
    nav = next((item for item in items.values() if "nav" in item.properties), None)
    if nav is not None:
        return tuple(_from_nav(_xml(package, nav.part), posixpath.dirname(nav.part)))
    spine = next(_all(root, "spine"), None)
    ncx = by_id.get(spine.get("toc", "")) if spine is not None else None
    ncx = ncx or next((item for item in items.values() if item.mime == "application/x-dtbncx+xml"), None)
    if ncx is None:
        return ()
    top = next(_all(_xml(package, ncx.part), "navMap"), None)
    return () if top is None else tuple(_from_ncx(top, posixpath.dirname(ncx.part), 1))[:_MOST_ENTRIES]


def _from_nav(root: Element, folder: str) -> Iterator[Entry]:
    navs = list(_all(root, "nav"))
    contents = [nav for nav in navs if nav.get(f"{_OPS}type") == "toc"] or navs[:1]
    for nav in contents:
        for child in nav:
            if local(child) == "ol":
                yield from _from_list(child, folder, 1)


def _from_list(items: Element, folder: str, level: int) -> Iterator[Entry]:
    for item in items:
        for child in item:
            if local(child) in ("a", "span"):
                yield _entry(" ".join("".join(child.itertext()).split()), level, folder, child.get("href", ""))
            elif local(child) == "ol":
                yield from _from_list(child, folder, level + 1)


def _from_ncx(node: Element, folder: str, level: int) -> Iterator[Entry]:
    for point in node:
        if local(point) != "navPoint":
            continue
        title, link = "", ""
        for child in point:
            if local(child) == "navLabel":
                title = " ".join("".join(child.itertext()).split())
            elif local(child) == "content":
                link = child.get("src", "")
        yield _entry(title, level, folder, link)
        yield from _from_ncx(point, folder, level + 1)


def _entry(title: str, level: int, folder: str, link: str) -> Entry:
    _, sign, place = link.partition("#")
    return Entry(title, level, resolved(folder, link) + sign + place)


def _encrypted(package: Package) -> frozenset[str]:
    if not package.has("META-INF/encryption.xml"):
        return frozenset()
    found: set[str] = set()
    for entry in _all(_xml(package, "META-INF/encryption.xml"), "EncryptedData"):
        method = next(_all(entry, "EncryptionMethod"), None)
        if method is not None and method.get("Algorithm") in _FONTS_ONLY:
            continue
        found.update(resolved("", reference.get("URI", "")) for reference in _all(entry, "CipherReference"))
    return frozenset(found)

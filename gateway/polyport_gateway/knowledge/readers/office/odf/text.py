"""OpenDocument texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from polyport_gateway.knowledge.documents import JSON, Block, NoteCategory, UnreadableDocumentError
from polyport_gateway.knowledge.readers.office.gathering import PackageGathering, fold
from polyport_gateway.knowledge.readers.office.xml import Element

from .lists import Lists, Outline
from .names import OFFICE, STYLE, TEXT
from .story import Shared, Story
from .styles import Styles, styles_of

__all__ = ["read_text", "shared_of"]


def shared_of(gathering: PackageGathering, content: Element, named: Element | None) -> Shared:
    """Make what the stories of a document's content share."""
    styles = Styles(styles_of(named, "styles"), styles_of(content, "automatic-styles"))
    return Shared(gathering, styles, Lists(styles), Outline(styles.outline))


def read_text(gathering: PackageGathering) -> tuple[list[Block], dict[str, JSON]]:
    """Read an ODT: its headers, its body, its footers."""
    content = gathering.package.xml("content.xml")
    body = content.find(f"{OFFICE}body/{OFFICE}text")
    if body is None:
        raise UnreadableDocumentError(gathering.name, "its part 'content.xml' holds no text document.")
    named = gathering.optional_part("styles.xml")
    shared = shared_of(gathering, content, named)
    shared.deleted = dict(_deleted(body))
    paragraphs = {element.get(TEXT + "style-name") for element in body.iter(TEXT + "p")}
    # A title is wider than the first level of headings, so these move down where there is one.
    if any("title" in shared.styles.names("paragraph", style)[:3] for style in paragraphs):
        shared.heading_offset = 1
    furniture = _Furniture(gathering, shared, named)
    headers = furniture.blocks("header")
    blocks = Story(shared).blocks(body)
    return [*headers, *blocks, *furniture.blocks("footer")], {}


def _deleted(body: Element) -> Iterator[tuple[str, str]]:
    """Give what the tracked changes took out."""
    for region in body.iterfind(f"{TEXT}tracked-changes/{TEXT}changed-region"):
        deletion = region.find(TEXT + "deletion")
        if deletion is None:
            continue
        lines = ("".join(part.itertext()).strip() for part in deletion.iter() if part.tag in {TEXT + "p", TEXT + "h"})
        if text := "\n".join(line for line in lines if line):
            yield region.get(TEXT + "id", "") or region.get("{http://www.w3.org/XML/1998/namespace}id", ""), text


class _Furniture:
    """The headers and footers of the pages that a text uses."""

    def __init__(self, gathering: PackageGathering, shared: Shared, named: Element | None) -> None:
        # Styles that a program made for headers have the same names as others that it made for the text.
        styles = Styles(styles_of(named, "styles"), styles_of(named, "automatic-styles"))
        self._shared = replace(shared, styles=styles, lists=Lists(styles), outline=Outline(None), page=None)
        masters = styles_of(named, "master-styles")
        self._pages = [] if masters is None else masters.findall(STYLE + "master-page")
        self._seen: set[str] = set()

    def blocks(self, kind: NoteCategory) -> list[Block]:
        """Read the headers or the footers, each text once."""
        found: list[Block] = []
        for page in self._pages:
            for name in (kind, f"{kind}-left", f"{kind}-first"):
                element = page.find(STYLE + name)
                if element is None or element.get(STYLE + "display") == "false":
                    continue
                inside = Story(self._shared).blocks(element)
                for block in fold(inside, kind, Story(replace(self._shared, page=1)).provenance(), name):
                    if block.text not in self._seen or not block.text:
                        self._seen.add(block.text)
                        found.append(block)
        return found

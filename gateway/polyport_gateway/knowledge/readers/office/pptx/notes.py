"""What stands beside a slide: its speaker notes and its comments."""

from __future__ import annotations

from collections.abc import Iterator

from polyport_gateway.knowledge.documents import Note, Provenance
from polyport_gateway.knowledge.readers.office.gathering import PackageGathering
from polyport_gateway.knowledge.readers.office.package import Relationship
from polyport_gateway.knowledge.readers.office.xml import Element

from .layouts import placeholder_of
from .names import P188, P
from .paragraphs import TextBody, plain_text

__all__ = ["Authors", "read_comments", "read_notes"]


class Authors:
    """Who wrote the comments of a presentation, in the older form and in that of PowerPoint 365."""

    def __init__(self, gathering: PackageGathering, relationships: dict[str, Relationship]) -> None:
        self._names: dict[str, str] = {}
        for relationship in relationships.values():
            if relationship.kind not in {"commentAuthors", "authors"} or relationship.external:
                continue
            root = gathering.optional_part(relationship.target)
            for entry in () if root is None else [*root.iter(P + "cmAuthor"), *root.iter(P188 + "author")]:
                self._names[entry.get("id", "")] = entry.get("name") or entry.get("initials") or ""

    def name(self, id_: str) -> str:
        """Return an author's name; empty for one that the file doesn't list."""
        return self._names.get(id_, "")


def read_notes(gathering: PackageGathering, part: str, page: int) -> Iterator[Note]:
    """Give what the speaker is to say."""
    root = gathering.optional_part(part)
    text = TextBody(gathering.package.relationships(part))
    for shape in () if root is None else root.iter(P + "sp"):
        placeholder, body = placeholder_of(shape), shape.find(P + "txBody")
        if body is None or (placeholder is not None and placeholder.type != "body"):
            continue  # the slide's picture, its number, the date
        written, marks = text.line(body)
        if written:
            yield Note(text=written, marks=marks, category="speaker", provenance=Provenance(page=page))


def read_comments(gathering: PackageGathering, part: str, authors: Authors, page: int) -> Iterator[Note]:
    """Give the comments on a slide, each followed by its answers."""
    root = gathering.optional_part(part)
    for comment in () if root is None else root:
        if comment.tag == P + "cm":
            yield from _note(comment.findtext(P + "text") or "", comment, authors, "", page)
        elif comment.tag == P188 + "cm":
            label = "resolved" if comment.get("status") == "resolved" else ""
            yield from _note(_words(comment), comment, authors, label, page)
            for reply in comment.iterfind(f"{P188}replyLst/{P188}reply"):
                yield from _note(_words(reply), reply, authors, "reply", page)


def _words(comment: Element) -> str:
    body = comment.find(P188 + "txBody")
    return "" if body is None else plain_text(body)


def _note(text: str, comment: Element, authors: Authors, label: str, page: int) -> Iterator[Note]:
    if text.strip():
        author = authors.name(comment.get("authorId", ""))
        yield Note(text=text.strip(), category="comment", label=label, author=author, provenance=Provenance(page=page))

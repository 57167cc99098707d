"""The small values that a document is made of: where it came from, and where each piece stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

__all__ = ["JSON", "Box", "Mark", "Provenance", "Source", "Span", "TimeSpan"]

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"


class Span(NamedTuple):
    """Half-open range of characters, counted in Unicode code points."""

    start: int
    end: int

    def covers(self, other: Span) -> bool:
        """Tell whether all of another range lies inside this one."""
        return self.start <= other.start and other.end <= self.end

    def overlaps(self, other: Span) -> bool:
        """Tell whether at least one character is in both."""
        return self.start < other.end and other.start < self.end


class Box(NamedTuple):
    """A rectangle on a page, in points from the page's top left corner."""

    left: float
    top: float
    right: float
    bottom: float


class TimeSpan(NamedTuple):
    """From when to when, in seconds from the beginning."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Source:
    """The file a document was made of.

    Args:
        name: Its name, without a folder.
        mime: What its content is, which need not be what its name says.
        size: Bytes.
        sha256: Of its bytes, in hexadecimal.
    """

    name: str
    mime: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where in the file a block stands; what a format does not have stays None.

    Args:
        page: Page or slide, from 1.
        bbox: Its place on the page.
        sheet: Name of the worksheet.
        cells: Range on the sheet, such as ``A1:C3``.
        source_span: Characters of the decoded file (text formats only).
        part: A file inside the file: an attachment, a member of an archive, a chapter.
        time: When it is said or shown (subtitles, transcripts).
    """

    page: int | None = None
    bbox: Box | None = None
    sheet: str | None = None
    cells: str | None = None
    source_span: Span | None = None
    part: str | None = None
    time: TimeSpan | None = None


class Mark(NamedTuple):
    """An inline style over part of a block.

    Args:
        start: First character, counted from the start of the *block's* text.
        end: One past the last.
        kind: ``bold``, ``italic``, ``underline``, ``strike``, ``code``, ``link``, ``superscript``, ``subscript``,
            ``formula``.
        value: A link's target.
    """

    start: int
    end: int
    kind: str
    value: str = ""

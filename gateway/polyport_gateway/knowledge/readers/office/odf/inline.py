"""The inside of a paragraph: spans, links, fields, notes, comments and what is anchored in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from polyport_gateway.knowledge.readers.office.text import Style, StyledText
from polyport_gateway.knowledge.readers.office.xml import Element, local

from .names import DRAW, LINK, OFFICE, TEXT, count
from .styles import NO_FACE, Face, Styles

__all__ = ["Inline", "read_inline"]

_BLANKS = re.compile(r"[ \t\r\n]+")
_NOTHING = frozenset(
    {TEXT + "bookmark", TEXT + "bookmark-start", TEXT + "bookmark-end", TEXT + "change-start", TEXT + "change-end",
     TEXT + "reference-mark-start", TEXT + "reference-mark-end", OFFICE + "annotation-end",
     TEXT + "alphabetical-index-mark", TEXT + "toc-mark", TEXT + "user-index-mark"}
)  # fmt: skip
_BLANK_SIGNS = {TEXT + "s": " ", TEXT + "tab": "\t", TEXT + "line-break": "\n"}
_MOST_BLANKS = 1_000


@dataclass(slots=True)
class Inline:
    """What a paragraph holds.

    Args:
        text: Its text, with marks.
        formulas: Its formulas.
        only_formulas: They are all of it.
        drawings: Frames and shapes that are anchored in it.
        notes: Footnotes, endnotes and comments.
        changes: Ids of the tracked changes that took something out of it.
        breaks: Pages that end in it: True for each that does so before its first word.
        hidden: Text that is not shown.
        sequence: It counts a table or a picture, as a caption does.
        blank: A blank that follows says nothing.
    """

    text: StyledText = field(default_factory=StyledText)
    formulas: list[str] = field(default_factory=list)
    only_formulas: bool = True
    drawings: list[Element] = field(default_factory=list)
    notes: list[Element] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    breaks: list[bool] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    sequence: bool = False
    blank: bool = True

    def add(self, text: str, marks: list[Style]) -> None:
        """Append text; blanks in a row are one, and none stands at a paragraph's start."""
        text = _BLANKS.sub(" ", text)
        if self.blank:
            text = text.removeprefix(" ")
        self.add_raw(text, marks)

    def add_raw(self, text: str, marks: list[Style]) -> None:
        """Append text as it is."""
        if text:
            self.only_formulas = self.only_formulas and not text.strip()
            self.text.add(text, marks)
            self.blank = text[-1] == " "


def read_inline(
    paragraph: Element, styles: Styles, face: Face = NO_FACE, formula: Callable[[Element], str] | None = None
) -> Inline:
    """Read a ``text:p`` or ``text:h``.

    Args:
        paragraph: The element.
        styles: The document's.
        face: How its letters look where nothing else is said.
        formula: Gives the LaTeX of a frame that is a formula; empty for any other.
    """
    inline = Inline()
    _Reader(inline, styles, formula).walk(paragraph, face, [])
    return inline


class _Reader:
    def __init__(self, inline: Inline, styles: Styles, formula: Callable[[Element], str] | None) -> None:
        self._formula = formula
        self._inline = inline
        self._styles = styles

    def walk(self, element: Element, face: Face, links: list[Style]) -> None:
        self._text(element.text, face, links)
        for child in element:
            self._child(child, face, links)
            self._text(child.tail, face, links)

    def _text(self, text: str | None, face: Face, links: list[Style]) -> None:
        if not text:
            return
        if face.hidden:
            if text.strip():
                self._inline.hidden.append(text.strip())
        else:
            self._inline.add(text, [*face.marks(), *links])

    def _child(self, child: Element, face: Face, links: list[Style]) -> None:
        tag, inline = child.tag, self._inline
        if tag == TEXT + "span":
            own = self._styles.face("text", child.get(TEXT + "style-name"))
            self.walk(child, own.inside(face), links)
        elif tag == TEXT + "a":
            target = child.get(LINK + "href", "")
            self.walk(child, face, [*links, ("link", target)] if target else links)
        elif tag in _BLANK_SIGNS:
            self._blank_sign(child, [*face.marks(), *links])
        elif tag == TEXT + "soft-page-break":
            inline.breaks.append(not inline.text)
        elif tag == TEXT + "note":
            self._note(child)
        elif tag == OFFICE + "annotation":
            inline.notes.append(child)
        elif tag == TEXT + "change":
            inline.changes.append(child.get(TEXT + "change-id", ""))
        elif tag == TEXT + "ruby":
            self._ruby(child, face, links)
        elif tag.startswith(DRAW):
            self._drawing(child, face, links)
        elif tag not in _NOTHING:
            inline.sequence = inline.sequence or tag == TEXT + "sequence"
            self.walk(child, face, links)

    def _blank_sign(self, child: Element, marks: list[Style]) -> None:
        sign = _BLANK_SIGNS[child.tag]
        repeated = min(count(child, TEXT + "c"), _MOST_BLANKS) if sign == " " else 1
        self._inline.add_raw(sign * repeated, marks)
        self._inline.blank = self._inline.blank or sign == "\n"

    def _note(self, note: Element) -> None:
        self._inline.notes.append(note)
        citation = note.find(TEXT + "note-citation")
        label = "" if citation is None else citation.get(TEXT + "label") or "".join(citation.itertext()).strip()
        if label:
            self._inline.add_raw(label, [("superscript", "")])

    def _drawing(self, child: Element, face: Face, links: list[Style]) -> None:
        if local(child) == "a":
            for inner in child:
                self._child(inner, face, links)
        elif self._formula is not None and (latex := self._formula(child)):
            self._inline.formulas.append(latex)
            self._inline.text.add(latex, [("formula", "")])
            self._inline.blank = False
        else:
            self._inline.drawings.append(child)

    def _ruby(self, ruby: Element, face: Face, links: list[Style]) -> None:
        base, guide = ruby.find(TEXT + "ruby-base"), ruby.find(TEXT + "ruby-text")
        if base is not None:
            self.walk(base, face, links)
        reading = "" if guide is None else "".join(guide.itertext()).strip()
        if reading:
            self._text(f"({reading})", face, links)

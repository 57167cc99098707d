"""The inside of a paragraph: runs, links, fields, formulas, notes, pictures and text boxes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from polyport_gateway.knowledge.readers.office.omml import to_latex
from polyport_gateway.knowledge.readers.office.ooxml import MC, M, R, alternative
from polyport_gateway.knowledge.readers.office.package import Relationship
from polyport_gateway.knowledge.readers.office.text import Style, StyledText
from polyport_gateway.knowledge.readers.office.xml import Element, local

from .names import W14, W, is_on, value
from .styles import Styles

__all__ = ["Inline", "InlineReader"]

_TRANSPARENT = frozenset({"ins", "moveTo", "smartTag", "customXml", "sdtContent", "fldSimple", "dir", "bdo", "sdt"})
_LINK_FIELD = re.compile(r'\s*HYPERLINK\s+(?:\\l\s+)?"([^"]+)"', re.IGNORECASE)
_SIMPLE_MARKS = (("b", "bold"), ("i", "italic"), ("strike", "strike"), ("dstrike", "strike"))
_CHECKED, _UNCHECKED = "☒", "☐"


@dataclass(slots=True)
class Inline:
    """What a paragraph holds.

    Args:
        text: Its text, with marks.
        drawings: Pictures, text boxes and charts that are anchored in it.
        notes: Kind and id of the notes it refers to: ``footnote``, ``endnote``, ``comment``.
        formulas: Its formulas; when they are all of it, it is a formula of its own.
        checkbox: State of the box that it begins with.
        breaks: Page breaks: True for each that stands before its first word.
        deleted: Text that a tracked change takes out.
        hidden: Text that is not shown.
    """

    text: StyledText = field(default_factory=StyledText)
    drawings: list[Element] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    formulas: list[str] = field(default_factory=list)
    only_formulas: bool = True
    checkbox: bool | None = None
    breaks: list[bool] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)


class InlineReader:
    """Reads paragraphs of one part.

    Args:
        styles: The document's.
        relationships: The part's.
        label: Gives the number that a foot- or endnote is shown with.
        rendered_breaks: The file says where Word broke its pages; breaks that its author set are among these.
    """

    def __init__(
        self,
        styles: Styles,
        relationships: dict[str, Relationship],
        label: Callable[[str, str], str],
        *,
        rendered_breaks: bool,
    ) -> None:
        self._styles = styles
        self._relationships = relationships
        self._label = label
        self._rendered_breaks = rendered_breaks
        self._fields: list[
            tuple[list[str], bool]
        ] = []  # instruction and whether its result has begun; may span paragraphs

    def read(self, paragraph: Element) -> Inline:
        """Read one paragraph."""
        inline = Inline()
        self._walk(paragraph, inline, ())
        return inline

    def _walk(self, element: Element, inline: Inline, styles: tuple[Style, ...]) -> None:
        for child in element:
            if child.tag == W + "r":
                self._run(child, inline, styles)
            elif child.tag == W + "hyperlink":
                self._walk(child, inline, (*styles, *self._link(child)))
            elif child.tag in {M + "oMath", M + "oMathPara"}:
                self._formula(child, inline)
            elif child.tag in {W + "del", W + "moveFrom"}:
                self._deletion(child, inline)
            elif child.tag == W + "sdt" and (box := child.find(f"{W}sdtPr/{W14}checkbox")) is not None:
                self._checkbox(box, inline)
            elif child.tag == MC + "AlternateContent":
                chosen = alternative(child)
                if chosen is not None:
                    self._walk(chosen, inline, styles)
            elif child.tag.startswith(W) and local(child) in _TRANSPARENT:
                self._walk(child, inline, styles)
            elif child.tag == W + "ruby":
                self._ruby(child, inline, styles)

    def _link(self, element: Element) -> tuple[Style, ...]:
        relationship = self._relationships.get(element.get(R + "id", ""))
        anchor = element.get(W + "anchor")
        target = (relationship.target if relationship else "") + (f"#{anchor}" if anchor else "")
        return (("link", target),) if target else ()

    def _formula(self, element: Element, inline: Inline) -> None:
        equations = element.findall(M + "oMath") if element.tag == M + "oMathPara" else [element]
        for equation in equations:
            latex = to_latex(equation)
            if latex:
                inline.formulas.append(latex)
                inline.text.add(latex, [("formula", "")])

    def _deletion(self, element: Element, inline: Inline) -> None:
        if element.tag == W + "moveFrom":
            return  # the same words stand where they were moved to
        text = "".join(part.text or "" for part in element.iter(W + "delText"))
        if text.strip():
            inline.deleted.append(text)

    def _checkbox(self, box: Element, inline: Inline) -> None:
        checked = box.find(W14 + "checked")
        on = checked is not None and checked.get(W14 + "val") in {"1", "true", "on"}
        if not inline.text and inline.checkbox is None:
            inline.checkbox = on
        else:
            inline.only_formulas = False
            inline.text.add(_CHECKED if on else _UNCHECKED)

    def _ruby(self, element: Element, inline: Inline, styles: tuple[Style, ...]) -> None:
        base, guide = element.find(W + "rubyBase"), element.find(W + "rt")
        if base is not None:
            self._walk(base, inline, styles)
        reading = "" if guide is None else "".join(part.text or "" for part in guide.iter(W + "t"))
        if reading:
            inline.text.add(f"({reading})", styles)

    def _run(self, run: Element, inline: Inline, styles: tuple[Style, ...]) -> None:
        properties = run.find(W + "rPr")
        if properties is not None:
            layers = [properties, *self._styles.run(value(properties, "rStyle"))]
            if _first(layers, "vanish"):
                text = "".join(part.text or "" for part in run.iter(W + "t"))
                if text.strip():
                    inline.hidden.append(text)
                return
            styles = (*styles, *_marks(layers))
        self._pieces(run, inline, styles)

    def _pieces(self, run: Element, inline: Inline, styles: tuple[Style, ...]) -> None:
        for piece in run:
            name = local(piece)
            if name == "t":
                self._text(piece.text or "", inline, styles)
            elif name in _CHARACTERS:
                inline.text.add(_CHARACTERS[name], styles)
            elif name in {"br", "lastRenderedPageBreak"}:
                self._break(piece, name, inline, styles)
            elif name == "sym":
                self._text(_symbol(piece), inline, styles)
            elif name in {"fldChar", "instrText"}:
                self._field(piece, name)
            elif name in {"footnoteReference", "endnoteReference", "commentReference"}:
                self._note(piece, name.removesuffix("Reference"), inline)
            elif name in {"drawing", "pict", "object"}:
                inline.drawings.append(piece)
            elif name == "AlternateContent":
                chosen = alternative(piece)
                if chosen is not None:
                    self._pieces(chosen, inline, styles)
            elif name == "ruby":
                self._ruby(piece, inline, styles)

    def _text(self, text: str, inline: Inline, styles: tuple[Style, ...]) -> None:
        if text.strip():
            inline.only_formulas = False
        for instruction, begun in self._fields:
            match = _LINK_FIELD.match("".join(instruction)) if begun else None
            if match:
                styles = (*styles, ("link", match[1]))
        inline.text.add(text, styles)

    def _break(self, piece: Element, name: str, inline: Inline, styles: tuple[Style, ...]) -> None:
        rendered = name == "lastRenderedPageBreak"
        if rendered or piece.get(W + "type") == "page":
            if rendered == self._rendered_breaks:
                inline.breaks.append(not inline.text)
        elif piece.get(W + "type") != "column":
            inline.text.add("\n", styles)

    def _field(self, piece: Element, name: str) -> None:
        if name == "instrText":
            if self._fields and not self._fields[-1][1]:
                self._fields[-1][0].append(piece.text or "")
            return
        kind = piece.get(W + "fldCharType")
        if kind == "begin":
            self._fields.append(([], False))
        elif kind == "separate" and self._fields:
            self._fields[-1] = (self._fields[-1][0], True)
        elif kind == "end" and self._fields:
            self._fields.pop()

    def _note(self, piece: Element, kind: str, inline: Inline) -> None:
        id_ = piece.get(W + "id", "")
        inline.notes.append((kind, id_))
        if kind != "comment":
            inline.only_formulas = False
            inline.text.add(self._label(kind, id_), [("superscript", "")])


_CHARACTERS = {"tab": "\t", "ptab": "\t", "cr": "\n", "noBreakHyphen": "\u2011", "softHyphen": "\u00ad"}


def _first(layers: list[Element], name: str) -> bool | None:
    return next((found for layer in layers if (found := is_on(layer, name)) is not None), None)


def _marks(layers: list[Element]) -> list[Style]:
    marks = [(kind, "") for name, kind in _SIMPLE_MARKS if _first(layers, name)]
    underline = next((found for layer in layers if (found := value(layer, "u")) is not None), None)
    if underline not in {None, "none"}:
        marks.append(("underline", ""))
    script = next((found for layer in layers if (found := value(layer, "vertAlign")) is not None), None)
    if script in {"superscript", "subscript"}:
        marks.append((script, ""))
    return marks


def _symbol(piece: Element) -> str:
    try:
        code = int(piece.get(W + "char", ""), 16)
    except ValueError:
        return ""
    if 0xF000 <= code <= 0xF0FF:
        font = piece.get(W + "font", "").lower()
        return (
            _WINGDINGS.get(code - 0xF000, "•")
            if font == "wingdings"
            else _SYMBOL.get(code - 0xF000, chr(code - 0xF000))
        )
    return chr(code) if 0 < code < 0xD800 or 0xDFFF < code < 0x110000 else ""


_WINGDINGS = {
    0x6C: "●", 0x6E: "■", 0x6F: "□", 0x71: "❑", 0x75: "◆", 0x76: "❖", 0xA7: "▪", 0xA8: "☐", 0xD8: "➢", 0xE0: "→",
    0xDF: "←", 0xE1: "↑", 0xE2: "↓", 0xE8: "➔", 0xFB: "✗", 0xFC: "✓", 0xFD: "☒", 0xFE: "☑", 0x4A: "☺", 0x4C: "☹",
}  # fmt: skip
_SYMBOL = {
    0x61: "α", 0x62: "β", 0x63: "χ", 0x64: "δ", 0x65: "ε", 0x66: "φ", 0x67: "γ", 0x68: "η", 0x6C: "λ", 0x6D: "μ",
    0x70: "π", 0x71: "θ", 0x72: "ρ", 0x73: "σ", 0x74: "τ", 0x77: "ω", 0x44: "Δ", 0x53: "Σ", 0x57: "Ω", 0xB0: "°",
    0xB1: "±", 0xB3: "≥", 0xB4: "×", 0xA3: "≤", 0xA5: "∞", 0xB7: "•", 0xB9: "≠", 0xBB: "≈", 0xAE: "→", 0xAC: "←",
    0xDE: "⇒", 0xD2: "®", 0xD3: "©", 0xD4: "™",
}  # fmt: skip

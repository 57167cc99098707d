"""Text bodies (DrawingML, ECMA-376 part 1, section 21.1.2): paragraphs, lists and formulas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from polyport_gateway.knowledge.documents import Block, Formula, ListItem, Mark, Paragraph, Provenance
from polyport_gateway.knowledge.readers.office.counting import counted, shown_bullet
from polyport_gateway.knowledge.readers.office.omml import to_latex
from polyport_gateway.knowledge.readers.office.ooxml import MC, A, M, R, alternative
from polyport_gateway.knowledge.readers.office.package import Relationship
from polyport_gateway.knowledge.readers.office.text import Style, StyledText
from polyport_gateway.knowledge.readers.office.xml import Element, local

from .names import A14, on, whole

__all__ = ["TextBody", "plain_text"]

_LEVELS = 9
_FORMS = {
    "arabic": "decimal", "romanLc": "lowerRoman", "romanUc": "upperRoman", "alphaLc": "lowerLetter",
    "alphaUc": "upperLetter", "circleNumDb": "decimalEnclosedCircle", "circleNumWdBlack": "decimalEnclosedCircle",
    "circleNumWdWhite": "decimalEnclosedCircle", "ea1Chs": "chineseCounting", "ea1Cht": "taiwaneseCountingThousand",
    "ea1JpnChs": "chineseCounting", "ea1JpnKor": "decimal", "arabicDb": "decimal",
}  # fmt: skip
_AROUND = {"ParenBoth": "({})", "ParenR": "{})", "Period": "{}.", "Plain": "{}", "Minus": "- {}", "": "{}"}


@dataclass(slots=True)
class _Inline:
    text: StyledText = field(default_factory=StyledText)
    formulas: list[str] = field(default_factory=list)
    only_formulas: bool = True


class TextBody:
    """Reads the text bodies of one part.

    Args:
        relationships: Of the part, for its links.
    """

    def __init__(self, relationships: dict[str, Relationship]) -> None:
        self._relationships = relationships

    def blocks(self, body: Element, lists: Sequence[Element], where: Provenance) -> list[Block]:
        """Read a ``txBody``.

        Args:
            body: The element.
            lists: Elements with its list levels, the nearest first.
            where: Its place.
        """
        found: list[Block] = []
        counter = _Counter()
        for paragraph in body.findall(A + "p"):
            inline = self._inline(paragraph)
            text, marks = inline.text.finish()
            if not text:
                continue  # PowerPoint shows no number beside an empty paragraph, and doesn't count it
            properties = paragraph.find(A + "pPr")
            level = min(max(whole(properties, "lvl"), 0), _LEVELS - 1)
            bullet = _bullet(properties, lists, level)
            marker = counter.next(bullet, level)
            if inline.formulas and inline.only_formulas:
                found.append(Formula(text=" \\\\ ".join(inline.formulas), provenance=where))
            elif marker is None or bullet is None:
                found.append(Paragraph(text=text, marks=marks, provenance=where))
            else:
                ordered = bullet.tag == A + "buAutoNum"
                found.append(
                    ListItem(text=text, marks=marks, level=level + 1, ordered=ordered, marker=marker, provenance=where)
                )
        return found

    def line(self, body: Element) -> tuple[str, tuple[Mark, ...]]:
        """Read a text body as one text."""
        whole_text = _Inline()
        for paragraph in body.findall(A + "p"):
            if whole_text.text:
                whole_text.text.add("\n")
            self._walk(paragraph, whole_text)
        return whole_text.text.finish()

    def _inline(self, paragraph: Element) -> _Inline:
        inline = _Inline()
        self._walk(paragraph, inline)
        return inline

    def _walk(self, element: Element, inline: _Inline) -> None:
        for child in element:
            if child.tag in {A + "r", A + "fld"}:
                text = (child.findtext(A + "t") or "").replace("\v", "\n").replace("_x000B_", "\n")
                inline.only_formulas = inline.only_formulas and not text.strip()
                inline.text.add(text, self._styles(child.find(A + "rPr")))
            elif child.tag == A + "br":
                inline.text.add("\n")
            elif child.tag == MC + "AlternateContent":
                chosen = alternative(child)
                if chosen is not None:
                    self._walk(chosen, inline)
            elif child.tag == A14 + "m":
                for equation in child.iter(M + "oMath"):
                    if latex := to_latex(equation):
                        inline.formulas.append(latex)
                        inline.text.add(latex, [("formula", "")])

    def _styles(self, properties: Element | None) -> list[Style]:
        if properties is None:
            return []
        styles = [(kind, "") for name, kind in (("b", "bold"), ("i", "italic")) if on(properties, name)]
        if properties.get("u", "none") != "none":
            styles.append(("underline", ""))
        if properties.get("strike", "noStrike") != "noStrike":
            styles.append(("strike", ""))
        if baseline := whole(properties, "baseline"):
            styles.append(("superscript" if baseline > 0 else "subscript", ""))
        link = properties.find(A + "hlinkClick")
        relationship = None if link is None else self._relationships.get(link.get(R + "id", ""))
        if relationship is not None:
            target = relationship.target if relationship.external else f"#{relationship.target.rpartition('/')[2]}"
            styles.append(("link", target))
        return styles


def plain_text(body: Element) -> str:
    """Return the words of a text body, a line for each paragraph."""
    text, _ = TextBody({}).line(body)
    return text


def _bullet(properties: Element | None, lists: Sequence[Element], level: int) -> Element | None:
    """Find what says whether a paragraph has a sign or a number before it; the nearest wins."""
    layers = [properties, *(style.find(f"{A}lvl{level + 1}pPr") for style in lists)]
    for layer in layers:
        for child in () if layer is None else layer:
            name = local(child)
            if name == "buNone":
                return None
            if name in {"buChar", "buAutoNum", "buBlip"}:
                return child
    return None


class _Counter:
    """Counts the numbered paragraphs of one text body (section 21.1.2.4.1)."""

    def __init__(self) -> None:
        self._counts: dict[int, tuple[tuple[str, int], int]] = {}

    def next(self, bullet: Element | None, level: int) -> str | None:
        """Return what stands before a paragraph; None when nothing does."""
        for deeper in [other for other in self._counts if other > level]:
            del self._counts[deeper]
        if bullet is None or local(bullet) != "buAutoNum":
            self._counts.pop(level, None)
            if bullet is None:
                return None
            return shown_bullet(bullet.get("char", "")) if local(bullet) == "buChar" else "•"
        kind, start = bullet.get("type", "arabicPeriod"), max(whole(bullet, "startAt", 1), 1)
        key, count = self._counts.get(level, (None, 0))
        count = count + 1 if key == (kind, start) else start
        self._counts[level] = (kind, start), count
        around = next((ending for ending in _AROUND if ending and kind.endswith(ending)), "")
        form = _FORMS.get(kind.removesuffix(around), "decimal")
        return _AROUND[around].format(counted(count, form))

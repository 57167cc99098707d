"""Presentation MathML (https://www.w3.org/TR/mathml-core/) as LaTeX.

An element this module doesn't know gives the LaTeX of what it holds, so no symbol of a formula is ever dropped.
"""

from __future__ import annotations

from collections.abc import Callable

from .latex import ACCENTS, BRACKETS, FUNCTIONS, OPERATORS, ends_in_command, letters, prose
from .xml import Element, local

__all__ = ["mathml_to_latex"]

_LIMITS = frozenset(OPERATORS.values()) | {r"\lim", r"\max", r"\min", r"\sup", r"\inf"}
_LINES = {"\u00af": "overline", "\u0332": "underline", "_": "underline", "\u203e": "overline", "⏞": "overbrace",
          "⏟": "underbrace"}  # fmt: skip


def mathml_to_latex(root: Element) -> str:
    """Write a ``math`` element as LaTeX; what a program noted beside it is used where it holds no formula."""
    written = _joined(root).strip()
    if written:
        return written
    noted = next((child for child in root.iter() if local(child) == "annotation"), None)
    return "" if noted is None else "".join(noted.itertext()).strip()


def _joined(element: Element) -> str:
    joined = ""
    for child in element:
        piece = _one(child)
        if piece and piece[0].isalpha() and ends_in_command(joined):
            joined += " "
        joined += piece
    return joined


def _one(element: Element) -> str:
    name = local(element)
    if name in {"annotation", "annotation-xml", "mphantom", "none", "mprescripts"}:
        return ""
    handler = _HANDLERS.get(name)
    return handler(element) if handler else _joined(element)


def _group(element: Element) -> str:
    """Write a row, with its fences as large as what they hold."""
    children = list(element)
    first, last = (_fence(children[0]), _fence(children[-1])) if len(children) > 1 else (None, None)
    if first and last:
        inner = Element(element.tag)
        inner.extend(children[1:-1])
        return rf"\left{first}{_joined(inner).strip()}\right{last}"
    return _joined(element)


def _fence(element: Element) -> str | None:
    if local(element) != "mo" or not (element.get("fence") == "true" or element.get("stretchy") == "true"):
        return None
    return BRACKETS.get((element.text or "").strip())


def _identifier(element: Element) -> str:
    text = "".join(element.itertext()).strip()
    if text in FUNCTIONS:
        return f"\\{text}"
    if len(text) > 1 and text.isalpha():
        return rf"\operatorname{{{letters(text)}}}"
    return letters(text)


def _operator(element: Element) -> str:
    text = "".join(element.itertext()).strip()
    if text in FUNCTIONS:
        return f"\\{text}"
    return OPERATORS.get(text) or letters(text)


def _parts(element: Element) -> list[str]:
    return [_one(child).strip() for child in element]


def _braced(element: Element, count: int) -> list[str]:
    parts = _parts(element)[:count]
    return parts + [""] * (count - len(parts))


def _fraction(element: Element) -> str:
    over, under = _braced(element, 2)
    if element.get("linethickness", "").strip() in {"0", "0pt", "0px"}:
        return rf"\genfrac{{}}{{}}{{0pt}}{{}}{{{over}}}{{{under}}}"
    return rf"\frac{{{over}}}{{{under}}}"


def _base(written: str) -> str:
    # A base of several signs would have its script at the last one only.
    return written if len(written) < 2 or written.startswith("\\") else f"{{{written}}}"


def _superscript(element: Element) -> str:
    base, script = _braced(element, 2)
    return f"{_base(base)}^{{{script}}}"


def _subscript(element: Element) -> str:
    base, script = _braced(element, 2)
    return f"{_base(base)}_{{{script}}}"


def _both_scripts(element: Element) -> str:
    base, below, above = _braced(element, 3)
    return f"{_base(base)}_{{{below}}}^{{{above}}}"


def _root(element: Element) -> str:
    inner, degree = _braced(element, 2)
    return rf"\sqrt[{degree}]{{{inner}}}"


def _over(element: Element) -> str:
    base, above = _braced(element, 2)
    sign = "".join(element[1].itertext()).strip() if len(element) > 1 else ""
    if base in _LIMITS:
        return f"{base}^{{{above}}}"
    if sign in _LINES:
        return rf"\{_LINES[sign]}{{{base}}}"
    return rf"\{ACCENTS[sign]}{{{base}}}" if sign in ACCENTS else rf"\overset{{{above}}}{{{base}}}"


def _under(element: Element) -> str:
    base, below = _braced(element, 2)
    sign = "".join(element[1].itertext()).strip() if len(element) > 1 else ""
    if base in _LIMITS:
        return f"{base}_{{{below}}}"
    return rf"\{_LINES[sign]}{{{base}}}" if sign in _LINES else rf"\underset{{{below}}}{{{base}}}"


def _under_over(element: Element) -> str:
    base, below, above = _braced(element, 3)
    return f"{base}_{{{below}}}^{{{above}}}"


def _table(element: Element) -> str:
    rows = [" & ".join(_joined(cell).strip() for cell in row) for row in element if local(row) == "mtr"]
    return r"\begin{matrix}" + r" \\ ".join(rows) + r"\end{matrix}"


def _fenced(element: Element) -> str:
    left, right = element.get("open", "("), element.get("close", ")")
    inner = (element.get("separators", ",")[:1] or "").join(_parts(element))
    return rf"\left{BRACKETS.get(left, left)}{inner}\right{BRACKETS.get(right, right)}"


_HANDLERS: dict[str, Callable[[Element], str]] = {
    "mrow": _group,
    "mi": _identifier,
    "mn": lambda element: letters("".join(element.itertext()).strip()),
    "mo": _operator,
    "mtext": lambda element: prose("".join(element.itertext())),
    "ms": lambda element: prose("".join(element.itertext())),
    "mspace": lambda _: " ",
    "mfrac": _fraction,
    "msup": _superscript,
    "msub": _subscript,
    "msubsup": _both_scripts,
    "msqrt": lambda element: rf"\sqrt{{{_joined(element).strip()}}}",
    "mroot": _root,
    "mover": _over,
    "munder": _under,
    "munderover": _under_over,
    "mtable": _table,
    "mfenced": _fenced,
}

r"""Office's equations (OMML, ECMA-376 part 1, section 22.1) as LaTeX.

An element this module doesn't know gives the LaTeX of what it holds, so no symbol of a formula is ever dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from xml.etree.ElementTree import Element

from .latex import ACCENTS, BRACKETS, FUNCTIONS, OPERATORS, PROSE, ends_in_command, letters, prose

__all__ = ["to_latex"]

_M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"


def to_latex(element: Element) -> str:
    r"""Write an ``m:oMath`` (or anything inside one) as LaTeX, without the surrounding ``$``."""
    return _children(element).strip()


def _children(element: Element | None) -> str:
    if element is None:
        return ""
    joined = ""
    for child in element:
        piece = _one(child)
        # A command's name must not run into the letter that follows it.
        if piece and piece[0].isalpha() and ends_in_command(joined):
            joined += " "
        joined += piece
    return joined


def _one(element: Element) -> str:
    if not element.tag.startswith(_M):
        return ""
    name = element.tag[len(_M) :]
    if name.endswith("Pr"):
        return ""
    handler = _HANDLERS.get(name)
    return handler(element) if handler else _children(element)


def _part(element: Element, name: str) -> str:
    return _children(element.find(_M + name)).strip()


def _setting(element: Element, name: str, default: str = "") -> str:
    """Read ``m:<name>`` of the element's property element; an attribute left out there means an empty character."""
    properties = element.find(f"{element.tag}Pr")
    found = None if properties is None else properties.find(_M + name)
    return default if found is None else found.get(_M + "val", "")


def _run(element: Element) -> str:
    text = "".join(part.text or "" for part in element.iter(_M + "t"))
    properties = element.find(_M + "rPr")
    normal = properties is not None and properties.find(_M + "nor") is not None
    return prose(text) if normal or PROSE.search(text) else letters(text)


def _fraction(element: Element) -> str:
    over, under = _part(element, "num"), _part(element, "den")
    kind = _setting(element, "type", "bar")
    if kind == "noBar":
        return rf"\genfrac{{}}{{}}{{0pt}}{{}}{{{over}}}{{{under}}}"
    if kind in {"lin", "skw"}:
        return f"{{{over}}}/{{{under}}}"
    return rf"\frac{{{over}}}{{{under}}}"


def _base(element: Element) -> str:
    return _part(element, "e") or "{}"


def _superscript(element: Element) -> str:
    return f"{_base(element)}^{{{_part(element, 'sup')}}}"


def _subscript(element: Element) -> str:
    return f"{_base(element)}_{{{_part(element, 'sub')}}}"


def _both_scripts(element: Element) -> str:
    return f"{_base(element)}_{{{_part(element, 'sub')}}}^{{{_part(element, 'sup')}}}"


def _scripts_before(element: Element) -> str:
    return f"{{}}_{{{_part(element, 'sub')}}}^{{{_part(element, 'sup')}}}{_base(element)}"


def _root(element: Element) -> str:
    degree = _part(element, "deg")
    return rf"\sqrt[{degree}]{{{_part(element, 'e')}}}" if degree else rf"\sqrt{{{_part(element, 'e')}}}"


def _large_operator(element: Element) -> str:
    symbol = _setting(element, "chr", "∫")
    written = OPERATORS.get(symbol) or letters(symbol)
    below, above = _part(element, "sub"), _part(element, "sup")
    limits = (f"_{{{below}}}" if below else "") + (f"^{{{above}}}" if above else "")
    body = _part(element, "e")
    return f"{written}{limits}" + (f"{{{body}}}" if body and not limits else body and f" {body}" if limits else "")


def _delimited(element: Element) -> str:
    left, right = _setting(element, "begChr", "("), _setting(element, "endChr", ")")
    middle = _setting(element, "sepChr", "|")
    inner = rf" \middle{BRACKETS.get(middle, middle)} ".join(
        _children(part).strip() for part in element.findall(_M + "e")
    )
    return rf"\left{BRACKETS.get(left, left)}{inner}\right{BRACKETS.get(right, right)}"


def _function(element: Element) -> str:
    name = _part(element, "fName")
    word, rest = _leading_word(name)
    if word in FUNCTIONS:
        name = f"\\{word}{rest}"
    elif word and not rest:
        name = rf"\operatorname{{{word}}}"
    argument = _part(element, "e")
    return f"{name}{{{argument}}}" if argument and not argument.startswith(r"\left") else f"{name}{argument}"


def _leading_word(text: str) -> tuple[str, str]:
    end = next((index for index, letter in enumerate(text) if not letter.isalpha()), len(text))
    return text[:end], text[end:]


def _accent(element: Element) -> str:
    symbol = _setting(element, "chr", "\u0302")
    name = ACCENTS.get(symbol)
    inner = _part(element, "e")
    return rf"\{name}{{{inner}}}" if name else rf"\overset{{{letters(symbol)}}}{{{inner}}}"


def _bar(element: Element) -> str:
    command = "overline" if _setting(element, "pos", "bot") == "top" else "underline"
    return rf"\{command}{{{_part(element, 'e')}}}"


def _group(element: Element) -> str:
    symbol, top = _setting(element, "chr", "⏟"), _setting(element, "pos", "bot") == "top"
    inner = _part(element, "e")
    if symbol in {"⏟", "⏞"}:
        return rf"\{'overbrace' if symbol == '⏞' else 'underbrace'}{{{inner}}}"
    return rf"\{'overset' if top else 'underset'}{{{letters(symbol)}}}{{{inner}}}"


def _lower_limit(element: Element) -> str:
    base, limit = _base(element), _part(element, "lim")
    if base in FUNCTIONS:
        return rf"\{base}_{{{limit}}}"
    return rf"{base}_{{{limit}}}" if base.startswith("\\") else rf"\underset{{{limit}}}{{{base}}}"


def _upper_limit(element: Element) -> str:
    base, limit = _base(element), _part(element, "lim")
    return rf"{base}^{{{limit}}}" if base.startswith("\\") else rf"\overset{{{limit}}}{{{base}}}"


def _matrix(element: Element) -> str:
    rows = [" & ".join(_children(cell).strip() for cell in row.findall(_M + "e")) for row in element.findall(_M + "mr")]
    return r"\begin{matrix}" + r" \\ ".join(rows) + r"\end{matrix}"


def _equation_array(element: Element) -> str:
    rows = [_children(row).strip().replace(r"\&", "&") for row in element.findall(_M + "e")]
    if len(rows) == 1:
        return rows[0].replace("&", "")
    return r"\begin{aligned}" + r" \\ ".join(rows) + r"\end{aligned}"


def _boxed(element: Element) -> str:
    return rf"\boxed{{{_part(element, 'e')}}}"


_HANDLERS: dict[str, Callable[[Element], str]] = {
    "r": _run,
    "f": _fraction,
    "sSup": _superscript,
    "sSub": _subscript,
    "sSubSup": _both_scripts,
    "sPre": _scripts_before,
    "rad": _root,
    "nary": _large_operator,
    "d": _delimited,
    "func": _function,
    "acc": _accent,
    "bar": _bar,
    "groupChr": _group,
    "limLow": _lower_limit,
    "limUpp": _upper_limit,
    "m": _matrix,
    "eqArr": _equation_array,
    "borderBox": _boxed,
}

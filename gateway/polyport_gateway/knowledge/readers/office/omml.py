r"""Office's equations (OMML, ECMA-376 part 1, section 22.1) as LaTeX.

An element this module doesn't know gives the LaTeX of what it holds, so no symbol of a formula is ever dropped.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree.ElementTree import Element

__all__ = ["to_latex"]

_WORDS = re.compile(r"[^\W\d_]{2,} +[^\W\d_]{2,}")  # prose, whose blanks LaTeX would drop
_M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"

_ACCENTS = {
    "\u0300": "grave", "\u0301": "acute", "\u0302": "hat", "\u0303": "tilde", "\u0304": "bar", "\u0305": "bar",
    "\u0306": "breve", "\u0307": "dot", "\u0308": "ddot",
    "\u030c": "check", "\u20d7": "vec", "\u20d6": "overleftarrow",
    "\u20e1": "overleftrightarrow", "\u20db": "dddot", "\u2192": "vec", "^": "hat", "~": "tilde", "\u00af": "bar",
}  # fmt: skip
_OPERATORS = {
    "∑": r"\sum", "∏": r"\prod", "∐": r"\coprod", "∫": r"\int", "∬": r"\iint", "∭": r"\iiint", "⨌": r"\iiiint",
    "∮": r"\oint", "∯": r"\oiint", "∰": r"\oiiint", "⋃": r"\bigcup", "⋂": r"\bigcap", "⋁": r"\bigvee",
    "⋀": r"\bigwedge", "⨁": r"\bigoplus", "⨂": r"\bigotimes", "⨀": r"\bigodot", "⨄": r"\biguplus", "⨆": r"\bigsqcup",
}  # fmt: skip
_BRACKETS = {
    "{": r"\{", "}": r"\}", "|": "|", "‖": r"\|", "⟨": r"\langle ", "⟩": r"\rangle ", "〈": r"\langle ",
    "〉": r"\rangle ", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ",
    "⌉": r"\rceil ", "": ".", "[": "[", "]": "]", "(": "(",
    ")": ")", "⟦": r"\llbracket ", "⟧": r"\rrbracket ",
    "/": "/", "\\": r"\backslash ", "↑": r"\uparrow ", "↓": r"\downarrow ",
}  # fmt: skip
_FUNCTIONS = frozenset(
    ("arccos", "arcsin", "arctan", "arg", "cos", "cosh", "cot", "coth", "csc", "deg", "det", "dim", "exp", "gcd", "hom",
     "inf", "ker", "lg", "lim", "liminf", "limsup", "ln", "log", "max", "min", "Pr", "sec", "sin", "sinh", "sup", "tan",
     "tanh")
)  # fmt: skip
_GREEK = (
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi",
    "omicron", "pi", "rho", "varsigma", "sigma", "tau", "upsilon", "varphi", "chi", "psi", "omega",
)  # fmt: skip
_SYMBOLS = {
    "×": r"\times", "·": r"\cdot", "⋅": r"\cdot", "÷": r"\div", "±": r"\pm", "∓": r"\mp", "−": "-", "–": "-",
    "≤": r"\leq", "≥": r"\geq", "≠": r"\neq", "≈": r"\approx",
    "≡": r"\equiv", "∝": r"\propto", "∞": r"\infty", "∂": r"\partial",
    "∇": r"\nabla", "∈": r"\in", "∉": r"\notin", "∋": r"\ni", "⊂": r"\subset", "⊆": r"\subseteq", "⊃": r"\supset",
    "⊇": r"\supseteq", "∪": r"\cup", "∩": r"\cap", "∅": r"\emptyset", "∀": r"\forall", "∃": r"\exists", "¬": r"\neg",
    "∧": r"\wedge", "∨": r"\vee", "→": r"\rightarrow",
    "←": r"\leftarrow", "↔": r"\leftrightarrow", "⇒": r"\Rightarrow",
    "⇐": r"\Leftarrow", "⇔": r"\Leftrightarrow", "↦": r"\mapsto", "…": r"\ldots", "⋯": r"\cdots", "⋮": r"\vdots",
    "⋱": r"\ddots", "°": r"^{\circ}", "∘": r"\circ", "∗": "*", "⊕": r"\oplus", "⊗": r"\otimes", "⊥": r"\perp",
    "∥": r"\parallel", "∠": r"\angle", "ℝ": r"\mathbb{R}", "ℕ": r"\mathbb{N}", "ℤ": r"\mathbb{Z}", "ℚ": r"\mathbb{Q}",
    "ℂ": r"\mathbb{C}", "ℏ": r"\hbar", "ℓ": r"\ell",
    "ϵ": r"\epsilon", "ϑ": r"\vartheta", "ϕ": r"\phi", "ϱ": r"\varrho",
    "ϖ": r"\varpi", "′": "'", "″": "''", "√": r"\surd", "∼": r"\sim", "≅": r"\cong", "≪": r"\ll", "≫": r"\gg",
    "∫": r"\int", "∑": r"\sum", "∏": r"\prod", "\u2061": "", "\u200b": "", "\u2062": "", "\u2063": "",
    "\u00a0": "~", "\u2003": r"\quad", "\u2009": r"\,",
}  # fmt: skip
_ESCAPED = {"#": r"\#", "$": r"\$", "%": r"\%", "&": r"\&", "_": r"\_", "{": r"\{", "}": r"\}", "\\": r"\backslash"}


def _alphabet() -> dict[str, str]:
    """Map Greek letters, and the slanted and bold letters that Office writes for variables, to LaTeX."""
    table = {}
    for index, name in enumerate(_GREEK):
        table[chr(0x3B1 + index)] = "o" if name == "omicron" else f"\\{name}"
        if name in {"gamma", "delta", "theta", "lambda", "xi", "pi", "sigma", "upsilon", "psi", "omega"}:
            table[chr(0x391 + index)] = f"\\{name.capitalize()}"
    table["φ"] = r"\varphi"
    return table


_LETTERS = _alphabet() | _SYMBOLS | _ESCAPED


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
        if piece and piece[0].isalpha() and _ends_in_command(joined):
            joined += " "
        joined += piece
    return joined


def _ends_in_command(text: str) -> bool:
    tail = text.rsplit("\\", 1)
    return len(tail) == 2 and tail[1].isalpha()


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
    if normal or _WORDS.search(text):
        return rf"\text{{{''.join(_ESCAPED.get(letter, letter) for letter in text)}}}" if text.strip() else text
    return _letters(text)


def _letters(text: str) -> str:
    written = ""
    for letter in text:
        piece = _LETTERS.get(letter) or ("" if letter in _LETTERS else _plain(letter))
        if piece and piece[0].isalnum() and piece[0].isalpha() and _ends_in_command(written):
            written += " "
        written += piece
    return written


def _plain(letter: str) -> str:
    # The "mathematical alphanumeric symbols" block is the same letters in another face.
    if 0x1D400 <= ord(letter) <= 0x1D7FF:
        import unicodedata

        plain = unicodedata.normalize("NFKC", letter)
        return _LETTERS.get(plain, plain)
    return letter


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
    written = _OPERATORS.get(symbol) or _letters(symbol)
    below, above = _part(element, "sub"), _part(element, "sup")
    limits = (f"_{{{below}}}" if below else "") + (f"^{{{above}}}" if above else "")
    body = _part(element, "e")
    return f"{written}{limits}" + (f"{{{body}}}" if body and not limits else body and f" {body}" if limits else "")


def _delimited(element: Element) -> str:
    left, right = _setting(element, "begChr", "("), _setting(element, "endChr", ")")
    middle = _setting(element, "sepChr", "|")
    inner = rf" \middle{_BRACKETS.get(middle, middle)} ".join(
        _children(part).strip() for part in element.findall(_M + "e")
    )
    return rf"\left{_BRACKETS.get(left, left)}{inner}\right{_BRACKETS.get(right, right)}"


def _function(element: Element) -> str:
    name = _part(element, "fName")
    word, rest = _leading_word(name)
    if word in _FUNCTIONS:
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
    name = _ACCENTS.get(symbol)
    inner = _part(element, "e")
    return rf"\{name}{{{inner}}}" if name else rf"\overset{{{_letters(symbol)}}}{{{inner}}}"


def _bar(element: Element) -> str:
    command = "overline" if _setting(element, "pos", "bot") == "top" else "underline"
    return rf"\{command}{{{_part(element, 'e')}}}"


def _group(element: Element) -> str:
    symbol, top = _setting(element, "chr", "⏟"), _setting(element, "pos", "bot") == "top"
    inner = _part(element, "e")
    if symbol in {"⏟", "⏞"}:
        return rf"\{'overbrace' if symbol == '⏞' else 'underbrace'}{{{inner}}}"
    return rf"\{'overset' if top else 'underset'}{{{_letters(symbol)}}}{{{inner}}}"


def _lower_limit(element: Element) -> str:
    base, limit = _base(element), _part(element, "lim")
    if base in _FUNCTIONS:
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

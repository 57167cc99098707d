"""LaTeX's names for the signs of mathematics, as the readers of equations need them."""

from __future__ import annotations

import re

__all__ = ["ACCENTS", "BRACKETS", "ESCAPED", "FUNCTIONS", "OPERATORS", "PROSE", "ends_in_command", "letters", "prose"]

PROSE = re.compile(r"[^\W\d_]{2,} +[^\W\d_]{2,}")  # prose, whose blanks LaTeX would drop
ACCENTS = {
    "\u0300": "grave", "\u0301": "acute", "\u0302": "hat", "\u0303": "tilde", "\u0304": "bar", "\u0305": "bar",
    "\u0306": "breve", "\u0307": "dot", "\u0308": "ddot",
    "\u030c": "check", "\u20d7": "vec", "\u20d6": "overleftarrow",
    "\u20e1": "overleftrightarrow", "\u20db": "dddot", "\u2192": "vec", "^": "hat", "~": "tilde", "\u00af": "bar",
}  # fmt: skip
OPERATORS = {
    "∑": r"\sum", "∏": r"\prod", "∐": r"\coprod", "∫": r"\int", "∬": r"\iint", "∭": r"\iiint", "⨌": r"\iiiint",
    "∮": r"\oint", "∯": r"\oiint", "∰": r"\oiiint", "⋃": r"\bigcup", "⋂": r"\bigcap", "⋁": r"\bigvee",
    "⋀": r"\bigwedge", "⨁": r"\bigoplus", "⨂": r"\bigotimes", "⨀": r"\bigodot", "⨄": r"\biguplus", "⨆": r"\bigsqcup",
}  # fmt: skip
BRACKETS = {
    "{": r"\{", "}": r"\}", "|": "|", "‖": r"\|", "⟨": r"\langle ", "⟩": r"\rangle ", "〈": r"\langle ",
    "〉": r"\rangle ", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ",
    "⌉": r"\rceil ", "": ".", "[": "[", "]": "]", "(": "(",
    ")": ")", "⟦": r"\llbracket ", "⟧": r"\rrbracket ",
    "/": "/", "\\": r"\backslash ", "↑": r"\uparrow ", "↓": r"\downarrow ",
}  # fmt: skip
FUNCTIONS = frozenset(
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
ESCAPED = {"#": r"\#", "$": r"\$", "%": r"\%", "&": r"\&", "_": r"\_", "{": r"\{", "}": r"\}", "\\": r"\backslash"}


def _alphabet() -> dict[str, str]:
    """Map Greek letters, and the slanted and bold letters that Office writes for variables, to LaTeX."""
    table = {}
    for index, name in enumerate(_GREEK):
        table[chr(0x3B1 + index)] = "o" if name == "omicron" else f"\\{name}"
        if name in {"gamma", "delta", "theta", "lambda", "xi", "pi", "sigma", "upsilon", "psi", "omega"}:
            table[chr(0x391 + index)] = f"\\{name.capitalize()}"
    table["φ"] = r"\varphi"
    return table


_LETTERS = _alphabet() | _SYMBOLS | ESCAPED


def ends_in_command(text: str) -> bool:
    """Tell whether a letter that follows would run into a command's name."""
    tail = text.rsplit("\\", 1)
    return len(tail) == 2 and tail[1].isalpha()


def letters(text: str) -> str:
    """Write plain signs as LaTeX."""
    written = ""
    for letter in text:
        piece = _LETTERS.get(letter) or ("" if letter in _LETTERS else _plain(letter))
        if piece and piece[0].isalnum() and piece[0].isalpha() and ends_in_command(written):
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


def prose(text: str) -> str:
    """Write words that are no formula."""
    return rf"\text{{{''.join(ESCAPED.get(letter, letter) for letter in text)}}}" if text.strip() else text

"""Styles of numbers and dates (OpenDocument 1.4 part 3, section 16.29) as format codes such as ``0.00%``."""

from __future__ import annotations

from polyport_gateway.knowledge.readers.office.xml import Element, local

from .names import NUMBER, count

__all__ = ["format_code"]

_DATES = {"year": "yy", "month": "m", "day": "d", "day-of-week": "ddd", "hours": "h", "minutes": "m", "seconds": "s",
          "am-pm": "AM/PM", "era": "g", "quarter": "q", "week-of-year": "ww"}  # fmt: skip
_MOST_DIGITS = 30


def format_code(style: Element) -> str:
    """Write a data style as a spreadsheet's format code; ``General`` where it says nothing of its own."""
    code = "".join(_piece(child) for child in style)
    if local(style) == "text-style":
        return "@"
    return code or "General"


def _piece(element: Element) -> str:
    name = local(element)
    text = element.text or ""
    if name == "number":
        return _digits(element)
    if name == "scientific-number":
        return _digits(element) + "E+" + "0" * min(count(element, NUMBER + "min-exponent-digits", 2), _MOST_DIGITS)
    if name == "fraction":
        return "# ?/?"
    if name == "boolean":
        return "General"
    if name == "text-content":
        return "@"
    if name in _DATES:
        return _date(element, name)
    if name in {"text", "currency-symbol"}:
        return text if not text or text in "%-/.:, ()" else f'"{text}"'
    return ""


def _digits(element: Element) -> str:
    decimals = element.get(NUMBER + "decimal-places")
    if decimals is None and element.get(NUMBER + "min-integer-digits") is None:
        return "General"
    shown = min(int(decimals), _MOST_DIGITS) if decimals and decimals.isdecimal() else 0
    whole = "0" * min(count(element, NUMBER + "min-integer-digits"), _MOST_DIGITS)
    grouped = "#,##" + whole if element.get(NUMBER + "grouping") == "true" else whole
    return f"{grouped}.{'0' * shown}" if shown else grouped


def _date(element: Element, name: str) -> str:
    letter = _DATES[name]
    long = element.get(NUMBER + "style") == "long"
    if name == "month" and element.get(NUMBER + "textual") == "true":
        return "mmmm" if long else "mmm"
    return letter * 2 if long and name != "am-pm" else letter

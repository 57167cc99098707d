"""What ``styles.xml`` says of a cell: its number format, whether it is bold, and the colour behind it."""

from __future__ import annotations

import colorsys

from polyport_gateway.knowledge.readers.office.sheets.formats import BUILT_IN, number_format
from polyport_gateway.knowledge.readers.office.sheets.sheet import CellStyle
from polyport_gateway.knowledge.readers.office.xml import Element

__all__ = ["S", "read_styles"]

S = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_THEME = ("lt1", "dk1", "lt2", "dk2", "accent1", "accent2", "accent3", "accent4", "accent5", "accent6")
_OFF = {"0", "false"}


def read_styles(root: Element | None, theme: Element | None) -> list[CellStyle]:
    """Read the cell formats, in the order in which cells refer to them; there is always one."""
    default = CellStyle(number_format("General"))
    if root is None:
        return [default]
    codes = {
        int(entry.get("numFmtId", "0")): entry.get("formatCode", "General")
        for entry in root.findall(f"{S}numFmts/{S}numFmt")
        if entry.get("numFmtId", "0").isdecimal()
    }
    bold = [_is_bold(font) for font in root.findall(f"{S}fonts/{S}font")]
    palette = _palette(theme)
    fills = [_colour(fill, palette) for fill in root.findall(f"{S}fills/{S}fill")]
    styles = []
    for entry in root.findall(f"{S}cellXfs/{S}xf"):
        number, font, fill = (_index(entry.get(name)) for name in ("numFmtId", "fontId", "fillId"))
        styles.append(
            CellStyle(
                number_format(codes.get(number) or BUILT_IN.get(number, "General")),
                bold[font] if font < len(bold) else False,
                fills[fill] if fill < len(fills) else None,
            )
        )
    return styles or [default]


def _index(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0


def _is_bold(font: Element) -> bool:
    found = font.find(S + "b")
    return found is not None and found.get("val", "1") not in _OFF


def _palette(theme: Element | None) -> dict[int, str]:
    scheme = None if theme is None else next(theme.iter(_A + "clrScheme"), None)
    palette = {}
    for number, name in enumerate(_THEME):
        entry = None if scheme is None else scheme.find(_A + name)
        for colour in () if entry is None else entry:
            palette[number] = (colour.get("lastClr") or colour.get("val") or "").lower()
    return palette


def _colour(fill: Element, palette: dict[int, str]) -> str | None:
    pattern = fill.find(S + "patternFill")
    if pattern is None or pattern.get("patternType") != "solid":
        return None
    front = pattern.find(S + "fgColor")
    if front is None:
        return None
    rgb = (front.get("rgb") or "")[-6:].lower() or palette.get(
        _index(front.get("theme")) if front.get("theme") else -1, ""
    )
    if len(rgb) != 6 or any(letter not in "0123456789abcdef" for letter in rgb):
        return None
    shade = _tinted(rgb, front.get("tint"))
    return None if shade == "ffffff" else f"#{shade}"


def _tinted(rgb: str, tint: str | None) -> str:
    """Lighten or darken a colour of the theme (section 18.8.19)."""
    try:
        amount = float(tint or 0)
    except ValueError:
        return rgb
    if not amount or abs(amount) > 1:
        return rgb
    hue, light, saturation = colorsys.rgb_to_hls(*(int(rgb[start : start + 2], 16) / 255 for start in (0, 2, 4)))
    light = light * (1 + amount) if amount < 0 else light * (1 - amount) + amount
    return "".join(f"{round(part * 255):02x}" for part in colorsys.hls_to_rgb(hue, light, saturation))

"""How a font looks, as far as it says."""

from __future__ import annotations

import ctypes
import re
from typing import Any, NamedTuple

import pypdfium2.raw as pdfium

__all__ = ["FontLook", "Fonts"]

_FIXED, _ITALIC, _FORCE_BOLD = 1 << 0, 1 << 6, 1 << 18  # ISO 32000-1, table 123
_BOLD = re.compile(r"bold|black|heavy|semibold|demi(?!ng)|cmbx|sfbx|[-,]bd\b|-b$", re.IGNORECASE)
_SLANTED = re.compile(r"italic|oblique|cmti|cmmi|sfti|[-,]it\b|slanted", re.IGNORECASE)
_MONO = re.compile(r"courier|mono(?!type|tone)|consol|menlo|typewriter|cmtt|sftt|fixedsys|inconsolata|\bcode",
                   re.IGNORECASE)  # fmt: skip


class FontLook(NamedTuple):
    """Whether a font is bold, italic, and of one width."""

    bold: bool = False
    italic: bool = False
    mono: bool = False


class Fonts:
    """The looks of a page's fonts, each asked for once."""

    def __init__(self) -> None:
        self._looks: dict[int, FontLook] = {}

    def look(self, text_object: Any) -> FontLook:
        """Return the look of a text object's font."""
        font = pdfium.FPDFTextObj_GetFont(text_object)
        key = ctypes.cast(font, ctypes.c_void_p).value
        if not key:
            return FontLook()
        look = self._looks.get(key)
        if look is None:
            look = self._looks[key] = _look(font)
        return look


def _look(font: Any) -> FontLook:
    buffer = ctypes.create_string_buffer(256)
    pdfium.FPDFFont_GetBaseFontName(font, buffer, len(buffer))
    name = buffer.value.decode("utf-8", "replace").partition("+")[2] or buffer.value.decode("utf-8", "replace")
    flags = pdfium.FPDFFont_GetFlags(font)
    known = max(flags, 0)
    weight = pdfium.FPDFFont_GetWeight(font)
    return FontLook(
        bold=bool(_BOLD.search(name)) or bool(known & _FORCE_BOLD) or weight >= 600,
        italic=bool(_SLANTED.search(name)) or bool(known & _ITALIC),
        mono=bool(_MONO.search(name)) or bool(known & _FIXED),
    )

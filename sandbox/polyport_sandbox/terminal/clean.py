"""Make what untrusted code writes fit for a terminal, which obeys control sequences."""

from __future__ import annotations

import codecs
import re

__all__ = ["Cleaner"]

# Colours and weight (SGR) only: others move the cursor, rename the window, or have the terminal type an answer.
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_BEGUN = re.compile(r"\x1b(\[[0-9;:]{0,64})?\Z")
_KEPT = "\n\t\r"


class Cleaner:
    r"""Decode one stream's bytes as they come, and leave out what would steer the terminal.

    Example:
        ::

            Cleaner().feed(b"a\x1b[31mred\x1b[0m \x1b]0;title\x07")  # 'a\x1b[31mred\x1b[0m ␛]0;title␇'
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def feed(self, data: bytes, *, last: bool = False) -> str:
        """Return what can be shown by now; half a character or half a colour waits for the rest."""
        text = self._held + self._decoder.decode(data, last)
        self._held = ""
        if not last and (begun := _BEGUN.search(text)):
            text, self._held = text[: begun.start()], text[begun.start() :]
        shown, end = [], 0
        for colour in _COLOUR.finditer(text):
            shown += [_visible(text[end : colour.start()]), colour[0]]
            end = colour.end()
        return "".join([*shown, _visible(text[end:])])


def _visible(text: str) -> str:
    return "".join(_picture(character) for character in text)


def _picture(character: str) -> str:
    number = ord(character)
    if number < 0x20 and character not in _KEPT:
        return chr(0x2400 + number)
    if number == 0x7F:
        return "␡"
    return "\ufffd" if 0x80 <= number < 0xA0 else character

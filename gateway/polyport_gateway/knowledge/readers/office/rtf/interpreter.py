"""From RTF's tokens to blocks."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from dataclasses import replace

from polyport_gateway.knowledge.documents import (
    JSON,
    Block,
    Heading,
    ListItem,
    Mark,
    Note,
    NoteCategory,
    PageBreak,
    Paragraph,
    Provenance,
    UnreadableDocumentError,
)
from polyport_gateway.knowledge.readers.office.counting import shown_bullet
from polyport_gateway.knowledge.readers.office.gathering import Gathering, fold
from polyport_gateway.knowledge.readers.office.text import StyledText

from .state import State
from .story import ParagraphState, Story
from .tokens import CHARSETS, Token, codepage

__all__ = ["Interpreter"]

_DEEPEST = 500
_MOST_HEX = 512 << 20
_CHARACTERS = {
    "tab": "\t", "line": "\n", "emdash": "—", "endash": "–", "bullet": "•", "lquote": "‘", "rquote": "’",
    "ldblquote": "“", "rdblquote": "”", "emspace": "\u2003", "enspace": "\u2002", "qmspace": "\u2005",
    "zwj": "\u200d", "zwnj": "\u200c", "ltrmark": "\u200e", "rtlmark": "\u200f",
}  # fmt: skip
_SIGNS = {"~": "\u00a0", "-": "\u00ad", "_": "\u2011", "\n": "\n", "\r": "\n"}
_ASIDE: dict[str, NoteCategory] = {
    "footnote": "footnote", "header": "header", "headerl": "header", "headerr": "header", "headerf": "header",
    "footer": "footer", "footerl": "footer", "footerr": "footer", "footerf": "footer", "annotation": "comment",
}  # fmt: skip
_COLLECTED = frozenset(
    {"fonttbl", "stylesheet", "fldinst", "listtext", "pntext", "title", "author", "subject", "keywords", "doccomm",
     "operator", "atnauthor", "pict"}
)  # fmt: skip
_SKIPPED = frozenset(
    {"colortbl", "nonshppict", "objdata", "themedata", "filetbl", "revtbl", "listtable", "listoverridetable", "rsidtbl",
     "generator", "xmlnstbl", "datastore", "latentstyles", "bkmkstart", "bkmkend", "nonesttables", "pnseclvl",
     "fontemb", "creatim", "revtim", "printim", "buptim", "userprops", "company", "category", "manager", "hlinkbase"}
)  # fmt: skip
_SHOWN = frozenset({"shppict", "fldrslt", "shpinst", "shptxt", "ud", "result", "nesttableprops"})
_INFO = {"title": "title", "author": "author", "subject": "subject", "keywords": "keywords", "doccomm": "description",
         "operator": "last_modified_by"}  # fmt: skip
_BLIPS = {"pngblip": "image/png", "jpegblip": "image/jpeg", "emfblip": "image/x-emf", "wmetafile": "image/x-wmf",
          "dibitmap": "image/bmp"}  # fmt: skip
_PAGES = {"mac": 10000, "pc": 437, "pca": 850}
_HEADING = re.compile(r"heading ([1-9])$")
_LINK = re.compile(r'HYPERLINK\s+(?:\\l\s+)?"([^"]+)"', re.IGNORECASE)


class Interpreter:
    """Takes one token after the other.

    Args:
        gathering: The file.
    """

    def __init__(self, gathering: Gathering) -> None:
        self._gathering = gathering
        self._state = State()
        self._stack: list[State] = []
        self._stories: list[Story] = [Story()]
        self._collected: list[str] = []
        self._bytes = bytearray()
        self._to_skip = 0
        self._starred = False
        self._high = 0  # the first half of a character outside the basic plane
        self._encoding = "cp1252"
        self._fonts: dict[int, str] = {}
        self._styles: dict[int, str] = {}
        self._style_outlines: dict[int, int] = {}
        self._defined: int | None = None  # the font or style that is being defined
        self._blip = ""
        self._link = ""
        self._author = ""
        self._page = 1
        self._notes = 0
        self._deleted: list[str] = []
        self.about: dict[str, JSON] = {}
        self._words: dict[str, Callable[[int | None], None]] = {
            "par": lambda _: self._end_paragraph(),
            "sect": lambda _: self._end_paragraph(),
            "cell": self._cell,
            "nestcell": self._cell,
            "row": self._row,
            "nestrow": self._row,
            "trowd": lambda _: self._story.begin_row(),
            "cellx": lambda number: self._story.edge(number or 0),
            "page": self._page_break,
            "pard": self._paragraph_begins,
            "plain": self._plain,
            "u": self._unicode,
            "chftn": self._note_number,
        }

    @property
    def _story(self) -> Story:
        return self._stories[-1]

    @property
    def is_open(self) -> bool:
        """Whether a group has not ended."""
        return bool(self._stack)

    def take(self, token: Token) -> None:
        """Take the next token."""
        if token.kind == "byte":
            self._byte(token.data)
            return
        self._decode()
        if token.kind == "text":
            self._raw(token.data)
        elif token.kind == "open":
            if len(self._stack) >= _DEEPEST:
                raise UnreadableDocumentError(self._gathering.name, f"its groups nest deeper than {_DEEPEST}.")
            self._stack.append(self._state)
            self._state = replace(self._state)
            self._to_skip = 0
        elif token.kind == "close":
            self._close()
        elif token.kind == "sign":
            self._sign(token.text)
        elif token.kind == "word":
            self._word(token.text, token.number)
        elif token.kind == "binary" and self._state.destination == "pict":
            self._collected.append(token.data.hex())

    def finish(self) -> list[Block]:
        """End what is open, and return the blocks."""
        self._decode()
        while len(self._stories) > 1:
            self._end_aside("other")
        self._end_paragraph(last=True)
        self._story.end_tables(0, self._where())
        return self._stories[0].blocks

    # Text

    def _byte(self, data: bytes) -> None:
        if self._to_skip:
            self._to_skip -= 1
        else:
            self._bytes += data

    def _raw(self, data: bytes) -> None:
        if self._to_skip:
            skipped = min(self._to_skip, len(data))
            self._to_skip -= skipped
            data = data[skipped:]
        self._text(data.decode(self._font_encoding(), "replace") if data else "")

    def _decode(self) -> None:
        if self._bytes:
            data, self._bytes = bytes(self._bytes), bytearray()
            self._text(data.decode(self._font_encoding(), "replace"))

    def _font_encoding(self) -> str:
        return self._fonts.get(self._state.font or 0, self._encoding) if self._fonts else self._encoding

    def _unicode(self, number: int | None) -> None:
        code = (number or 0) % 0x10000
        self._to_skip = self._state.unicode_skip
        if 0xD800 <= code < 0xDC00:
            self._high = code
        elif 0xDC00 <= code < 0xE000:
            if self._high:
                self._text(chr(0x10000 + ((self._high - 0xD800) << 10) + code - 0xDC00))
            self._high = 0
        elif code:
            self._text(chr(code))

    def _text(self, text: str) -> None:
        state = self._state
        if not text or state.destination == "skip":
            return
        if state.destination in _COLLECTED:
            self._collected.append(text)
        elif state.deleted:
            self._deleted.append(text)
        elif state.hidden:
            if text.strip():
                self._hidden(text.strip())
        else:
            self._story.text.add(text, state.marks())

    def _hidden(self, text: str) -> None:
        if self._gathering.options.hidden:
            self._story.shown.append(Note(text=text, category="other", label="hidden", provenance=self._where()))
        else:
            self._gathering.skip("hidden text", "Hidden text was not asked for.", page=self._page)

    # Words and groups

    def _sign(self, sign: str) -> None:
        if sign == "*":
            self._starred = True
        elif sign in "\\{}":
            self._text(sign)
        elif sign in "\r\n":
            self._end_paragraph()
        else:
            self._text(_SIGNS.get(sign, ""))

    def _word(self, word: str, number: int | None) -> None:
        starred, self._starred = self._starred, False
        if self._state.destination == "skip":
            return
        if word in _ASIDE and self._state.destination == "body":
            self._state.destination = f"aside:{word}"
            self._stories.append(Story())
        elif word in _COLLECTED:
            self._collect(word)
        elif word in _SKIPPED or (starred and word not in _SHOWN):
            self._skip(word)
        elif word in self._words:
            self._words[word](number)
        elif word in _CHARACTERS:
            self._text(_CHARACTERS[word])
        elif not self._formatted(word, number):
            self._defines(word, number)

    def _collect(self, word: str) -> None:
        if (
            self._state.destination in {"body", "info"}
            or self._state.destination.startswith("aside:")
            or word == "pict"
        ):
            self._state.destination = word
            self._collected = []
            self._blip = ""

    def _skip(self, word: str) -> None:
        self._state.destination = "skip"
        if word == "objdata":
            self._gathering.skip("embedded object", "It belongs to another program.", page=self._page)

    def _formatted(self, word: str, number: int | None) -> bool:
        """Set how letters look; tell whether the word does that."""
        state, on = self._state, number != 0
        if word in {"b", "i", "strike", "striked", "v", "deleted"}:
            name = {"b": "bold", "i": "italic", "striked": "strike", "v": "hidden"}.get(word, word)
            setattr(state, name, on)
        elif word.startswith("ul") and len(word) < 12:
            state.underline = on and word != "ulnone"
        elif word in {"super", "sub", "nosupersub"}:
            state.script = f"{word}script" if on and word != "nosupersub" else ""
        elif word == "f":
            state.font = number
            if state.destination == "fonttbl":
                self._defined = number
        elif word == "uc":
            state.unicode_skip = min(max(number or 0, 0), 10)
        else:
            return False
        return True

    def _defines(self, word: str, number: int | None) -> None:
        """Take what is said of the document, a font, a style, a row or a paragraph."""
        state, value = self._state, number or 0
        if word == "ansicpg":
            self._encoding = codepage(value)
        elif word in _PAGES:
            self._encoding = codepage(_PAGES[word])
        elif word == "info":
            state.destination = "info"
        elif word in _BLIPS:
            self._blip = _BLIPS[word]
        elif state.destination == "fonttbl":
            if word == "fcharset" and self._defined is not None and value in CHARSETS and value:
                self._fonts[self._defined] = codepage(CHARSETS[value])
        elif state.destination == "stylesheet":
            if word == "s":
                self._defined = number
            elif word == "outlinelevel" and self._defined is not None:
                self._style_outlines[self._defined] = value
        elif not self._story.paragraph.take(word, value):
            self._story.take_row_word(word, value)

    def _close(self) -> None:
        ended = self._state
        self._to_skip = 0
        if not self._stack:
            return
        self._state = self._stack.pop()
        if ended.destination != self._state.destination or ended.destination in {"fonttbl", "stylesheet"}:
            self._ended(ended.destination)

    def _ended(self, destination: str) -> None:
        text = "".join(self._collected)
        if destination.startswith("aside:"):
            self._end_aside(destination.partition(":")[2])
        elif destination == "stylesheet" and self._defined is not None:
            self._styles[self._defined] = text.rstrip(";").strip().lower()
            self._defined = None
        elif destination == "fldinst":
            match = _LINK.search(text)
            # It holds for the result, which is in the same field.
            self._state.link = match[1] if match else self._state.link
        elif destination in {"listtext", "pntext"}:
            self._story.marker = text.strip()
        elif destination in _INFO and text.strip():
            self.about[_INFO[destination]] = text.strip()
        elif destination == "atnauthor":
            self._author = text.strip()
        elif destination == "pict":
            self._picture(text)
        if destination in _COLLECTED:
            self._collected = []

    # Blocks

    def _where(self) -> Provenance:
        return Provenance(page=self._page)

    def _plain(self, _: int | None) -> None:
        self._state.plain()

    def _paragraph_begins(self, _: int | None) -> None:
        if self._state.destination not in _COLLECTED:
            self._story.paragraph = ParagraphState()

    def _end_paragraph(self, *, last: bool = False) -> None:
        story = self._story
        text, marks = story.text.finish()
        story.text, marker, story.marker = StyledText(), story.marker, ""
        found = [self._block(story.paragraph, text, marks, marker)] if text else []
        if self._deleted and "".join(self._deleted).strip():
            deleted = "".join(self._deleted).strip()
            found.append(Note(text=deleted, category="revision", label="deleted", provenance=self._where()))
        self._deleted = []
        found += story.shown
        story.shown = []
        depth = story.paragraph.table_depth
        if last and not found:
            return
        story.end_tables(depth, self._where())
        story.target(depth).extend(found)

    def _block(self, paragraph: ParagraphState, text: str, marks: tuple[Mark, ...], marker: str) -> Block:
        where = self._where()
        name = self._styles.get(paragraph.style or 0, "")
        outline = (
            paragraph.outline if paragraph.outline is not None else self._style_outlines.get(paragraph.style or -1)
        )
        heading = _HEADING.match(name)
        level = int(heading[1]) if heading else 1 if name == "title" else None
        if level is None and outline is not None and outline < 9:
            level = outline + 1
        if level is not None:
            label = f"{marker} " if marker and marker[0].isalnum() else ""
            moved = tuple(mark._replace(start=mark.start + len(label), end=mark.end + len(label)) for mark in marks)
            return Heading(text=label + text, marks=moved, level=level, provenance=where)
        if marker:
            ordered = any(letter.isalnum() for letter in marker) and len(marker) > 1
            shown = marker if ordered else shown_bullet(marker)
            return ListItem(
                text=text, marks=marks, level=paragraph.list_level + 1, ordered=ordered, marker=shown, provenance=where
            )
        return Paragraph(text=text, marks=marks, provenance=where)

    def _cell(self, _: int | None) -> None:
        self._story.paragraph.table_depth = max(self._story.paragraph.table_depth, 1)
        self._end_paragraph()
        self._story.end_cell()

    def _row(self, _: int | None) -> None:
        self._story.end_row(self._where())

    def _page_break(self, _: int | None) -> None:
        if self._state.destination == "body":
            self._end_paragraph()
            self._page += 1
            depth = self._story.paragraph.table_depth
            self._story.target(depth).append(PageBreak(page=self._page, provenance=self._where()))

    # Beside the text

    def _note_number(self, _: int | None) -> None:
        if self._state.destination.startswith("aside:"):
            return  # the same number, in the note itself
        self._notes += 1
        self._story.text.add(str(self._notes), [("superscript", "")])

    def _end_aside(self, word: str) -> None:
        self._end_paragraph(last=True)
        self._story.end_tables(0, self._where())
        story = self._stories.pop()
        category = _ASIDE.get(word, "other")
        label = str(self._notes) if category == "footnote" and self._notes else ""
        author, self._author = (self._author, "") if category == "comment" else ("", self._author)
        notes = list(fold(story.blocks, category, self._where(), label, author))
        outer = self._story
        (outer.blocks if category in {"header", "footer"} else outer.shown).extend(notes)

    def _picture(self, text: str) -> None:
        digits = re.sub(r"[^0-9A-Fa-f]", "", text[:_MOST_HEX])
        try:
            data = binascii.unhexlify(digits[: len(digits) // 2 * 2])
        except binascii.Error:
            data = b""
        if not data:
            self._gathering.skip("picture", "It has no bytes.", page=self._page)
            return
        picture = self._gathering.keep_picture(data, self._blip or None, provenance=self._where())
        self._story.shown.append(picture)

"""Running text that docling keeps as a group of runs."""

from __future__ import annotations

import re
from collections.abc import Iterable

from docling_core.types.doc.document import CodeItem, FormulaItem, NodeItem, TextItem

from polyport_gateway.knowledge.documents import Mark

__all__ = ["joined", "marks_of"]

_STYLES = {"bold": "bold", "italic": "italic", "underline": "underline", "strikethrough": "strike"}
_SCRIPTS = {"sub": "subscript", "super": "superscript"}
# docling drops the blanks between runs; none stood before these, after those, or beside a character of Chinese.
_NO_BLANK_BEFORE = re.compile(r"[\s,.;:!?)\]}%’”、。，；：！？）】》\u3040-\u30ff\u3400-\u9fff]")
_NO_BLANK_AFTER = re.compile(r"[\s(\[{‘“（【《、。，；：！？\u3040-\u30ff\u3400-\u9fff]\Z")


def joined(items: Iterable[NodeItem]) -> tuple[str, tuple[Mark, ...]]:
    """Return the text of runs, and its marks."""
    text = ""
    marks: list[Mark] = []
    for item in items:
        if not isinstance(item, TextItem) or not item.text:
            continue
        if text and not _NO_BLANK_BEFORE.match(item.text) and not _NO_BLANK_AFTER.search(text[-1]):
            text += " "
        marks += marks_of(item, len(text), len(text) + len(item.text))
        text += item.text
    return text, tuple(sorted(marks, key=lambda mark: (mark.start, -mark.end)))


def marks_of(item: TextItem, start: int, end: int) -> tuple[Mark, ...]:
    """Return the marks over a whole run that stands from ``start`` to ``end``."""
    if start == end:
        return ()
    found = []
    if item.hyperlink is not None:
        found.append(Mark(start, end, "link", str(item.hyperlink)))
    if item.formatting is not None:
        found += [Mark(start, end, kind) for name, kind in _STYLES.items() if getattr(item.formatting, name)]
        script = _SCRIPTS.get(str(item.formatting.script.value))
        if script:
            found.append(Mark(start, end, script))
    if start or (isinstance(item, TextItem) and item.parent is not None and "group" in item.parent.cref):
        if isinstance(item, CodeItem):
            found.append(Mark(start, end, "code"))
        elif isinstance(item, FormulaItem):
            found.append(Mark(start, end, "formula"))
    return tuple(found)

"""JSON as a tree over its text: children are found when a value has to be cut, so that a large file is not copied."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from .tree import Node

__all__ = ["json_tree", "name_step"]

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[{}\[\],:]|[^\s{}\[\],:"]+|"', re.DOTALL)
_PLAIN_KEY = re.compile(r"[^\W\d]\w*")


def json_tree(text: str, start: int, end: int, *, lines: bool = False) -> tuple[Node, JSONChildren]:
    """Return the root of a JSON text, and what finds children in it.

    Args:
        text: The text.
        start: Where the JSON begins.
        end: Where it ends.
        lines: It has one value on each line (JSON Lines); they are the root's items.
    """
    return Node(start, end, "$", start), JSONChildren(text, lines=lines)


class JSONChildren:
    """Finds the members of an object and the items of an array; what is not well-formed has those that can be told."""

    def __init__(self, text: str, *, lines: bool = False) -> None:
        self._text, self._lines = text, lines

    def __call__(self, node: Node) -> list[Node]:
        """Return the children of a value."""
        if self._lines and node.path == "$":
            return [
                Node(match.start(), match.end(), f"[{number}]", match.start())
                for number, match in enumerate(re.compile(r"[^\n]*\S[^\n]*").finditer(self._text, node.start, node.end))
            ]
        return list(self._scan(node))

    def _scan(self, node: Node) -> Iterator[Node]:
        tokens = _TOKEN.finditer(self._text, node.value, node.end)
        opening = next(tokens, None)
        while node.path == "$" and opening is not None and opening.group() not in "{[":
            opening = next(tokens, None)  # a comment stands above it
        if opening is None or opening.group() not in "{[":
            return
        named = opening.group() == "{"
        depth, begin, value, last, key, number = 0, -1, -1, 0, "", 0
        for token in tokens:
            mark = token.group()
            closes = mark in "}]" and depth == 0
            if closes or (mark == "," and depth == 0):
                if begin >= 0:
                    yield Node(begin, last, name_step(_written(key)) if named else f"[{number}]", max(value, begin))
                    number += 1
                if closes:
                    return
                begin = value = -1
                continue
            if begin < 0:
                begin, key = token.start(), mark
                value = -1 if named else begin
            elif mark == ":" and depth == 0 and value < 0:
                value = token.end()
            depth += (mark in "{[") - (mark in "}]")
            last = token.end()
        if begin >= 0:  # cut off before its end
            yield Node(begin, last, name_step(_written(key)) if named else f"[{number}]", max(value, begin))


def name_step(name: str) -> str:
    """Return a member's step in a JSONPath (RFC 9535)."""
    return f".{name}" if _PLAIN_KEY.fullmatch(name) else f"[{json.dumps(name, ensure_ascii=False)}]"


def _written(key: str) -> str:
    # A member's name as it stands in the text.
    try:
        return str(json.loads(key)) if key.startswith('"') else key
    except ValueError:
        return key.strip('"')

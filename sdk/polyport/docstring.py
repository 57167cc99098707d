"""Read what a docstring says of a function and of each parameter: Google, NumPy and reST styles.

The sections follow the Google Python style guide (3.8), numpydoc and Sphinx's field lists. Anything that is
not understood stays part of the description; nothing here raises.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field

__all__ = ["Docstring", "parse_docstring"]

_PARAMETER_SECTIONS = {
    "args",
    "arguments",
    "parameters",
    "params",
    "keyword args",
    "keyword arguments",
    "other parameters",
    "参数",
}
_OTHER_SECTIONS = {
    "attributes",
    "example",
    "examples",
    "note",
    "notes",
    "raises",
    "references",
    "return",
    "returns",
    "see also",
    "todo",
    "warning",
    "warnings",
    "warns",
    "yield",
    "yields",
    "返回",
    "返回值",
    "异常",
    "示例",
    "说明",
}
_NAME = r"\*{0,2}[^\W\d]\w*"
_GOOGLE_ENTRY = re.compile(rf"(?P<name>{_NAME})\s*(?:[(（].*?[)）])?\s*[:：]\s*(?P<text>.*)")
_NUMPY_ENTRY = re.compile(rf"(?P<names>{_NAME}(?:\s*,\s*{_NAME})*)\s*(?:[:：].*)?")
_REST_FIELD = re.compile(r":(?P<kind>[A-Za-z]+)(?:[ \t]+(?P<argument>[^:]*))?:(?:[ \t]+(?P<text>.*))?$")
_REST_PARAMETER = {"param", "parameter", "arg", "argument", "key", "keyword", "kwarg"}


@dataclass(frozen=True, slots=True)
class Docstring:
    """What a docstring says.

    Attributes:
        description: Its text without what it says of the parameters.
        parameters: What it says of each parameter, by name.
    """

    description: str = ""
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """The description's first paragraph, on one line."""
        return " ".join(self.description.split("\n\n", 1)[0].split())


def parse_docstring(text: str | None) -> Docstring:
    r"""Split a docstring into its description and its parameters.

    >>> parse_docstring("Add.\n\nArgs:\n    a: The first.").parameters
    {'a': 'The first.'}

    Args:
        text: The docstring as written, or None.
    """
    if not text:
        return Docstring()
    lines = inspect.cleandoc(text).splitlines()
    parameters: dict[str, str] = {}
    kept: list[str] = []
    position = 0
    while position < len(lines):
        taken = _take_section(lines, position, parameters)
        if taken:
            position += taken
        else:
            kept.append(lines[position])
            position += 1
    return Docstring(re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip(), parameters)


def _take_section(lines: list[str], start: int, parameters: dict[str, str]) -> int:
    """Read the parameter section that starts at a line; return how many lines it takes, 0 if none starts there."""
    line = lines[start]
    if _is_underline(lines, start + 1) and _title(line) in _PARAMETER_SECTIONS:
        return 2 + _take_numpy(lines, start + 2, parameters)
    if line.rstrip().endswith((":", "：")) and _title(line) in _PARAMETER_SECTIONS:
        return _take_google(lines, start, parameters)
    return _take_rest(lines, start, parameters)


def _title(line: str) -> str:
    return line.strip().rstrip(":：").strip().lower()


def _is_underline(lines: list[str], index: int) -> bool:
    return index < len(lines) and re.fullmatch(r"\s*[-=]{3,}\s*", lines[index]) is not None


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _take_google(lines: list[str], start: int, parameters: dict[str, str]) -> int:
    base = _indent(lines[start])
    end = start + 1
    while end < len(lines) and (not lines[end].strip() or _indent(lines[end]) > base):
        end += 1
    body = lines[start + 1 : end]
    level = next((_indent(line) for line in body if line.strip()), None)
    if level is None:
        return 0
    entries: list[tuple[str, list[str]]] = []
    for line in body:
        match = _GOOGLE_ENTRY.fullmatch(line.strip()) if _indent(line) == level else None
        if match:
            entries.append((match["name"].lstrip("*"), [match["text"]]))
        elif entries:
            entries[-1][1].append(line)
    if not entries:
        return 0
    _keep(entries, parameters)
    return end - start


def _take_numpy(lines: list[str], start: int, parameters: dict[str, str]) -> int:
    base = _indent(lines[start]) if start < len(lines) else 0
    entries: list[tuple[str, list[str]]] = []
    shared: list[tuple[str, list[str]]] = []
    position = start
    while position < len(lines):
        line = lines[position]
        if line.strip() and _indent(line) <= base:
            ends = _is_underline(lines, position + 1) or _title(line) in _OTHER_SECTIONS
            match = None if ends else _NUMPY_ENTRY.fullmatch(line.strip())
            if match is None:
                break
            text: list[str] = []
            shared = [(name.strip().lstrip("*"), text) for name in match["names"].split(",")]
            entries.extend(shared)
        elif shared:
            shared[0][1].append(line)
        position += 1
    _keep(entries, parameters)
    return position - start


def _take_rest(lines: list[str], start: int, parameters: dict[str, str]) -> int:
    match = _REST_FIELD.match(lines[start].strip())
    if match is None or match["kind"].lower() not in _REST_PARAMETER | {"type"}:
        return 0
    base = _indent(lines[start])
    text = [match["text"] or ""]
    end = start + 1
    while end < len(lines) and lines[end].strip() and _indent(lines[end]) > base:
        text.append(lines[end])
        end += 1
    words = (match["argument"] or "").split()
    if match["kind"].lower() in _REST_PARAMETER and words:
        _keep([(words[-1].lstrip("*"), text)], parameters)
    return end - start


def _keep(entries: list[tuple[str, list[str]]], parameters: dict[str, str]) -> None:
    for name, lines in entries:
        if text := " ".join(" ".join(lines).split()):
            parameters.setdefault(name, text)

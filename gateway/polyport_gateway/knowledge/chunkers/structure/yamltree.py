"""YAML as a tree over its text, from the parser's events: nothing is made of tags, and no alias is followed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .jsontree import name_step
from .tree import Node

__all__ = ["yaml_tree"]


def yaml_tree(text: str, start: int, end: int, *, smallest: int = 0) -> Node | None:
    """Return the root of a YAML text; None where it can't be followed, or PyYAML is not installed.

    Args:
        text: The text.
        start: Where the YAML begins.
        end: Where it ends.
        smallest: A value of fewer characters is kept without its children.
    """
    try:
        import yaml
    except ImportError:
        return None
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        roots = list(_documents(yaml, yaml.parse(text[start:end], Loader=loader), smallest))
    except (yaml.YAMLError, RecursionError):
        return None
    if not roots:
        return None
    for node in _all(roots):
        node.start, node.end, node.value = node.start + start, node.end + start, node.value + start
        node.start = _comment_start(text, start, node.start)
    if len(roots) == 1:
        return roots[0]
    for number, root in enumerate(roots):
        root.path = f"[{number}]"  # a stream of documents
    return Node(start, end, "$", start, roots)


def _documents(yaml: Any, events: Iterator[Any], smallest: int) -> Iterator[Node]:
    # An open collection: its node, whether it is a mapping, and the key that waits for its value.
    stack: list[tuple[Node, bool]] = []
    keys: list[tuple[int, str] | None] = []
    for event in events:
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            node = Node(event.start_mark.index, event.end_mark.index, "$", event.start_mark.index)
            stack.append((node, isinstance(event, yaml.MappingStartEvent)))
            keys.append(None)
            continue
        if isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            node, _ = stack.pop()
            keys.pop()
            node.end = max(event.start_mark.index, node.end)
            if node.end - node.start < smallest:
                node.children = []
            name = "…"  # a key that is a collection
        elif isinstance(event, (yaml.ScalarEvent, yaml.AliasEvent)):
            node = Node(event.start_mark.index, event.end_mark.index, "$", event.start_mark.index)
            name = event.value if isinstance(event, yaml.ScalarEvent) else f"*{event.anchor}"
        else:
            continue
        if not stack:
            yield node
            continue
        parent, mapping = stack[-1]
        waiting = keys[-1]
        if mapping and waiting is None:
            keys[-1] = (node.start, name)
            continue
        if mapping and waiting is not None:
            node.start, node.path = waiting[0], name_step(waiting[1])
            keys[-1] = None
        else:
            node.path = f"[{len(parent.children)}]"
        parent.children.append(node)
        parent.end = max(parent.end, node.end)


def _all(roots: list[Node]) -> Iterator[Node]:
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.children


def _comment_start(text: str, floor: int, place: int) -> int:
    # An item begins at its dash, and with the comments above it.
    line = place
    while line > floor and text[line - 1] in " -":
        line -= 1
    if line > floor and text[line - 1] != "\n":
        return place
    while line > floor:
        above = max(floor, text.rfind("\n", floor, line - 1) + 1)
        if not text[above:line].lstrip().startswith("#"):
            break
        line = above
    return line

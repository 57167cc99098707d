"""JSON, JSON lines, YAML and XML: kept as they are written, and checked; a chunker cuts them by path or element."""

from __future__ import annotations

import json
from xml.parsers import expat

from polyport.errors import MissingDependencyError
from polyport_gateway.knowledge.documents import Parsed, UnreadableDocumentError

from .base import ReadOptions
from .code import whole

__all__ = ["StructuredReader"]

_MOST_BAD_LINES = 20
_MOST_DEPTH = 1000


class StructuredReader:
    """One code block, which is the file. What is not well-formed is a warning: its text can be read all the same."""

    name = "structured"
    formats = frozenset({"json", "jsonl", "yaml", "xml"})

    def read(self, data: bytes, name: str, options: ReadOptions) -> Parsed:
        """Read a file of structured values.

        Raises:
            UnreadableDocumentError: XML that declares entities.
        """
        from .detect import detect

        format = options.format or detect(data, name).format  # noqa: A001
        if format == "xml":
            # expat reads the encoding that the file declares, so it gets the bytes.
            warnings = _check_xml(data, name)
            return whole(
                self.name,
                data,
                name,
                _declared(data, options),
                format=format,
                language=format,
                check=lambda _: warnings,
            )
        check = {"json": _check_json, "jsonl": _check_lines, "yaml": _check_yaml}[format]
        return whole(self.name, data, name, options, format=format, language=format, check=check)


def _check_json(text: str) -> tuple[str, ...]:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return (f"Not well-formed JSON: {error}.",)
    except (ValueError, RecursionError) as error:
        return (f"JSON that can't be followed: {error}.",)
    return ()


def _check_lines(text: str) -> tuple[str, ...]:
    bad = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            json.loads(line)
        except (ValueError, RecursionError) as error:
            if len(bad) == _MOST_BAD_LINES:
                return (*bad, "More lines are not well-formed JSON.")
            bad.append(f"Line {number} is not well-formed JSON: {error}.")
    return tuple(bad)


def _check_yaml(text: str) -> tuple[str, ...]:
    try:
        import yaml
    except ImportError:
        raise MissingDependencyError("Reading YAML", extra="documents") from None
    try:
        # Events, not values: nothing is made of tags, and an alias is not followed.
        for _ in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            pass
    except (yaml.YAMLError, RecursionError) as error:
        return (f"Not well-formed YAML: {' '.join(str(error).split())}.",)
    return ()


def _check_xml(data: bytes, name: str) -> tuple[str, ...]:
    parser = expat.ParserCreate()
    depth = 0

    def refuse(*_: object) -> None:
        raise UnreadableDocumentError(name, "it declares XML entities, which can hide other files or grow without end.")

    def start(*_: object) -> None:
        nonlocal depth
        depth += 1
        if depth > _MOST_DEPTH:
            raise UnreadableDocumentError(name, f"its XML elements stand more than {_MOST_DEPTH} deep in each other.")

    def end(*_: object) -> None:
        nonlocal depth
        depth -= 1

    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse  # type: ignore[assignment]
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        return (f"Not well-formed XML: {error}.",)
    return ()


def _declared(data: bytes, options: ReadOptions) -> ReadOptions:
    import re
    from dataclasses import replace

    found = re.match(rb"<\?xml[^>]{0,200}?encoding=[\"']([A-Za-z0-9._-]+)", data)
    return replace(options, encoding=found.group(1).decode()) if found and not options.encoding else options

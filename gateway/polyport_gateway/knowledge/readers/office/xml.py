"""XML of untrusted files, read with the standard library's expat and nothing that could reach outside the file.

No part of an office file may hold a document type declaration (ECMA-376 part 2, section 6.2.5; OpenDocument needs none
either), and every XML bomb and external entity needs one. So a part with one is refused before it is parsed.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import IO, NoReturn, cast
from xml.etree.ElementTree import Element, ParseError, XMLPullParser, fromstring
from xml.parsers import expat

__all__ = ["Element", "MalformedXmlError", "local", "parse", "stream"]

_PIECE = 1 << 16
_DEEPEST = 300  # elements inside each other; a real file has about 60, and a walk over more would exhaust the stack


_STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(\w+)/(\w+)")


class MalformedXmlError(ValueError):
    """A part that is no well-formed XML, or holds what is refused."""


class _PrologEnded(Exception):  # noqa: N818
    pass


def local(element: Element) -> str:
    """Return an element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def _transitional(data: bytes) -> bytes:
    """Rename the namespaces of the standard's strict form, whose elements are otherwise the same."""
    return _STRICT.sub(rb"http://schemas.openxmlformats.org/\1/2006/\2", data) if b"purl.oclc.org" in data else data


def parse(data: bytes) -> Element:
    """Parse a whole part.

    Raises:
        MalformedXmlError: If it is not well-formed, declares a document type, or nests too deep.
    """
    _refuse_declarations(data)
    try:
        root = fromstring(_transitional(data))  # noqa: S314
    except ParseError as error:
        raise MalformedXmlError(str(error)) from error
    _refuse_depth(root)
    return root


def stream(source: IO[bytes]) -> Iterator[Element]:
    """Give each element of a part once it is read; whoever takes them clears what is done with.

    Raises:
        MalformedXmlError: If it is not well-formed, or declares a document type.
    """
    piece = source.read(_PIECE)
    _refuse_declarations(piece)
    piece = _transitional(piece)  # the root's tag, where namespaces are declared, is in the first piece
    parser: XMLPullParser[Element] = XMLPullParser(("end",))
    try:
        while piece:
            parser.feed(piece)
            yield from _ended(parser)
            piece = source.read(_PIECE)
        parser.close()
    except ParseError as error:
        raise MalformedXmlError(str(error)) from error
    yield from _ended(parser)


def _ended(parser: XMLPullParser[Element]) -> Iterator[Element]:
    for _, element in cast("Iterator[tuple[str, Element]]", parser.read_events()):
        yield element


def _refuse_declarations(data: bytes) -> None:
    """Parse up to the first element, whatever the encoding, and refuse a document type declaration."""

    def refuse(*_: object) -> NoReturn:
        raise MalformedXmlError("it declares a document type, which office files never do and XML bombs need")

    def end(*_: object) -> NoReturn:
        raise _PrologEnded

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = end
    try:
        # The piece may end within an element's start tag: that is not the end of the part.
        parser.ParseFile(io.BytesIO(data)) if len(data) < _PIECE else parser.Parse(data, False)
    except _PrologEnded:
        return
    except MalformedXmlError:
        raise
    except (expat.ExpatError, LookupError, ValueError) as error:  # the latter two for an encoding that is none
        raise MalformedXmlError(str(error)) from error
    raise MalformedXmlError("it holds no element")


def _refuse_depth(root: Element) -> None:
    """Refuse elements nested deeper than a walk over them may go."""
    level, depth = [root], 0
    while level:
        depth += 1
        if depth > _DEEPEST:
            raise MalformedXmlError(f"its elements nest deeper than {_DEEPEST}")
        level = [child for element in level for child in element]

"""Source code: one code block, whole."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import PurePosixPath

from polyport_gateway.knowledge.documents import Code, DocumentBuilder, Parsed, Provenance, Receipt, Span, source_of

from .base import ReadOptions
from .detect import FORMATS
from .text import decode

__all__ = ["LANGUAGES", "CodeReader", "language_of", "whole"]

LANGUAGES = {
    "py": "python", "pyi": "python", "pyw": "python", "js": "javascript", "mjs": "javascript", "cjs": "javascript",
    "jsx": "javascript", "ts": "typescript", "tsx": "tsx", "java": "java", "kt": "kotlin", "kts": "kotlin",
    "scala": "scala", "go": "go", "rs": "rust", "c": "c", "h": "c", "cc": "cpp", "cpp": "cpp", "cxx": "cpp",
    "hpp": "cpp", "hh": "cpp", "cs": "csharp", "rb": "ruby", "php": "php", "swift": "swift", "m": "objective-c",
    "lua": "lua", "pl": "perl", "pm": "perl", "r": "r", "jl": "julia", "sh": "bash", "bash": "bash", "zsh": "bash",
    "ps1": "powershell", "sql": "sql", "css": "css", "scss": "scss", "less": "less", "vue": "vue", "dart": "dart",
    "ex": "elixir", "exs": "elixir", "erl": "erlang", "hs": "haskell", "ml": "ocaml", "clj": "clojure",
    "groovy": "groovy", "gradle": "groovy", "tf": "hcl", "toml": "toml", "ini": "ini", "cfg": "ini", "conf": "ini",
    "proto": "protobuf", "graphql": "graphql", "zig": "zig", "nim": "nim", "f90": "fortran", "vb": "vb", "asm": "asm",
    "cmake": "cmake", "mk": "make", "bat": "bat", "diff": "diff", "patch": "diff",
}  # fmt: skip
"""The language that an extension names, in the terms of tree-sitter's grammars where it has one."""

_NAMES = {"makefile": "make", "gnumakefile": "make", "dockerfile": "dockerfile", "cmakelists.txt": "cmake"}


def language_of(name: str) -> str | None:
    """Return the language a file's name says, or None."""
    path = PurePosixPath(name.lower())
    return _NAMES.get(path.name) or LANGUAGES.get(path.suffix.lstrip("."))


class CodeReader:
    """Its document has one code block, which is the file; a chunker finds the functions and classes in it."""

    name = "code"
    formats = frozenset({"code"})

    def read(self, data: bytes, name: str, options: ReadOptions) -> Parsed:
        """Read source code."""
        return whole(self.name, data, name, options, format="code", language=language_of(name))


def whole(
    reader: str,
    data: bytes,
    name: str,
    options: ReadOptions,
    *,
    format: str,  # noqa: A002
    language: str | None,
    check: Callable[[str], tuple[str, ...]] | None = None,
) -> Parsed:
    """Make a document of one code block: the file's text, as it is.

    Args:
        reader: Name of the reader.
        data: The file.
        name: Its name.
        options: How to read it.
        format: In the terms of `detect`.
        language: Of the code.
        check: Looks at the text, and returns what is wrong with it; may refuse it.
    """
    started = time.perf_counter()
    decoded = decode(data, name, options.encoding)
    warnings = decoded.warnings + (check(decoded.text) if check else ())
    builder = DocumentBuilder(source_of(data, name, FORMATS[format][0]))
    builder.metadata["encoding"] = decoded.encoding
    text = decoded.text.rstrip("\n")
    if text:
        builder.add(Code(text=text, language=language, provenance=Provenance(source_span=Span(0, len(text)))))
    document = builder.build()
    seconds = time.perf_counter() - started
    return Parsed(document, Receipt.of(document, reader=reader, format=format, warnings=warnings, seconds=seconds))

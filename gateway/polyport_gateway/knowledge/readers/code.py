"""Source code: one code block, whole."""

from __future__ import annotations

from pathlib import PurePosixPath

__all__ = ["LANGUAGES", "language_of"]

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

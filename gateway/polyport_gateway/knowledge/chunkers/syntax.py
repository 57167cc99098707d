"""Parsers of programming languages, from the wheels that carry their grammars."""

from __future__ import annotations

import importlib
import importlib.util
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Parser

__all__ = ["LANGUAGES", "language_of", "parser_for"]

LANGUAGES = {
    "bash": ("tree_sitter_bash", "language"),
    "c": ("tree_sitter_c", "language"),
    "cpp": ("tree_sitter_cpp", "language"),
    "csharp": ("tree_sitter_c_sharp", "language"),
    "go": ("tree_sitter_go", "language"),
    "java": ("tree_sitter_java", "language"),
    "javascript": ("tree_sitter_javascript", "language"),
    "php": ("tree_sitter_php", "language_php"),
    "python": ("tree_sitter_python", "language"),
    "ruby": ("tree_sitter_ruby", "language"),
    "rust": ("tree_sitter_rust", "language"),
    "scala": ("tree_sitter_scala", "language"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
}
"""Module and function that give each language's grammar."""

_ALIASES = {
    "sh": "bash", "shell": "bash", "h": "c", "cc": "cpp", "cxx": "cpp", "hpp": "cpp", "c++": "cpp",
    "cs": "csharp", "c#": "csharp",
    "js": "javascript", "mjs": "javascript", "cjs": "javascript", "jsx": "javascript", "py": "python", "pyi": "python",
    "python3": "python", "rb": "ruby", "rs": "rust", "ts": "typescript", "golang": "go",
}  # fmt: skip


def language_of(name: str | None) -> str | None:
    """Return the language that a name, an alias or a file's ending means, or None."""
    if not name:
        return None
    key = name.strip().lower().rpartition(".")[2]
    key = _ALIASES.get(key, key)
    return key if key in LANGUAGES else None


@lru_cache(maxsize=64)
def parser_for(language: str) -> Parser | None:
    """Return a language's parser, or None where its grammar is not installed."""
    module, function = LANGUAGES[language]
    if importlib.util.find_spec("tree_sitter") is None or importlib.util.find_spec(module) is None:
        return None
    tree_sitter = importlib.import_module("tree_sitter")
    grammar = getattr(importlib.import_module(module), function)()
    parser: Parser = tree_sitter.Parser(tree_sitter.Language(grammar))
    return parser

"""Whether a block of typed lines is complete. An empty line always ends one."""

from __future__ import annotations

import ast
import codeop
import re
import warnings

__all__ = ["is_complete"]

_QUOTED = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|`(?:\\.|[^`\\])*`|//.*|(?<!\S)#.*")
_WORD = re.compile(r"(?:^|(?<=[;&|()\n]))\s*(do|then|case|done|fi|esac|\{|\})(?=\s|;|$)|\b(in)\s*$")
_OPENING = {"do": 1, "then": 1, "case": 1, "{": 1, "done": -1, "fi": -1, "esac": -1, "}": -1}


def is_complete(text: str, language: str) -> bool:
    """Say whether `text` can run as it is; where that can't be known, it can."""
    if text.endswith("\n") and not text.strip("\n").endswith("\\"):
        return True  # the last line is empty
    if language == "python":
        return _python(text)
    if text.endswith("\\"):
        return False
    bare = _QUOTED.sub("", text)
    if language == "javascript":
        return sum(bare.count(mark) for mark in "([{") <= sum(bare.count(mark) for mark in ")]}")
    if language == "bash":
        return sum(_OPENING.get(found[1] or "", 0) for found in _WORD.finditer(bare)) <= 0
    return True


def _python(text: str) -> bool:
    # Cells may await at their top level; what is wrong is for the kernel to say.
    compiler = codeop.CommandCompiler()
    compiler.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return compiler(text, "<cell>", "single") is not None
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
        return True

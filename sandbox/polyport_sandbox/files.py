"""Which names and amounts of files may go in, and which may come out."""

from __future__ import annotations

from collections.abc import Mapping

from .errors import InvalidRunError
from .types import Language, Limits

__all__ = ["check_files", "name_problem"]

MAX_NAME_BYTES = 255
MAX_DEPTH = 8


def name_problem(name: str) -> str | None:
    """Say why `name` can't be a file's name inside the working folder, or None if it can."""
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        return "is not valid Unicode"
    if not encoded or len(encoded) > MAX_NAME_BYTES:
        return f"must have 1 to {MAX_NAME_BYTES} bytes"
    if name.startswith("/"):
        return "is absolute; give a name relative to the working folder"
    if "\\" in name or any(ord(character) < 32 or ord(character) == 127 for character in name):
        return "has a backslash or a control character"
    parts = name.split("/")
    if len(parts) > MAX_DEPTH:
        return f"has more than {MAX_DEPTH} parts"
    if any(part in ("", ".", "..") for part in parts):
        return "has an empty part, '.' or '..', and could leave the working folder"
    return None


def check_files(code: bytes, language: Language, files: Mapping[str, bytes], stdin: bytes, limits: Limits) -> None:
    """Refuse files that are badly named, too many or too large.

    Raises:
        InvalidRunError: With the file and what is wrong with it.
    """
    if len(files) > limits.input_files:
        raise InvalidRunError(f"{len(files)} files are more than the {limits.input_files} allowed", param="files")
    for name, content in files.items():
        problem = name_problem(name)
        if problem is not None:
            raise InvalidRunError(f"the file name {name[:80]!r} {problem}", param="files")
        if not isinstance(content, bytes):
            raise InvalidRunError(f"the content of file {name!r} is {type(content).__name__}, not bytes", param="files")
    taken = {language.filename, *files}
    if language.filename in files:
        raise InvalidRunError(
            f"a file named {language.filename!r} would replace the code, which has that name", param="files"
        )
    for name in taken:
        parts = name.split("/")
        for depth in range(1, len(parts)):
            if "/".join(parts[:depth]) in taken:
                raise InvalidRunError(f"the file name {name!r} lies under another file", param="files")
    total = len(code) + len(stdin) + sum(map(len, files.values()))
    if total > limits.input_bytes:
        raise InvalidRunError(
            f"code, stdin and files are {total} bytes together, more than the {limits.input_bytes} allowed",
            param="files",
        )

"""Which names and amounts of code and files may go in, and which may come out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from .errors import InvalidRunError
from .types import Language, Limits

__all__ = ["check_context", "check_files", "check_limits", "check_name", "check_upload", "encode_code", "name_problem"]

MAX_NAME_BYTES = 255
MAX_DEPTH = 8
CONTEXT = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


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


def check_name(name: str, *, param: str = "name") -> None:
    """Refuse a file's name that could lie outside the working folder.

    Raises:
        InvalidRunError: With the name and what is wrong with it.
    """
    if not isinstance(name, str):
        raise InvalidRunError(f"a file name is {type(name).__name__}, not text", param=param)
    problem = name_problem(name)
    if problem is not None:
        raise InvalidRunError(f"the file name {name[:80]!r} {problem}", param=param)


def check_context(context: str) -> None:
    """Refuse a badly named context."""
    if not isinstance(context, str) or CONTEXT.fullmatch(context) is None:
        raise InvalidRunError(
            f"the context {str(context)[:80]!r} must be 1 to 64 letters, digits, '_', '.', ':' or '-'", param="context"
        )


def encode_code(code: str | bytes) -> bytes:
    """Encode code that came as text."""
    if isinstance(code, bytes):
        return code
    if not isinstance(code, str):
        raise InvalidRunError(f"the code is {type(code).__name__}; give text or bytes", param="code")
    try:
        return code.encode()
    except UnicodeEncodeError as error:
        raise InvalidRunError(f"the code is not valid Unicode: {error}", param="code") from error


def check_limits(limits: Limits | None) -> Limits:
    """Return the limits that hold: those without any asked for, if it is None.

    Raises:
        InvalidRunError: If it is something else than `Limits`, a dict for instance.
    """
    if limits is None:
        return Limits()
    if not isinstance(limits, Limits):
        raise InvalidRunError(f"limits is {type(limits).__name__}; give Limits(wall_s=5, …)", param="limits")
    return limits


def check_files(
    code: bytes, language: Language, files: Mapping[str, bytes] | None, stdin: bytes, limits: Limits
) -> dict[str, bytes]:
    """Return a run's files, unless they are badly named, too many or too large.

    Raises:
        InvalidRunError: With the file and what is wrong with it.
    """
    if not isinstance(stdin, bytes):
        raise InvalidRunError(f"stdin is {type(stdin).__name__}, not bytes", param="stdin")
    found = _check_each(files, limits)
    if language.filename in found:
        raise InvalidRunError(
            f"a file named {language.filename!r} would replace the code, which has that name", param="files"
        )
    _check_folders({language.filename, *found})
    _check_total(len(code) + len(stdin) + sum(map(len, found.values())), limits, "code, stdin and files")
    return found


def check_upload(files: Mapping[str, bytes] | None, limits: Limits) -> dict[str, bytes]:
    """Return files for a session, unless they are badly named, too many or too large.

    Raises:
        InvalidRunError: With the file and what is wrong with it.
    """
    found = _check_each(files, limits)
    _check_folders(found)
    _check_total(sum(map(len, found.values())), limits, "the files")
    return found


def _check_each(files: Mapping[str, bytes] | None, limits: Limits) -> dict[str, bytes]:
    if files is None:
        return {}
    if not isinstance(files, Mapping):
        raise InvalidRunError(
            f'files is {type(files).__name__}; give a dict of content by name: {{"in.csv": b"…"}}', param="files"
        )
    if len(files) > limits.input_files:
        raise InvalidRunError(f"{len(files)} files are more than the {limits.input_files} allowed", param="files")
    for name, content in files.items():
        check_name(name, param="files")
        if not isinstance(content, bytes):
            raise InvalidRunError(f"the content of file {name!r} is {type(content).__name__}, not bytes", param="files")
    return dict(files)


def _check_folders(names: Iterable[str]) -> None:
    taken = set(names)
    for name in taken:
        parts = name.split("/")
        for depth in range(1, len(parts)):
            if "/".join(parts[:depth]) in taken:
                raise InvalidRunError(f"the file name {name!r} lies under another file", param="files")


def _check_total(total: int, limits: Limits, what: str) -> None:
    if total > limits.input_bytes:
        raise InvalidRunError(
            f"{what} are {total} bytes together, more than the {limits.input_bytes} allowed", param="files"
        )

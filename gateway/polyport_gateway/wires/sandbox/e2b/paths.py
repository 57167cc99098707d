"""Paths as E2B's clients write them, and names as a session has them."""

from __future__ import annotations

import posixpath

from polyport.errors import BadRequestError

__all__ = ["HOME", "WORK", "folder_in_sandbox", "name_of", "path_of"]

HOME = "/home/user"
WORK = "/work"
"""The working folder as the code sees it."""


def name_of(path: str) -> str:
    """Return a path's name in the working folder, empty for the folder itself.

    E2B's home folder stands for the working folder, so that paths written for it go on working.

    Raises:
        BadRequestError: It lies elsewhere.
    """
    if path == "~" or path.startswith("~/"):
        path = HOME + path[1:]
    clean = posixpath.normpath(path) if path else "."
    if clean.startswith("//"):
        clean = clean[1:]
    for root in (HOME, WORK):
        if clean == root or clean.startswith(f"{root}/"):
            clean = clean[len(root) :].lstrip("/") or "."
            break
    if clean == ".." or clean.startswith(("/", "../")):
        raise BadRequestError(
            f"The path {path[:200]!r} lies outside the working folder; only {WORK} ({HOME} means the same) is reached "
            "from outside. Code and commands reach the rest.",
            param="path",
        )
    return "" if clean == "." else clean


def path_of(name: str) -> str:
    """Return a name's path as the code sees it."""
    return f"{WORK}/{name}" if name else WORK


def folder_in_sandbox(path: str | None) -> str:
    """Return where code or a command is to start; any folder of the sandbox will do."""
    if not path:
        return WORK
    clean = posixpath.normpath(posixpath.join(WORK, path))
    if clean == HOME or clean.startswith(f"{HOME}/"):
        return WORK + clean[len(HOME) :]
    return clean

"""Where documents come from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .base import Item, Listing, Loaded, Origin, Problem, Source, SourceFailedError
from .folder import Folder, SingleFile
from .given import UPLOADS, Upload, Uploads
from .guard import AddressRefusedError, GuardedNetwork
from .web import Web, WebPage, page_key

__all__ = [
    "UPLOADS",
    "AddressRefusedError",
    "Folder",
    "GuardedNetwork",
    "Item",
    "Listing",
    "Loaded",
    "Origin",
    "Problem",
    "SingleFile",
    "Source",
    "SourceFailedError",
    "Upload",
    "Uploads",
    "Web",
    "WebPage",
    "open_sources",
    "page_key",
]

_WILD = set("*?[")


def open_sources(specs: Sequence[str], web: Web, *, base: Path | None = None) -> list[Source]:
    """Make sources of what a base names: folders, patterns such as ``docs/**/*.md``, files and addresses.

    A folder's label is its name; where two have the same, the later one's is as much of its path as tells them apart.

    Args:
        specs: As they were given.
        web: Fetches pages.
        base: Relative paths are taken from here; the working folder without.

    Raises:
        BadRequestError: An address can't be fetched.
    """
    found: list[Source] = []
    labels: set[str] = set()
    for spec in dict.fromkeys(specs):
        source = _open(spec, web, base or Path(), labels)
        labels.add(source.label)
        found.append(source)
    return found


def _open(spec: str, web: Web, base: Path, labels: set[str]) -> Source:
    if "://" in spec.split("?")[0]:
        return WebPage(page_key(spec), web)
    path, pattern = _split(spec)
    path = (base / path.expanduser()).absolute()
    label = _label(path, labels)
    if pattern or path.is_dir() or not (path.suffix or path.exists()):
        return Folder(path, label, (pattern,) if pattern else ())
    return SingleFile(path, label)


def _split(spec: str) -> tuple[Path, str]:
    parts = Path(spec).parts
    if Path(spec).exists():
        return Path(spec), ""
    wild = next((place for place, part in enumerate(parts) if _WILD.intersection(part)), None)
    if wild is None:
        return Path(spec), ""
    return Path(*parts[:wild]), "/".join(parts[wild:])


def _label(path: Path, labels: set[str]) -> str:
    parts = [part for part in path.parts if part not in ("/", ".", "..")] or ["root"]
    for length in range(1, len(parts) + 1):
        label = "/".join(parts[-length:])
        if label not in labels:
            return label
    return f"{'/'.join(parts)}#{len(labels)}"

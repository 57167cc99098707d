"""Where a model's files are: a folder, an installed package that carries one, or the hub's cache on this machine."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path, PurePath
from typing import Any

from polyport.errors import ConfigurationError, MissingDependencyError

__all__ = ["find_model", "is_cross_encoder"]

_MARKS = ("modules.json", "config.json")


def find_model(name: str, *, download: bool = False, revision: str | None = None) -> Path | None:
    """Return the folder of a model; nothing is fetched.

    Args:
        name: A folder's path, an installed package's name, or a name of the hub (``owner/name``).
        download: Whether a name that is not on this machine may be fetched later.
        revision: Of a model of the hub.

    Returns:
        The folder; None for a model that has yet to be downloaded.

    Raises:
        ConfigurationError: There is no such model here, and none may be downloaded.
        MissingDependencyError: The name may be the hub's, whose client is not installed.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not any((folder / mark).is_file() for mark in _MARKS):
            raise ConfigurationError(f"{name!r} is a folder without {' or '.join(_MARKS)}: it holds no model")
        return folder
    found = _in_package(name) or _in_hub_cache(name, revision)
    if found is None and not (download and _is_hub_name(name)):
        raise ConfigurationError(
            f"there is no model {name!r} here: it is no folder, no installed package that carries a model, and not in "
            "the hub's cache; give the path of one, install it, or allow the download with download=True"
        )
    return found


def is_cross_encoder(folder: Path) -> bool:
    """Whether a model's files say that it scores pairs of texts rather than embeds each."""
    stated = _read_json(folder / "config_sentence_transformers.json").get("model_type")
    if isinstance(stated, str):
        return stated == "CrossEncoder"
    if (folder / "modules.json").is_file():
        return False
    architectures = _read_json(folder / "config.json").get("architectures") or []
    return any(str(architecture).endswith("ForSequenceClassification") for architecture in architectures)


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise ConfigurationError(f"{path} is not JSON: {error}") from error
    return value if isinstance(value, dict) else {}


def _in_package(name: str) -> Path | None:
    """Find the folder of a model among an installed package's files."""
    if not name.replace("-", "_").replace(".", "_").isidentifier():
        return None
    files: list[Path] = []
    try:
        installed = distribution(name)
    except PackageNotFoundError:
        pass
    else:
        files = [Path(str(installed.locate_file(file))) for file in installed.files or () if _is_mark(file)]
    if not files and (spec := find_spec(name.replace("-", "_"))) is not None:
        # Installed in place: its files are listed nowhere.
        roots = [Path(root) for root in spec.submodule_search_locations or ()]
        files = [path for root in roots for mark in _MARKS for path in root.rglob(mark)]
    folders = {path.parent for path in files if path.is_file()}
    whole = [folder for folder in folders if any(folder.glob("*token*"))]
    return min(whole or folders, key=lambda folder: (len(folder.parts), str(folder)), default=None)


def _is_mark(file: PurePath) -> bool:
    return file.name in _MARKS


def _is_hub_name(name: str) -> bool:
    return name.count("/") <= 1 and not name.startswith((".", "/", "~"))


def _in_hub_cache(name: str, revision: str | None) -> Path | None:
    if not _is_hub_name(name):
        return None
    if find_spec("huggingface_hub") is None:
        raise MissingDependencyError("the engine 'sentence-transformers'", extra="sentence-transformers")
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    for mark in _MARKS:
        try:
            found = try_to_load_from_cache(name, mark, revision=revision)
        except HFValidationError:
            return None
        if isinstance(found, str):
            return Path(found).parent
    return None

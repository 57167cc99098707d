"""What goes into an image, and the fingerprint by which a newer recipe is told from an older one."""

from __future__ import annotations

import hashlib
import importlib.resources
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from polyport_sandbox.errors import InvalidRunError

__all__ = [
    "DATA_IMAGE",
    "DEFAULT_IMAGE",
    "IMAGE_LABEL",
    "RECIPES",
    "Recipe",
    "kept_text",
    "recipe_named",
    "split_packages",
]

REPOSITORY = "polyport/sandbox"
DEFAULT_IMAGE = f"{REPOSITORY}:minimal"
DATA_IMAGE = f"{REPOSITORY}:data"
DEFAULT_SUITE = "bookworm"

IMAGE_LABEL = "io.polyport.sandbox"
_LABEL = f"{IMAGE_LABEL}.recipe"

# Raised when the steps in tree.py or wheels.py change what comes out of them.
_FORMAT = 2

_KEPT = ("font_cache.txt", "matplotlibrc.txt", "sitecustomize.txt")

_DEBIAN_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_SUITE = re.compile(r"[a-z][a-z0-9-]*")
# A name, extras and versions; no addresses and no paths, which would stay written down in the image.
_REQUIREMENT = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(\[[A-Za-z0-9._, -]+\])?\s*"
    r"((===|==|~=|!=|<=|>=|<|>)[A-Za-z0-9.*+!_-]+,?\s*)*"
)
# A comma between two packages, not one between two bounds of a version.
_BETWEEN = re.compile(r",(?!\s*[<>=!~])")


@dataclass(frozen=True)
class Recipe:
    """One image.

    Args:
        name: Its short name, and the tag by default.
        suite: The Debian release.
        debian: Debian packages beside those that are essential.
        python: Python requirements, such as ``"numpy"`` or ``"pandas>=2,<3"``.
    """

    name: str
    suite: str = DEFAULT_SUITE
    debian: tuple[str, ...] = ()
    python: tuple[str, ...] = ()

    @property
    def tag(self) -> str:
        """The image's usual name."""
        return f"{REPOSITORY}:{self.name}"

    def with_more(self, *, python: Iterable[str] = (), debian: Iterable[str] = (), suite: str | None = None) -> Recipe:
        """Add packages, or choose another release.

        Raises:
            InvalidRunError: If a name can't be one.
        """
        python, debian = tuple(python), tuple(debian)
        _check(python, _REQUIREMENT, "Python package", "a name with an optional version, such as pandas>=2,<3")
        _check(debian, _DEBIAN_PACKAGE, "Debian package", "a name such as ripgrep")
        _check((suite or self.suite,), _SUITE, "Debian release", "a name such as bookworm")
        return replace(
            self,
            suite=suite or self.suite,
            debian=tuple(dict.fromkeys((*self.debian, *debian))),
            python=tuple(dict.fromkeys((*self.python, *python))),
        )

    @property
    def fingerprint(self) -> str:
        """A hash of all that decides what the image holds, package versions left aside."""
        parts = {
            "format": _FORMAT,
            "suite": self.suite,
            "debian": sorted(self.debian),
            "python": sorted(self.python),
            "files": [kept_text(name) for name in _KEPT],
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def labels(self) -> dict[str, str]:
        """What is written on the image, so that an older one is known for what it is."""
        made = {"name": self.name, "suite": self.suite, "debian": list(self.debian), "python": list(self.python)}
        return {
            IMAGE_LABEL: "image",
            _LABEL: json.dumps(made, separators=(",", ":")),
            f"{_LABEL}.fingerprint": self.fingerprint,
        }


def _check(names: Iterable[str], pattern: re.Pattern[str], kind: str, expected: str) -> None:
    for name in names:
        if not pattern.fullmatch(name):
            raise InvalidRunError(f"{name!r} is no {kind}; give {expected}", param="packages")


def recipe_of(labels: Mapping[str, str] | None) -> tuple[Recipe, str] | None:
    """The recipe an image was made by, and its fingerprint then; None for an image that was not made by one."""
    labels = labels or {}
    try:
        made = json.loads(labels[_LABEL])
        recipe = Recipe(str(made["name"]), str(made["suite"]), tuple(made["debian"]), tuple(made["python"]))
        return recipe, labels[f"{_LABEL}.fingerprint"]
    except (KeyError, TypeError, ValueError):
        return None


def kept_text(name: str) -> str:
    """A file that goes into images, or makes something in them."""
    return importlib.resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def split_packages(text: str) -> tuple[str, ...]:
    """Take a list with commas apart; a comma within ``pandas>=2,<3`` separates nothing."""
    return tuple(part.strip() for part in _BETWEEN.split(text) if part.strip())


_MINIMAL = Recipe("minimal", debian=("python3", "nodejs"))

RECIPES: Mapping[str, Recipe] = {
    "minimal": _MINIMAL,
    "data": replace(
        _MINIMAL,
        name="data",
        debian=(*_MINIMAL.debian, "fonts-wqy-microhei"),
        python=(
            "beautifulsoup4",
            "lxml",
            "matplotlib",
            "networkx",
            "numpy",
            "openpyxl",
            "pandas",
            "pillow",
            "pypdf",
            "python-docx",
            "scikit-learn",
            "scipy",
            "sympy",
            "tabulate",
            "xlsxwriter",
        ),
    ),
}


def recipe_named(name: str) -> Recipe:
    """Find a recipe.

    Raises:
        InvalidRunError: If there is none of this name.
    """
    if name not in RECIPES:
        raise InvalidRunError(f"there is no image {name!r}; there are: {', '.join(sorted(RECIPES))}", param="image")
    return RECIPES[name]

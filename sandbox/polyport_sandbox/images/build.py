"""Make the sandbox's image: out of Debian's packages where no image registry can be reached, or by a Dockerfile."""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from polyport_sandbox.docker.engine import DEFAULT_SOCKET, Engine, EngineError
from polyport_sandbox.errors import InvalidRunError, SandboxError

from . import DATA_IMAGE, DEFAULT_IMAGE, Recipe, recipe_named
from .dockerfile import docker_build
from .process import output_of
from .recipe import recipe_of
from .tree import bootstrap, check_tools, finish, remove_tree
from .trial import try_out
from .wheels import find_pip, install, prepare_matplotlib

__all__ = ["DATA_IMAGE", "DEFAULT_IMAGE", "MIRROR", "Built", "build", "is_up_to_date", "parse_tag"]

MIRROR = "http://deb.debian.org/debian"

_MIRROR = re.compile(r"(https?://[^\s@]+|file:///\S+)")
_REPOSITORY = re.compile(r"[a-z0-9]+([._/:-]+[a-z0-9]+)*")
_VERSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True)
class Built:
    """What came of a build.

    Args:
        tag: The image's name.
        identity: Its id.
        made: Whether it was made now; otherwise it was up to date.
        megabytes: Its size in MB, as Docker counts.
    """

    tag: str
    identity: str
    made: bool
    megabytes: int


OnStep = Callable[[int, int, str], None]
"""Called at the start of each step: its number, how many there are, and what it does."""


def _silent(number: int, total: int, text: str) -> None:
    pass


async def build(
    recipe: Recipe | str = "minimal",
    *,
    tag: str | None = None,
    mirror: str = MIRROR,
    force: bool = False,
    from_dockerfile: bool = False,
    socket: str = DEFAULT_SOCKET,
    on_step: OnStep = _silent,
) -> Built:
    """Make a root file system with debootstrap and pip, import it, try it out and only then give it its name.

    Args:
        recipe: What goes into it, or the name of a recipe.
        tag: The image's name and tag; the recipe's own by default.
        mirror: Where Debian's packages come from.
        force: Make it also where the image there was made by the same recipe.
        from_dockerfile: Have Docker build it on an image of Debian, where a registry can be reached.
        socket: The Docker daemon's socket.
        on_step: Told of each step as it begins.

    Raises:
        InvalidRunError: If a name can't be one.
        SandboxUnavailableError: If debootstrap is missing or may not be used, or Docker does not answer.
        SandboxError: If a step fails; the image that had the name keeps it, and nothing else stays.
    """
    recipe = recipe_named(recipe) if isinstance(recipe, str) else recipe
    tag = recipe.tag if tag is None else tag
    repository, version = parse_tag(tag)
    if not _MIRROR.fullmatch(mirror):
        raise InvalidRunError(f"{mirror!r} is no mirror; give an address such as {MIRROR}", param="mirror")
    engine = Engine(socket)
    try:
        await engine.version()
        there = await engine.image(tag)
        if there is not None and not force and is_up_to_date(there, recipe):
            return _built(tag, there, made=False)
        if from_dockerfile:
            identity = await _have_made(engine, recipe, on_step)
        else:
            check_tools()
            if recipe.python:
                find_pip()
            identity = await _make(engine, recipe, mirror, on_step)
        await engine.tag_image(identity, repository=repository, tag=version)
        if there is not None and there["Id"] != identity:
            await _let_go(engine, str(there["Id"]))
        found = await engine.image(identity)
    finally:
        await engine.aclose()
    if found is None:
        raise SandboxError(f"Docker lost the new image {tag}: build it again.")
    return _built(tag, found, made=True)


async def _make(engine: Engine, recipe: Recipe, mirror: str, on_step: OnStep) -> str:
    """Make the image without a name; return its id."""
    total = 5 if recipe.python else 4
    step = 0

    def begin(text: str) -> None:
        nonlocal step
        step += 1
        on_step(step, total, text)

    folder = Path(tempfile.mkdtemp(prefix="polyport-sandbox-image-"))
    root = folder / "root"
    try:
        begin(f"Debian {recipe.suite} with {', '.join(recipe.debian)}")
        await bootstrap(recipe, root, mirror)
        if recipe.python:
            begin(f"Python packages {', '.join(recipe.python)}")
            await install(root, recipe.python)
            await prepare_matplotlib(root)
        begin("take out what isn't needed")
        await asyncio.to_thread(finish, root)
        begin("import into Docker")
        archive = output_of("tar", "-C", str(root), "--one-file-system", "--numeric-owner", "-cf", "-", ".")
        identity = await engine.import_image(archive, changes=_changes(recipe))
    finally:
        await asyncio.shield(remove_tree(folder))
    begin("try it out")
    return await _tried(engine, identity, recipe)


async def _have_made(engine: Engine, recipe: Recipe, on_step: OnStep) -> str:
    """Have Docker make the image, without a name; return its id."""
    on_step(1, 2, f"docker build on debian:{recipe.suite}-slim")
    identity = await docker_build(recipe, socket=engine.socket)
    on_step(2, 2, "try it out")
    return await _tried(engine, identity, recipe)


async def _tried(engine: Engine, identity: str, recipe: Recipe) -> str:
    try:
        await try_out(identity, recipe, socket=engine.socket)
    except BaseException:
        await asyncio.shield(_let_go(engine, identity))
        raise
    return identity


def _changes(recipe: Recipe) -> list[str]:
    labels = " ".join(f"{name}={json.dumps(value)}" for name, value in recipe.labels().items())
    return [f"LABEL {labels}", "WORKDIR /work", 'CMD ["python3"]']


async def _let_go(engine: Engine, identity: str) -> None:
    """Remove an image that has no other name and no container; any other stays."""
    try:
        await engine.remove_image(identity)
    except EngineError as error:
        if error.status not in (404, 409):
            raise


def _built(tag: str, image: dict[str, object], *, made: bool) -> Built:
    size = image.get("Size")
    return Built(tag, str(image["Id"]), made, int(size) // 1_000_000 if isinstance(size, int) else 0)


def is_up_to_date(image: dict[str, object], recipe: Recipe | None = None) -> bool | None:
    """Whether an image is what its recipe (or the one given) now makes; None for one that no recipe made."""
    config = image.get("Config")
    made = recipe_of(config.get("Labels") if isinstance(config, dict) else None)
    if made is None:
        return None
    its_recipe, fingerprint = made
    return fingerprint == (recipe or its_recipe).fingerprint


def parse_tag(tag: str) -> tuple[str, str]:
    """Take an image's name apart into its repository and its tag, ``latest`` where it has none.

    Raises:
        InvalidRunError: If Docker would refuse it.
    """
    repository, separator, version = tag.rpartition(":")
    if not separator or "/" in version:
        repository, version = tag, "latest"
    if not _REPOSITORY.fullmatch(repository) or not _VERSION.fullmatch(version):
        raise InvalidRunError(f"{tag!r} is no image's name; give one such as {DEFAULT_IMAGE}", param="tag")
    return repository, version

"""``polyport sandbox build``: what it shows."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from polyport_gateway.cli.output import is_terminal, print_json, style

if TYPE_CHECKING:
    from collections.abc import Callable

    from polyport_sandbox.images import Recipe

__all__ = ["build_image"]


def build_image(
    image: str,
    *,
    tag: str | None,
    packages: str,
    debian_packages: str,
    mirror: str | None,
    suite: str | None,
    from_dockerfile: bool,
    force: bool,
    dry_run: bool,
    socket: str | None,
    as_json: bool,
) -> None:
    """Make an image and say how it went."""
    from polyport_sandbox.docker.engine import DEFAULT_SOCKET
    from polyport_sandbox.images.build import MIRROR, build, parse_tag
    from polyport_sandbox.images.process import run_to_end
    from polyport_sandbox.images.recipe import recipe_named, split_packages

    recipe = recipe_named(image).with_more(
        python=split_packages(packages), debian=split_packages(debian_packages), suite=suite
    )
    if tag is not None:
        parse_tag(tag)
    if dry_run:
        _show_recipe(recipe, tag or recipe.tag, mirror or MIRROR, as_json=as_json)
        return
    began = time.monotonic()
    with _steps() as on_step:
        built = run_to_end(
            build(
                recipe,
                tag=tag,
                mirror=mirror or MIRROR,
                force=force,
                from_dockerfile=from_dockerfile,
                socket=socket or DEFAULT_SOCKET,
                on_step=on_step,
            )
        )
    seconds = round(time.monotonic() - began, 1)
    if as_json:
        shown = {"tag": built.tag, "id": built.identity, "made": built.made, "size_mb": built.megabytes}
        print_json({**shown, "seconds": seconds})
    elif built.made:
        typer.echo(f"Made {style(built.tag, bold=True)}, {built.megabytes} MB, in {seconds:.0f} s.")
    else:
        typer.echo(f"{style(built.tag, bold=True)} is up to date, {built.megabytes} MB. --force makes it anew.")


def _show_recipe(recipe: Recipe, tag: str, mirror: str, *, as_json: bool) -> None:
    shown: dict[str, Any] = {
        "tag": tag,
        "suite": recipe.suite,
        "mirror": mirror,
        "debian_packages": list(recipe.debian),
        "python_packages": list(recipe.python),
        "fingerprint": recipe.fingerprint,
    }
    if as_json:
        print_json(shown)
        return
    for name, value in shown.items():
        typer.echo(f"{name.replace('_', ' '):<16} {', '.join(value) if isinstance(value, list) else value}")


@contextlib.contextmanager
def _steps() -> Iterator[Callable[[int, int, str], None]]:
    """Show each step on standard error: with a moving sign and a clock on a terminal, a line each elsewhere."""
    if not is_terminal(sys.stderr):
        yield lambda number, total, text: typer.echo(f"{number}/{total} {text}", err=True)
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(finished_text="·"), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:

        def on_step(number: int, total: int, text: str) -> None:
            for task in progress.tasks:
                progress.update(task.id, total=1, completed=1)
            progress.add_task(f"{number}/{total} {text}", total=None)

        yield on_step
        for task in progress.tasks:
            progress.update(task.id, total=1, completed=1)

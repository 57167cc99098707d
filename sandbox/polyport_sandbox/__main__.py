"""``python -m polyport_sandbox build | run | doctor``."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from polyport.errors import PolyportError

from .doctor import examine
from .engine import DEFAULT_SOCKET
from .image import DEFAULT_IMAGE, MIRROR, build
from .images.recipe import recipe_named, split_packages
from .sandbox import Sandbox
from .types import Limits


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m polyport_sandbox", description="The Polyport mini sandbox.")
    parser.add_argument("--socket", default=DEFAULT_SOCKET, help="the Docker daemon's socket")
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("build", help="make the image from Debian's packages")
    make.add_argument("--image", default="minimal", help="minimal or data")
    make.add_argument("--tag", default=None)
    make.add_argument("--mirror", default=MIRROR, help="a Debian mirror")
    make.add_argument("--packages", default="", help="more Python packages, with commas between")
    run = commands.add_parser("run", help="run a file, or - for what comes on stdin")
    run.add_argument("file")
    run.add_argument("--language", default="python")
    run.add_argument("--image", default=DEFAULT_IMAGE)
    run.add_argument("--wall-s", type=float, default=Limits.wall_s)
    run.add_argument("--memory-mb", type=int, default=Limits.memory_mb)
    look = commands.add_parser("doctor", help="say what is missing, and what mends it")
    look.add_argument("--image", default=DEFAULT_IMAGE)
    return parser


async def _build(options: argparse.Namespace) -> int:
    recipe = recipe_named(options.image).with_more(python=split_packages(options.packages))
    built = await build(recipe, tag=options.tag, mirror=options.mirror, socket=options.socket)
    print("made" if built.made else "up to date:", built.tag)
    return 0


def _source(name: str) -> bytes:
    return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()


async def _run(options: argparse.Namespace) -> int:
    code = await asyncio.to_thread(_source, options.file)
    limits = Limits(wall_s=options.wall_s, memory_mb=options.memory_mb)
    async with Sandbox("docker", socket=options.socket, image=options.image, pool_size=0) as box:
        result = await box.run(code, language=options.language, limits=limits)
    sys.stdout.buffer.write(result.stdout)
    sys.stdout.flush()
    sys.stderr.buffer.write(result.stderr)
    if result.status not in ("ok", "error"):
        print(f"{result.status}: {result.detail or ''}", file=sys.stderr)
    return result.exit_code if result.exit_code is not None and result.exit_code >= 0 else 1


async def _doctor(options: argparse.Namespace) -> int:
    report = await examine(socket=options.socket, image=options.image)
    print(report)
    return 0 if report.fit else 1


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit status."""
    options = _parser().parse_args(arguments)
    command = {"build": _build, "run": _run, "doctor": _doctor}[options.command]
    try:
        return asyncio.run(command(options))
    except (PolyportError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())

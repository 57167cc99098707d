"""``python -m polyport_sandbox build | run | shell | doctor | ps | prune``: `polyport sandbox` without the gateway."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from polyport.errors import PolyportError

from .docker.containers import list_containers, prune
from .docker.engine import DEFAULT_SOCKET
from .docker.upkeep import survey
from .errors import InvalidRunError
from .images.build import DEFAULT_IMAGE, MIRROR, build
from .images.process import run_to_end
from .images.recipe import RECIPES, recipe_named, split_packages
from .terminal import Place, Program, Shell, run_program
from .terminal.run import EXIT_STATUS, guess_language, read_file, read_files
from .terminal.screen import Screen
from .types import Limits


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m polyport_sandbox", description="The Polyport mini sandbox.")
    parser.add_argument("--socket", default=DEFAULT_SOCKET, help="the Docker daemon's socket")
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("build", help="make the image from Debian's packages, or with a Dockerfile")
    make.add_argument("--image", default="minimal", choices=sorted(RECIPES))
    make.add_argument("--tag", default=None)
    make.add_argument("--packages", default="", help="more Python packages, with commas between")
    make.add_argument("--debian-packages", default="", help="more Debian packages, with commas between")
    make.add_argument("--mirror", default=MIRROR, help="a Debian mirror")
    make.add_argument("--suite", default=None, help="the Debian release")
    make.add_argument("--from-dockerfile", action="store_true", help="docker build, where a registry can be reached")
    make.add_argument("--force", action="store_true", help="make it even if it is up to date")
    run = commands.add_parser("run", help="run a file, or - for what comes on stdin")
    run.add_argument("file")
    run.add_argument("--stdin", default=None, help="what it reads: a file, or - for stdin")
    for command in (run, commands.add_parser("shell", help="type code into a session")):
        command.add_argument("--language", default=None)
        command.add_argument("--provider", default="docker")
        command.add_argument("--url", default=None)
        command.add_argument("--image", default=None)
        command.add_argument("--file", dest="files", action="append", default=[], metavar="[NAME=]PATH")
        command.add_argument("--wall-s", type=float, default=Limits.wall_s)
        command.add_argument("--memory-mb", type=int, default=Limits.memory_mb)
        command.add_argument("--allow-host", action="append", default=[], metavar="HOST")
        command.add_argument("--out", type=Path, default=None, metavar="FOLDER")
    look = commands.add_parser("doctor", help="say what is missing, and what mends it")
    look.add_argument("--image", default=DEFAULT_IMAGE)
    commands.add_parser("ps", help="list the sandbox's containers")
    commands.add_parser("prune", help="remove what processes that are gone have left")
    return parser


def _build(options: argparse.Namespace) -> int:
    recipe = recipe_named(options.image).with_more(
        python=split_packages(options.packages), debian=split_packages(options.debian_packages), suite=options.suite
    )
    built = run_to_end(
        build(
            recipe,
            tag=options.tag,
            mirror=options.mirror,
            force=options.force,
            from_dockerfile=options.from_dockerfile,
            socket=options.socket,
            on_step=lambda number, total, text: print(f"{number}/{total} {text}", file=sys.stderr),
        )
    )
    print("made" if built.made else "up to date:", built.tag, f"({built.megabytes} MB)")
    return 0


def _place(options: argparse.Namespace) -> Place:
    socket = options.socket if options.provider == "docker" else None
    return Place(options.provider, url=options.url, image=options.image, socket=socket)


def _limits(options: argparse.Namespace) -> Limits:
    return Limits(wall_s=options.wall_s, memory_mb=options.memory_mb)


def _run(options: argparse.Namespace) -> int:
    program = Program(
        read_file(options.file),
        options.language or guess_language(options.file),
        files=read_files(options.files),
        stdin=b"" if options.stdin is None else read_file(options.stdin),
        limits=_limits(options),
        allow_hosts=tuple(options.allow_host),
    )
    with _place(options).open() as box:
        return run_program(box, program, out=options.out)


def _shell(options: argparse.Namespace) -> int:
    with _place(options).open() as box:
        return Shell(
            box,
            language=options.language or "python",
            limits=_limits(options),
            files=read_files(options.files),
            allow_hosts=tuple(options.allow_host),
            screen=Screen(options.out),
        ).run()


def _doctor(options: argparse.Namespace) -> int:
    report = asyncio.run(survey(socket=options.socket, image=options.image))
    print(report)
    return 0 if report.fit else 1


def _ps(options: argparse.Namespace) -> int:
    for found in asyncio.run(list_containers(options.socket)):
        owner = "left behind" if found.orphan else f"process {found.pid}"
        print(found.id, found.image, found.state, f"{found.age_s:.0f}s", owner, sep="\t")
    return 0


def _prune(options: argparse.Namespace) -> int:
    removed = asyncio.run(prune(options.socket))
    print(f"removed {len(removed.containers)} containers and {len(removed.images)} images")
    return 0


_COMMANDS = {"build": _build, "run": _run, "shell": _shell, "doctor": _doctor, "ps": _ps, "prune": _prune}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return _COMMANDS[options.command](options)
    except (PolyportError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        if options.command == "run" and not isinstance(error, InvalidRunError):
            return EXIT_STATUS["sandbox_error"]
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())

"""``polyport sandbox``: make its image, run code in it, see that it can run."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec

import typer

from polyport.errors import CallError, UsageError
from polyport_gateway.cli.output import ExitCode, command, complain, print_json

if TYPE_CHECKING:
    from polyport_sandbox import Limits
    from polyport_sandbox.terminal import Place

__all__ = ["app"]

P = ParamSpec("P")

app = typer.Typer(
    help="Run untrusted code in the mini sandbox; make its image; see what is missing.", no_args_is_help=True
)

Language = Annotated[str | None, typer.Option(help="python, bash, javascript … [by the file's ending; python for -].")]
Provider = Annotated[str, typer.Option(help="Where it runs: docker, or a remote provider.")]
Url = Annotated[str | None, typer.Option(help="The remote service's address.")]
ApiKey = Annotated[
    str | None,
    typer.Option(help="A key of the remote service.", envvar="POLYPORT_SANDBOX_API_KEY", show_envvar=True),
]
Image = Annotated[str | None, typer.Option(help="The image [polyport/sandbox:minimal].")]
Socket = Annotated[str | None, typer.Option(help="Docker's socket [DOCKER_HOST, or /var/run/docker.sock].")]
Files = Annotated[
    list[str] | None,
    typer.Option("--file", metavar="[NAME=]PATH", help="Put a file into the working folder. Can be given again."),
]
WallS = Annotated[float | None, typer.Option(help="Seconds it may take [10].")]
MemoryMb = Annotated[int | None, typer.Option(help="MiB it may use, its files included [256].")]
AllowHosts = Annotated[
    list[str] | None,
    typer.Option("--allow-host", metavar="HOST", help="A host it may reach; there is no network otherwise."),
]
Out = Annotated[Path | None, typer.Option(metavar="FOLDER", help="Keep pictures and files that it makes here.")]
AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _sandboxed(status: int) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Wrap a command: bad input is wrong usage, and any other failure of the sandbox leaves with `status`."""

    def decorate(function: Callable[P, None]) -> Callable[P, None]:
        @functools.wraps(function)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
            from polyport_sandbox import InvalidRunError

            try:
                function(*args, **kwargs)
            except InvalidRunError as error:
                raise UsageError(str(error)) from error
            except CallError as error:
                complain(error)
                raise typer.Exit(status) from None

        return command(wrapped)

    return decorate


@app.command()
@_sandboxed(ExitCode.CALL_FAILED)
def build(
    image: Annotated[str, typer.Option(help="minimal: Python, Bash, Node; data: numpy, pandas, … too.")] = "minimal",
    tag: Annotated[str | None, typer.Option(help="The image's name [polyport/sandbox:IMAGE].")] = None,
    packages: Annotated[str, typer.Option(help="More Python packages, such as numpy,pandas>=2,<3.")] = "",
    debian_packages: Annotated[str, typer.Option(help="More Debian packages, such as ripgrep,r-base-core.")] = "",
    mirror: Annotated[str | None, typer.Option(help="A Debian mirror [http://deb.debian.org/debian].")] = None,
    suite: Annotated[str | None, typer.Option(help="The Debian release [bookworm].")] = None,
    from_dockerfile: Annotated[
        bool, typer.Option("--from-dockerfile", help="Use docker build, where a registry can be reached.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Make it even if it is up to date.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be made.")] = False,
    socket: Socket = None,
    as_json: AsJSON = False,
) -> None:
    """Make the image that code runs in.

    It needs no registry: Debian's packages make a root file system, which Docker imports. That takes
    root and debootstrap.
    """
    from polyport_gateway.cli.sandbox_build import build_image

    build_image(
        image,
        tag=tag,
        packages=packages,
        debian_packages=debian_packages,
        mirror=mirror,
        suite=suite,
        from_dockerfile=from_dockerfile,
        force=force,
        dry_run=dry_run,
        socket=socket,
        as_json=as_json,
    )


@app.command(
    epilog="Exit codes: the program's own, 124 out of time, 125 the sandbox failed, 126 too much output, 137 killed."
)
@_sandboxed(125)
def run(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A program's file, or - for standard input.")],
    language: Language = None,
    provider: Provider = "docker",
    url: Url = None,
    api_key: ApiKey = None,
    image: Image = None,
    socket: Socket = None,
    files: Files = None,
    stdin: Annotated[
        str | None, typer.Option(metavar="PATH", help="What it reads from its standard input; - for this one.")
    ] = None,
    wall_s: WallS = None,
    memory_mb: MemoryMb = None,
    allow_hosts: AllowHosts = None,
    out: Out = None,
    as_json: AsJSON = False,
) -> None:
    """Run a program once and show what it writes as it does.

    Its working folder, /work, is empty but for --file; whatever it leaves there is kept with --out.
    """
    from polyport_sandbox.terminal import Program, run_program
    from polyport_sandbox.terminal.run import guess_language, read_file, read_files

    if file == "-" and stdin == "-":
        raise UsageError("FILE and --stdin can't both be standard input")
    program = Program(
        read_file(file),
        language or guess_language(file),
        files=read_files(files or ()),
        stdin=b"" if stdin is None else read_file(stdin),
        limits=_limits(wall_s, memory_mb),
        allow_hosts=tuple(allow_hosts or ()),
    )
    with _place(provider, url, api_key, image, socket).open() as box:
        status = run_program(box, program, out=out, as_json=as_json)
    if status:
        raise typer.Exit(status)


@app.command()
@_sandboxed(ExitCode.CALL_FAILED)
def shell(
    language: Annotated[str, typer.Option(help="What the first lines are written in.")] = "python",
    provider: Provider = "docker",
    url: Url = None,
    api_key: ApiKey = None,
    image: Image = None,
    socket: Socket = None,
    files: Files = None,
    wall_s: WallS = None,
    memory_mb: MemoryMb = None,
    allow_hosts: AllowHosts = None,
    out: Out = None,
) -> None:
    """Type code into a session of the sandbox: variables and files live on until you leave.

    %help lists what else can be typed. Ctrl-C ends what runs, Ctrl-D leaves.
    """
    from polyport_sandbox.terminal import Shell
    from polyport_sandbox.terminal.run import read_files
    from polyport_sandbox.terminal.screen import Screen

    with _place(provider, url, api_key, image, socket).open() as box:
        status = Shell(
            box,
            language=language,
            limits=_limits(wall_s, memory_mb),
            files=read_files(files or ()),
            allow_hosts=tuple(allow_hosts or ()),
            screen=Screen(out),
        ).run()
    if status:
        raise typer.Exit(status)


@app.command()
@_sandboxed(ExitCode.CALL_FAILED)
def doctor(image: Image = None, socket: Socket = None, as_json: AsJSON = False) -> None:
    """Say what is there, what is missing, and the command that mends it.

    Leaves with 1 if code can't be run.
    """
    from polyport_gateway.cli.sandbox_containers import show_report

    show_report(image=image, socket=socket, as_json=as_json)


@app.command()
@_sandboxed(ExitCode.CALL_FAILED)
def ps(socket: Socket = None, as_json: AsJSON = False) -> None:
    """List the sandbox's containers: of every process on this machine, and those that one left behind."""
    from polyport_gateway.cli.sandbox_containers import show_containers

    show_containers(socket=socket, as_json=as_json)


@app.command()
@_sandboxed(ExitCode.CALL_FAILED)
def prune(
    everything: Annotated[
        bool, typer.Option("--all", help="Also those in use: what runs in them ends as killed.")
    ] = False,
    socket: Socket = None,
    as_json: AsJSON = False,
) -> None:
    """Remove containers whose process is gone, and images that a newer build took the name of."""
    from polyport_sandbox.docker.containers import prune as remove_what_is_left

    removed = asyncio.run(remove_what_is_left(_socket(socket), everything=everything))
    if as_json:
        print_json({"containers": list(removed.containers), "images": list(removed.images)})
    else:
        typer.echo(f"Removed {len(removed.containers)} containers and {len(removed.images)} images.")


def _place(provider: str, url: str | None, api_key: str | None, image: str | None, socket: str | None) -> Place:
    from polyport_sandbox.terminal import Place

    return Place(provider, url=url, api_key=api_key, image=image, socket=socket)


def _limits(wall_s: float | None, memory_mb: int | None) -> Limits:
    from polyport_sandbox import Limits

    given: dict[str, Any] = {"wall_s": wall_s, "memory_mb": memory_mb}
    return Limits(**{name: value for name, value in given.items() if value is not None})


def _socket(given: str | None) -> str:
    from polyport_sandbox.docker.engine import DEFAULT_SOCKET

    return given or DEFAULT_SOCKET

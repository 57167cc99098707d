"""``polyport serve`` and ``polyport mcp``."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import os
import socket
import sys
from pathlib import Path
from signal import SIGINT
from typing import Annotated, Any

import typer

from polyport.errors import ConfigurationError
from polyport_gateway.cli.output import ExitCode, command

__all__ = ["Config", "DataDir", "DatabaseURL", "LogFormat", "LogLevel", "mcp", "serve"]

App = Annotated[
    str | None,
    typer.Argument(
        metavar="APP",
        help="path/to/app.py, path/to/app.py:name or package.module:name; ./app.py or ./polyport_app.py by default.",
        show_default=False,
    ),
]
Config = Annotated[Path | None, typer.Option(help="TOML file of settings; ./polyport.toml if it exists.")]
DataDir = Annotated[Path | None, typer.Option(help="Folder for the database and other state [.polyport].")]
DatabaseURL = Annotated[
    str | None,
    typer.Option(help="SQLAlchemy URL of the records, such as postgresql://…; SQLite in the data folder by default."),
]
LogLevel = Annotated[str | None, typer.Option(help="debug, info, warning or error [info].")]
LogFormat = Annotated[str | None, typer.Option(help="text, json or auto: text on a terminal, JSON elsewhere.")]


@command
def serve(
    app: App = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on [127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one [8400].")] = None,
    reload: Annotated[bool, typer.Option("--reload", help="Start anew whenever a file of the app changes.")] = False,
    data_dir: DataDir = None,
    database_url: DatabaseURL = None,
    config: Config = None,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
    access_log: Annotated[bool, typer.Option("--access-log", help="Log one line per request.")] = False,
    listen_fd: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Serve an app over HTTP: OpenAI, MCP and REST on one port.

    Without any key it serves this machine alone; for another address create a key first (polyport keys create).
    """
    from polyport_gateway.cli.loading import find_target

    flags = {
        "host": host,
        "port": port,
        "data_dir": data_dir,
        "database_url": database_url,
        "log_level": log_level,
        "log_format": log_format,
        "access_log": True if access_log else None,
    }
    settings = _settings(config, flags)
    target = find_target(app)
    if reload:
        from polyport_gateway.cli.reload import serve_reloading

        raise typer.Exit(serve_reloading(target, _listen(settings), sys.argv[1:]))
    raise typer.Exit(_serve(target, settings, listen_fd))


@command
def mcp(
    app: App = None,
    data_dir: DataDir = None,
    database_url: DatabaseURL = None,
    config: Config = None,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
) -> None:
    """Serve an app to one MCP client over standard input and output.

    A client starts this itself: claude mcp add demo -- polyport mcp /path/to/app.py
    """
    from polyport_gateway.cli.loading import load_app
    from polyport_gateway.server import create_gateway, running
    from polyport_gateway.wires.mcp.stdio import serve_stdio

    flags = {"data_dir": data_dir, "database_url": database_url, "log_level": log_level, "log_format": log_format}
    settings = _settings(config, flags)
    # Standard output is the protocol's: what the app prints goes to standard error, at once.
    with contextlib.redirect_stdout(sys.stderr):
        gateway = create_gateway(load_app(app), settings)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    prepare_data_dir(settings)

    async def run() -> None:
        async with running(gateway):
            await serve_stdio(gateway.catalog, gateway.dispatcher, settings)

    asyncio.run(run())


def _settings(config: Path | None, flags: dict[str, Any]) -> Any:
    from polyport_gateway.settings import load_settings
    from polyport_gateway.telemetry import configure_logging

    settings = load_settings(config=config, **flags)
    configure_logging(settings.log_level, settings.log_format)
    return settings


def _serve(target: str, settings: Any, listen_fd: int | None) -> int:
    from polyport_gateway.cli.banner import banner
    from polyport_gateway.cli.loading import load_app
    from polyport_gateway.embedded import new_event_loop, serve_until_stopped, settle_memory
    from polyport_gateway.server import create_gateway

    gateway = create_gateway(load_app(target), settings)
    listener = socket.socket(fileno=listen_fd) if listen_fd is not None else _listen(settings)
    prepare_data_dir(settings)

    def ready(url: str) -> None:
        keys = gateway.keys.any_keys or settings.require_keys
        typer.echo(banner(gateway.catalog, url, keys=keys))
        sys.stdout.flush()
        # What was loaded so far stays: the collector need not look through it again and again.
        gc.freeze()

    settle_memory()
    with listener, asyncio.Runner(loop_factory=new_event_loop) as runner:
        signal = runner.run(serve_until_stopped(gateway, listener, on_ready=ready))
    return ExitCode.INTERRUPTED if signal == SIGINT else ExitCode.OK


def _listen(settings: Any) -> socket.socket:
    """Listen, or say who does already.

    Raises:
        ConfigurationError: The address can't be listened on.
    """
    from polyport_gateway.cli.port_owner import port_owner
    from polyport_gateway.embedded import bind

    try:
        return bind(settings)
    except ConfigurationError as error:
        owner = port_owner(settings.port) if "in use" in str(error) else None
        if owner is None:
            raise
        raise ConfigurationError(f"{error} (it is held by {owner})") from None


def prepare_data_dir(settings: Any) -> None:
    """Make the data folder, unless the records live elsewhere.

    Raises:
        ConfigurationError: It can't be written.
    """
    if settings.database_url is not None:
        return
    folder: Path = settings.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"the data folder {folder} can't be made: {error.strerror}; choose another with --data-dir"
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigurationError(
            f"the data folder {folder} can't be written; change its owner, or choose another with --data-dir"
        )

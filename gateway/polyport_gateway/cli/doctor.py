"""``polyport doctor``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from polyport_gateway.cli.output import ExitCode, command, print_json, style
from polyport_gateway.cli.serve import Config, DatabaseURL, DataDir

__all__ = ["doctor"]

_SIGNS = {"ok": ("ok", "green"), "missing": ("--", "yellow"), "warning": ("!!", "yellow"), "failed": ("XX", "red")}


@command
def doctor(
    data_dir: DataDir = None,
    database_url: DatabaseURL = None,
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what is installed, what is missing, and how to mend it.

    Leaves with 1 if serving can't work.
    """
    from polyport_gateway.cli.checks import run_checks

    checks = run_checks(config, data_dir, database_url)
    failed = any(check.state == "failed" for check in checks)
    if as_json:
        print_json({"ok": not failed, "checks": [asdict(check) for check in checks]})
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            sign, colour = _SIGNS[check.state]
            typer.echo(f"{style(sign, fg=colour)}  {check.name:<{width}}  {check.detail}")
            if check.remedy:
                typer.echo(f"{' ' * (width + 6)}{style(check.remedy, bold=True)}")
    if failed:
        raise typer.Exit(ExitCode.CALL_FAILED)

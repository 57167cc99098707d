"""``polyport sandbox doctor`` and ``ps``: what they show."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import typer

from polyport_gateway.cli.output import ExitCode, is_terminal, print_json, print_table, style

__all__ = ["show_containers", "show_report"]


def show_report(*, image: str | None, socket: str | None, as_json: bool) -> None:
    """Show what was found, and leave with 1 where code can't be run."""
    from polyport_sandbox.docker.engine import DEFAULT_SOCKET
    from polyport_sandbox.docker.upkeep import survey
    from polyport_sandbox.images.build import DEFAULT_IMAGE

    report = asyncio.run(survey(socket=socket or DEFAULT_SOCKET, image=image or DEFAULT_IMAGE))
    if as_json:
        print_json({"ok": report.fit, "findings": [asdict(finding) for finding in report.findings]})
    else:
        width = max(len(finding.subject) for finding in report.findings)
        for finding in report.findings:
            sign, colour = ("XX", "red") if not finding.ok else ("!!", "yellow") if finding.advice else ("ok", "green")
            typer.echo(f"{style(sign, fg=colour)}  {finding.subject:<{width}}  {finding.detail}")
            if finding.mend and (not finding.ok or finding.advice):
                typer.echo(f"{' ' * (width + 6)}{style(finding.mend, bold=True)}")
    if not report.fit:
        raise typer.Exit(ExitCode.CALL_FAILED)


def show_containers(*, socket: str | None, as_json: bool) -> None:
    """Show the sandbox's containers."""
    from polyport_sandbox.docker.containers import list_containers
    from polyport_sandbox.docker.engine import DEFAULT_SOCKET

    found = asyncio.run(list_containers(socket or DEFAULT_SOCKET))
    if as_json:
        print_json([asdict(container) for container in found])
        return
    if not found and is_terminal():
        typer.echo("The sandbox has no containers here.")
        return
    rows = [
        (
            container.id,
            container.image,
            container.state,
            _span(container.age_s),
            "left behind" if container.orphan else f"process {container.pid}" if container.pid else "another machine",
        )
        for container in found
    ]
    print_table(("ID", "IMAGE", "STATE", "AGE", "OWNER"), rows)


def _span(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds:.0f}s"

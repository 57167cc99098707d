"""The command line. `main` is the ``polyport`` script."""

from __future__ import annotations

import shlex
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line and leave with its exit code."""
    try:
        from polyport_gateway.cli.root import app
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "polyport_gateway":
            raise
        from polyport.errors import MissingDependencyError

        print(f"Error: {MissingDependencyError('the polyport command', extra='gateway')}", file=sys.stderr)
        if sys.argv[1:2] == ["sandbox"]:
            print(f"Or run: {shlex.join([sys.executable, '-m', 'polyport_sandbox', *sys.argv[2:]])}", file=sys.stderr)
        sys.exit(2)
    app(prog_name="polyport")

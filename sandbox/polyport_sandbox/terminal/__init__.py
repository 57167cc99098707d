"""The sandbox at a terminal: what ``polyport sandbox`` and ``python -m polyport_sandbox`` share."""

from __future__ import annotations

from .place import Place
from .run import Program, run_program
from .shell import Shell

__all__ = ["Place", "Program", "Shell", "run_program"]

"""What a benchmark found, as a table and as JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

__all__ = ["Figure", "Section", "at_least", "at_most", "machine", "ratio", "render"]


@dataclass(frozen=True)
class Target:
    """What a figure should reach."""

    text: str
    met: Callable[[float], bool]


def at_least(bound: float) -> Target:
    """A target from below."""
    return Target(f"≥ {bound:,g}", lambda value: value >= bound)


def at_most(bound: float) -> Target:
    """A target from above."""
    return Target(f"≤ {bound:,g}", lambda value: value <= bound)


@dataclass(frozen=True)
class Figure:
    """One number: the median of its rounds."""

    name: str
    rounds: list[float]
    unit: str
    target: Target | None = None

    @property
    def value(self) -> float:
        """The median."""
        return median(self.rounds)

    @property
    def verdict(self) -> str:
        """Whether the target is met, in a word."""
        if self.target is None:
            return ""
        return "met" if self.target.met(self.value) else "MISSED"


@dataclass
class Section:
    """One benchmark: its figures, and what a reader must know of them."""

    title: str
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, rounds: float | Iterable[float], unit: str, target: Target | None = None) -> Figure:
        """Add a figure."""
        values = [float(rounds)] if isinstance(rounds, int | float) else list(rounds)
        figure = Figure(name, values, unit, target)
        self.figures.append(figure)
        return figure

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data, every round included."""
        return {
            "title": self.title,
            "notes": self.notes,
            "figures": [
                {
                    "name": figure.name,
                    "median": figure.value,
                    "rounds": figure.rounds,
                    "unit": figure.unit,
                    "target": figure.target.text if figure.target else None,
                    "met": figure.target.met(figure.value) if figure.target else None,
                }
                for figure in self.figures
            ],
        }


def ratio(ours: Iterable[float], theirs: Iterable[float]) -> list[float]:
    """Divide round by round, so that what slows a whole round slows both."""
    return [a / b if b else float("inf") for a, b in zip(ours, theirs, strict=True)]


def render(section: Section) -> str:
    """Return the section as a table for people."""
    rows = [("", "median", "lowest", "highest", "unit", "target", "")]
    for figure in section.figures:
        numbers = (figure.value, min(figure.rounds), max(figure.rounds))
        target = figure.target.text if figure.target else ""
        rows.append((figure.name, *(_number(number) for number in numbers), figure.unit, target, figure.verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [f"\n{section.title}"]
    for row in rows:
        # Numbers to the right, words to the left.
        cells = [row[at].rjust(widths[at]) if 1 <= at <= 3 else row[at].ljust(widths[at]) for at in range(len(row))]
        lines.append("  " + "  ".join(cells).rstrip())
    lines.extend(f"  · {note}" for note in section.notes)
    return "\n".join(lines)


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:,.2f}"


def machine() -> dict[str, Any]:
    """Return what the numbers depend on."""
    packages = {}
    for name in ("polyport", "uvicorn", "uvloop", "httptools", "aiohttp", "pydantic", "orjson", "mcp", "fastmcp"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = "not installed"
    return {
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "processor": _processor(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": packages,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")

"""Make every attack on every sandbox that is here, and print who held: ``python -m tests.security.scoreboard``.

Ours on runc and on gVisor, and the peer with its defaults. Each has a Docker daemon of the tests' own with an outer limit,
so that no attack reaches further than that daemon. `--write` renews docs/security-scoreboard.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from polyport_sandbox.images.build import DEFAULT_IMAGE
from tests.support.dockerd import Daemon, own_daemon
from tests.support.machine import ROOT, what_is_missing

from .case import Attack, NotOfferedError, Target, perform
from .suite import THEMES
from .targets import ours, peer

__all__ = ["Verdict", "main"]

PEER_PYTHON = ROOT / ".venv-llm-sandbox" / "bin" / "python"
PEER_IMAGE = "polyport-tests/peer:latest"
DOCUMENT = ROOT / "docs" / "security-scoreboard.md"
SIGNS = {"held": "holds", "broken": "**does not hold**", "left out": "n/a", "failed": "no verdict"}
COLOURS = {"held": "green", "broken": "bold red", "left out": "dim", "failed": "yellow"}


@dataclass(frozen=True)
class Verdict:
    """What came of one attack on one target."""

    attack: str
    target: str
    outcome: Literal["held", "broken", "left out", "failed"]
    why: str = ""
    seconds: float = 0.0


def judge(attack: Attack, target: Target, *, foreign: bool) -> Verdict:
    """Make the attack and say what came of it."""
    if foreign and attack.own:
        return Verdict(attack.name, target.name, "left out", attack.own)
    began = time.monotonic()
    try:
        perform(attack, target)
    except NotOfferedError as reason:
        return Verdict(attack.name, target.name, "left out", str(reason))
    except AssertionError as error:
        return Verdict(attack.name, target.name, "broken", _short(error), time.monotonic() - began)
    except Exception as error:  # a scoreboard goes on
        why = f"{type(error).__name__}: {_short(error)}"
        return Verdict(attack.name, target.name, "failed", why, time.monotonic() - began)
    return Verdict(attack.name, target.name, "held", "", time.monotonic() - began)


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or "an expectation did not hold"


@contextlib.contextmanager
def _ours(runtime: Literal["runc", "runsc"]) -> Iterator[Target]:
    with own_daemon(DEFAULT_IMAGE) as daemon, ours(daemon.socket, runtime) as target:
        yield target


@contextlib.contextmanager
def _peer() -> Iterator[Target]:
    # Nothing holds its containers by default, so what holds them is the daemon's own group.
    with own_daemon(DEFAULT_IMAGE, memory_mb=2048, pids=512) as daemon:
        _peer_image(daemon)
        with peer(PEER_PYTHON, daemon, PEER_IMAGE) as target:
            yield target


def _peer_image(daemon: Daemon) -> None:
    """Our minimal image with the one thing the peer needs: a program called `python`."""
    daemon.docker("run", "--name=peer-image", "--network=none", DEFAULT_IMAGE, "ln", "-s", "python3", "/usr/bin/python")
    daemon.docker("commit", "--change", 'CMD ["bash"]', "peer-image", PEER_IMAGE)
    daemon.docker("rm", "peer-image")


def targets(only: str) -> dict[str, contextlib.AbstractContextManager[Target]]:
    """What is here to be attacked, by column."""
    found: dict[str, contextlib.AbstractContextManager[Target]] = {"ours, runc": _ours("runc")}
    if what_is_missing("runsc") is None:
        found["ours, gVisor"] = _ours("runsc")
    if PEER_PYTHON.exists():
        found[f"llm-sandbox {_peer_version()}"] = _peer()
    return {name: target for name, target in found.items() if only in name}


def _peer_version() -> str:
    for folder in (PEER_PYTHON.parents[1] / "lib").glob("*/site-packages/llm_sandbox-*.dist-info"):
        return folder.name.removeprefix("llm_sandbox-").removesuffix(".dist-info")
    return ""


def table(verdicts: dict[str, dict[str, Verdict]], columns: list[str]) -> Table:
    """The scoreboard for a terminal."""
    board = Table("attack", "what must hold", *columns, title="Attacks on the sandbox")
    for theme, attacks in THEMES.items():
        board.add_section()
        board.add_row(f"[bold]{theme}")
        for attack in attacks:
            cells = []
            for column in columns:
                outcome = verdicts[column][attack.name].outcome
                cells.append(f"[{COLOURS[outcome]}]{SIGNS[outcome].strip('*')}")
            board.add_row(attack.name, attack.must_hold, *cells)
    board.add_section()
    board.add_row("[bold]held", "", *(_sum(verdicts[column]) for column in columns))
    return board


def _sum(verdicts: dict[str, Verdict]) -> str:
    made = [verdict for verdict in verdicts.values() if verdict.outcome != "left out"]
    return f"{sum(verdict.outcome == 'held' for verdict in made)} of {len(made)}"


def document(verdicts: dict[str, dict[str, Verdict]], columns: list[str]) -> str:
    """The scoreboard as a page of the documentation."""
    lines = [
        "# Security scoreboard",
        "",
        "Attacks that were made, and what must hold for each. Written by `make security SECURITY=--write` from one run; nothing here",
        "was typed in. Each program is in `tests/security/`, and the test suite makes the same ones.",
        "",
        f"| | {' | '.join(columns)} |",
        f"|---|{'---|' * len(columns)}",
        f"| **held** | {' | '.join(_sum(verdicts[column]) for column in columns)} |",
        "",
    ]
    for theme, attacks in THEMES.items():
        lines += [f"## {theme}", "", f"| attack | what must hold | {' | '.join(columns)} |"]
        lines.append(f"|---|---|{'---|' * len(columns)}")
        for attack in attacks:
            cells = (SIGNS[verdicts[column][attack.name].outcome] for column in columns)
            lines.append(f"| {attack.name} | {attack.must_hold} | {' | '.join(cells)} |")
        lines.append("")
    lines += [
        "## How to read it",
        "",
        "- A program is bounded in itself: where nothing stops a flood it says so and stops, and that is counted as not held.",
        "- gVisor answers system calls with a kernel of its own. Where that kernel's answer differs without reaching the host's, the",
        "  attack is judged by what must hold rather than by how runc words it; `on_runsc` in the attack's source says how.",
        "- The peer runs with its defaults, in an image that has Python and nothing else (`skip_environment_setup`, as its",
        "  documentation says for such images), each run in a session of its own, with the run's timeout given. It offers settings that",
        "  hold some of these (`runtime_configs`), and they are not its defaults. *n/a*: its interface can't express the attack, it is",
        "  about our own parts, or it would endanger the machine where nothing holds it. Attacks over a network are left out for it.",
        "- All daemons are the tests' own, without a network, in a control group with an outer limit.",
    ]
    broken = [
        v
        for column in columns
        if column.startswith("ours")
        for v in verdicts[column].values()
        if v.outcome in ("broken", "failed")
    ]
    if broken:
        lines += ["", "## What does not hold of ours", ""]
        lines += [f"- {verdict.attack} ({verdict.target}): {verdict.why}" for verdict in broken]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Make the attacks that were asked for; fail if one of ours did not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="renew docs/security-scoreboard.md")
    parser.add_argument("--json", type=Path, help="also write every verdict, with its reason, to this file")
    parser.add_argument("--only", default="", help="only the columns with this in their name")
    options = parser.parse_args()
    if missing := what_is_missing("dockerd"):
        parser.exit(2, f"the attacks can't be made here: {missing}\n")
    console = Console(width=None if sys.stdout.isatty() else 150)
    verdicts: dict[str, dict[str, Verdict]] = {}
    for column, opening in targets(options.only).items():
        verdicts[column] = {}
        with opening as target:
            # What does not even run proves nothing by what it fails to do.
            sound = target.run("print(6*7)")
            if (sound.status, sound.stdout) != ("ok", b"42\n"):
                raise RuntimeError(f"{column} does not run at all: {sound}")
            for attacks in THEMES.values():
                for attack in attacks:
                    verdict = judge(attack, target, foreign=not column.startswith("ours"))
                    verdicts[column][attack.name] = verdict
                    if verdict.outcome in ("broken", "failed"):
                        console.print(f"{column}: {attack.name}: {verdict.why}", markup=False, style="dim")
    columns = list(verdicts)
    console.print(table(verdicts, columns))
    if options.json:
        everything = {column: [asdict(v) for v in found.values()] for column, found in verdicts.items()}
        about = {"polyport": version("polyport"), "verdicts": everything}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(about, indent=2) + "\n")
    if options.write:
        DOCUMENT.write_text(document(verdicts, columns))
    mine = [v for column in columns if column.startswith("ours") for v in verdicts[column].values()]
    return int(any(verdict.outcome in ("broken", "failed") for verdict in mine))


if __name__ == "__main__":
    sys.exit(main())

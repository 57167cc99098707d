"""Attacks over a network, all of them inside a network namespace made for them, with no way out; see `network_world`."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from typing import Any

from tests.support.machine import ROOT

from .case import Attack, NotOfferedError, Target
from .network_programs import PROGRAMS
from .targets import OursTarget

__all__ = ["NETWORK"]

MUST_HOLD = {
    "the allowed host": "it is reached",
    "hosts that are not allowed": "refused, whatever their names look like",
    "the metadata address": "no connection is made to it, by whatever name",
    "the bridge's gateway": "no connection is made to it, by whatever name",
    "the gateway's own port": "no connection is made to it, by whatever name",
    "private addresses in every notation": "no connection is made to any",
    "a name with a public and a private address": "only the public one is connected to",
    "a name that changes its address": "the address that was checked is the one connected to",
    "redirects to private addresses": "no connection is made to any",
    "requests that mean two things": "refused, or taken as what was checked",
    "headers injected": "none arrives",
    "another server's name in TLS": "it does not arrive",
    "a flood of connections to the proxy": "bounded; afterwards the proxy answers",
    "names and packets past the proxy": "no look-up, no route, no interface",
}


ALLOWED = {f"host: {name}.example.com" for name in ("public", "both", "rebind")}


@cache
def _world(socket: str, runtime: str) -> dict[str, dict[str, Any]]:
    """Every program's outcome, from one world."""
    done = subprocess.run(
        ["unshare", "--net", "--mount", sys.executable, "-m", "tests.security.network_world", socket, runtime],
        cwd=ROOT, capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"the network's world ended with {done.returncode}: {done.stderr[-1500:]}")
    told: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return told


def _attack(name: str) -> Attack:
    def play(target: Target) -> None:
        if not isinstance(target, OursTarget):
            raise NotOfferedError("attacks over a network are left out")
        told = _world(target.socket, target.runtime)[name]
        out = told["stdout"]
        assert told["status"] == "ok", told
        assert "TRIED" in out, told
        assert "BREACH" not in out, out
        assert "NOT REACHED" not in out, f"the allowed host was not reached, so nothing was shown: {out}"
        assert told["reached"] == [], f"BREACH: connected to {told['reached']}"
        for head in told["heads"]:
            assert "\ninjected" not in head.lower(), f"BREACH: {head!r}"
            hosts = [line for line in head.lower().splitlines() if line.startswith("host:")]
            if head == "GET / HTTP/1.0\r\n\r\n":
                continue  # through a tunnel to an address that was checked
            assert len(hosts) == 1, f"BREACH: {head!r}"
            assert hosts[0] in ALLOWED, f"BREACH: {head!r}"
        _more(name, told)

    return Attack(f"network: {name}", MUST_HOLD[name], play=play, needs=frozenset({"network"}), at_most_s=520)


def _more(name: str, told: dict[str, Any]) -> None:
    if name == "the allowed host":
        assert "PUBLIC" in told["stdout"], told
    if name == "a name that changes its address":
        assert told["asked"] >= 4, "the name was hardly looked up"
    if name == "another server's name in TLS":
        arrived = [bytes.fromhex(hello) for hello in told["hellos"]]
        assert any(b"public.example.com" in hello for hello in arrived), "not even the right name arrived"
        for hello in arrived:
            for other in (b"second.example.com", b"sneaky.example.com", b"evil.example"):
                assert other not in hello, f"BREACH: a hello for {other!r} arrived"


NETWORK = [_attack(name) for name in PROGRAMS]

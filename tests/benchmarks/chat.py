"""Chat through the gateway, beside the bare upstream and the LiteLLM proxy."""

from __future__ import annotations

import json
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks.house import litellm_peer, measured_gateway, upstream
from tests.benchmarks.report import Section, at_least, at_most, ratio
from tests.support.load import Load, Target, generate, post
from tests.support.peers import Server

__all__ = ["measure_chat"]

CONNECTIONS = 16
BODY = json.dumps(
    {
        "model": "upstream",
        "messages": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "What is the capital of France? " * 4},
        ],
        "temperature": 0.2,
    }
).encode()
REQUEST = post("/v1/chat/completions", BODY, {"Authorization": "Bearer none"})


def measure_chat(folder: Path, *, rounds: int, seconds: float) -> Section:
    """Measure throughput at 16 connections and the latency added at one, round by round."""
    section = Section(f"Chat completions, one worker, {CONNECTIONS} connections ({rounds} rounds of {seconds:g} s)")
    with ExitStack() as stack:
        bare = stack.enter_context(upstream())
        servers = {"bare upstream": bare, "polyport": stack.enter_context(measured_gateway(folder, bare.url))}
        try:
            servers["litellm proxy"] = stack.enter_context(litellm_peer(folder, bare.url))
        except RuntimeError as error:
            section.notes.append(f"LiteLLM proxy not measured: {str(error).strip().splitlines()[0]}")
        for name, server in servers.items():
            _check(name, server)
            _load(server, CONNECTIONS, 1.0)
        many: dict[str, list[Load]] = {name: [] for name in servers}
        single: dict[str, list[Load]] = {name: [] for name in servers}
        for _ in range(rounds):
            for name, server in servers.items():
                many[name].append(_load(server, CONNECTIONS, seconds))
            for name, server in servers.items():
                single[name].append(_load(server, 1, seconds / 2))
    _report(section, many, single)
    return section


def _load(server: Server, connections: int, seconds: float) -> Load:
    load = generate(Target.of(server.url), [REQUEST] * connections, seconds=seconds)
    if load.errors:
        raise RuntimeError(f"{load.errors} of {load.requests} answers from {server.url} failed; this measures nothing")
    return load


def _check(name: str, server: Server) -> None:
    headers = {"Content-Type": "application/json", "Authorization": "Bearer none"}
    request = urllib.request.Request(f"{server.url}/v1/chat/completions", BODY, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        content = json.load(answer)["choices"][0]["message"]["content"]
    if not content.startswith("A fixed answer"):
        raise RuntimeError(f"{name} does not pass the upstream's answer on: {content!r}")


def _report(section: Section, many: dict[str, list[Load]], single: dict[str, list[Load]]) -> None:
    per_second = {name: [load.per_second for load in loads] for name, loads in many.items()}
    medians = {name: [load.median_ms for load in loads] for name, loads in single.items()}
    for name, values in per_second.items():
        section.add(name, values, "requests/s", at_least(2000) if name == "polyport" else None)
    section.add("polyport / bare", ratio(per_second["polyport"], per_second["bare upstream"]), "×")
    if "litellm proxy" in per_second:
        times = ratio(per_second["polyport"], per_second["litellm proxy"])
        section.add("polyport / litellm", times, "×", at_least(20))
    section.add("polyport p99", [load.p99_ms for load in many["polyport"]], "ms")
    bare = medians["bare upstream"]
    for name, values in medians.items():
        if name == "bare upstream":
            section.add("1 connection: bare median", values, "ms")
            continue
        added = [ours - theirs for ours, theirs in zip(values, bare, strict=True)]
        section.add(f"1 connection: {name} adds", added, "ms", at_most(0.6) if name == "polyport" else None)
